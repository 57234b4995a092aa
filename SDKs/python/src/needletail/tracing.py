"""The types of `needletail.tracing.v1`."""

from needletail._generated.tracing import *  # noqa: F403
from needletail._generated.tracing import __all__ as __all__  # noqa: PLC0414
