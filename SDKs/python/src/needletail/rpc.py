"""The types of `needletail.rpc.v1`."""

from needletail._generated.rpc import *  # noqa: F403
from needletail._generated.rpc import __all__ as __all__  # noqa: PLC0414
