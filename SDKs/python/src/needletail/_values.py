"""Values that protobuf and Python spell differently."""

from __future__ import annotations

import datetime
import enum
from typing import Any

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
_NANOSECONDS = 1_000
_SECOND = 1_000_000


class OpenEnum(enum.IntEnum):
    """An enum to which a newer server may add: a number without a name is kept as it is."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNRECOGNIZED_{value}"
        member._value_ = value
        return member


def decode_time(message: Any) -> datetime.datetime:
    """A Timestamp as an aware datetime in UTC, to the microsecond."""
    microseconds: int = message.seconds * _SECOND + message.nanos // _NANOSECONDS
    return EPOCH + microseconds * _MICROSECOND


def encode_time(value: datetime.datetime, message: Any) -> None:
    """Writes an aware datetime into a Timestamp.

    Raises:
        ValueError: The datetime is naive: nobody can say which moment it means.
    """
    if value.tzinfo is None:
        raise ValueError("a time needs a time zone: datetime.datetime.now(datetime.timezone.utc)")
    seconds, microseconds = divmod((value - EPOCH) // _MICROSECOND, _SECOND)
    message.seconds = seconds
    message.nanos = microseconds * _NANOSECONDS
    message.SetInParent()
