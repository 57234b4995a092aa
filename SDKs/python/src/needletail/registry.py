"""The types of `needletail.registry.v1`."""

from needletail._generated.registry import *  # noqa: F403
from needletail._generated.registry import __all__ as __all__  # noqa: PLC0414
