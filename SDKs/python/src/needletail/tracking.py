"""The types of `needletail.tracking.v1`."""

from needletail._generated.tracking import *  # noqa: F403
from needletail._generated.tracking import __all__ as __all__  # noqa: PLC0414
