"""Times: MLflow's are milliseconds since 1970."""

from __future__ import annotations

import datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MILLISECOND = datetime.timedelta(milliseconds=1)


def to_ms(time: datetime.datetime | None) -> int | None:
    """Milliseconds since 1970."""
    return None if time is None else (time - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int | None) -> datetime.datetime | None:
    """The time, or None where there is none or it is beyond the year 9999."""
    if milliseconds is None:
        return None
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        return None
