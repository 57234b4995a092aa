"""From single points to columnar batches."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

AppendMetricsRequest = message_class("needletail.tracking.v1.AppendMetricsRequest")
RunMetrics = message_class("needletail.tracking.v1.RunMetrics")

MAX_BATCH_POINTS = 10_000
MAX_BATCH_BYTES = 1 << 20
# The server bounds the elements of a request; a series is one.
MAX_BATCH_SERIES = 2_000
# A point is at most 10 bytes of step, 8 of time and 8 of value; a series has tags and lengths too.
_POINT_BYTES = 26
_SERIES_BYTES = 32
_RUNS_TAG = b"\x1a"
_CONTINUED = 0x80

Entry = tuple[int, int, "list[tuple[str, Any]]"]
"""What one call leaves: step, time in microseconds, and the values by key; or level, time, and the
lines by stream.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Feed:
    """What a writer writes: AppendMetrics and AppendLogs have messages of one form."""

    method: str
    cut: Callable[[Iterable[Entry]], Iterator[tuple[int, bytes]]]
    """Cuts entries into batches: how many of their elements, and the bytes."""

    noun: str


@dataclasses.dataclass(slots=True, eq=False)
class Batch:
    """Points under one number; what they are never changes once they have it."""

    number: int
    """Counts from 1 for the spool; the wire's sequence is less by the writer's offset."""

    points: int
    series: bytes | None
    """A serialized RunMetrics or RunLogs less its run_id; None = only in the spool."""

    place: tuple[str, int, int] | None = None
    """Segment, offset and length in the spool; None = not there."""


@dataclasses.dataclass(slots=True)
class _Columns:
    steps: list[int] = dataclasses.field(default_factory=list)
    times: list[int] = dataclasses.field(default_factory=list)
    values: list[float] = dataclasses.field(default_factory=list)


def columnar(entries: Iterable[Entry]) -> Iterator[tuple[int, bytes]]:
    """Cuts entries into batches within the limits: how many points, and the series' bytes."""
    columns: dict[str, _Columns] = {}
    points = size = 0
    for step, time_us, values in entries:
        for key, value in values:
            column = columns.get(key)
            # In UTF-8 a character is at most 4 bytes.
            added = _POINT_BYTES if column else _POINT_BYTES + _SERIES_BYTES + 4 * len(key)
            is_full = points == MAX_BATCH_POINTS or size + added > MAX_BATCH_BYTES
            if is_full or (column is None and len(columns) == MAX_BATCH_SERIES):
                yield points, _serialized(columns)
                columns, column, points, size = {}, None, 0, 0
            if column is None:
                column = columns[key] = _Columns()
            column.steps.append(step)
            column.times.append(time_us)
            column.values.append(value)
            points += 1
            size += added
    if points:
        yield points, _serialized(columns)


def request_bytes(
    writer_id: str, sequence: int, run_id: str, series: bytes, epoch: int = 0
) -> bytes:
    """The request of a batch; the same arguments always give the same bytes."""
    head: bytes = AppendMetricsRequest(writer_id=writer_id, sequence=sequence).SerializeToString()
    run: bytes = RunMetrics(run_id=run_id, epoch=epoch).SerializeToString()
    return head + _RUNS_TAG + _varint(len(run) + len(series)) + run + series


def opening_bytes(writer_id: str) -> bytes:
    """The first message of a stream: names the writer and asks where to continue."""
    data: bytes = AppendMetricsRequest(writer_id=writer_id).SerializeToString()
    return data


def _serialized(columns: dict[str, _Columns]) -> bytes:
    message: Any = RunMetrics()
    for key, column in columns.items():
        series = message.series.add()
        series.key = key
        series.steps.extend(column.steps)
        series.times_us.extend(column.times)
        series.values.extend(column.values)
    data: bytes = message.SerializeToString()
    return data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= _CONTINUED:
        parts.append(value % _CONTINUED | _CONTINUED)
        value >>= 7
    parts.append(value)
    return bytes(parts)
