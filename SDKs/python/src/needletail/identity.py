"""The types of `needletail.identity.v1`."""

from needletail._generated.identity import *  # noqa: F403
from needletail._generated.identity import __all__ as __all__  # noqa: PLC0414
