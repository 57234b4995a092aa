"""From text to batches of log lines."""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import TYPE_CHECKING, Any

from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from needletail._runs.batches import Entry

_RunLogs = message_class("needletail.tracking.v1.RunLogs")

MAX_BATCH_LINES = 10_000
MAX_BATCH_TEXT_BYTES = 1 << 20
MAX_BATCH_STREAMS = 16
MAX_LINE_BYTES = 1 << 16
MAX_STREAM_BYTES = 64
MAX_RANK = 999_999
# What the server can't keep in a text.
_NUL, _INSTEAD_OF_NUL = "\0", "\N{REPLACEMENT CHARACTER}"
_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80

_GRAVITIES = (
    (logging.CRITICAL, 5), (logging.ERROR, 4), (logging.WARNING, 3), (logging.INFO, 2),
    (1, 1),
)  # fmt: skip


def level_number(level: int | str | None) -> int:
    """The server's number of a level of `logging`, or of its name; 0 for none.

    Raises:
        ValueError: There is no such level.
    """
    if level is None:
        return 0
    if isinstance(level, str):
        named = logging.getLevelName(level.upper())
        level = named if isinstance(named, int) else None
        if level is None:
            raise ValueError(f"no level of logging: {named.removeprefix('Level ')}")
    return next((number for least, number in _GRAVITIES if level >= least), 0)


def check_stream(stream: str) -> None:
    """Raises ValueError when lines can't be of a stream of this name."""
    is_printed = stream.isprintable() and stream.strip(" ") == stream
    if not is_printed or not 1 <= len(stream.encode()) <= MAX_STREAM_BYTES:
        raise ValueError(f"a stream's name has 1 to {MAX_STREAM_BYTES} bytes: {stream[:40]!r}")


def checked_rank(rank: int) -> int:
    """A rank; raises ValueError when it can't be one."""
    if not 0 <= rank <= MAX_RANK:
        raise ValueError(f"a rank is 0 to {MAX_RANK:,}: {rank}")
    return rank


def own_rank() -> int:
    """This process's place in a distributed job, as its launcher says; else 0."""
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"):
        text = os.environ.get(name, "")
        if text.isascii() and text.isdigit() and int(text) <= MAX_RANK:
            return int(text)
    return 0


@dataclasses.dataclass(slots=True)
class _Columns:
    texts: list[bytes] = dataclasses.field(default_factory=list)
    times: list[int] = dataclasses.field(default_factory=list)
    levels: list[int] = dataclasses.field(default_factory=list)
    streams: dict[str, int] = dataclasses.field(default_factory=dict)
    of_streams: list[int] = dataclasses.field(default_factory=list)
    size: int = 0

    def takes(self, stream: str, text: bytes) -> bool:
        return (
            len(self.texts) < MAX_BATCH_LINES
            and self.size + len(text) <= MAX_BATCH_TEXT_BYTES
            and (stream in self.streams or len(self.streams) < MAX_BATCH_STREAMS)
        )

    def add(self, stream: str, level: int, time_us: int, text: bytes) -> None:
        self.texts.append(text)
        self.times.append(time_us)
        self.levels.append(level)
        self.of_streams.append(self.streams.setdefault(stream, len(self.streams)))
        self.size += len(text)


def cut_lines(entries: Iterable[Entry], *, rank: int) -> Iterator[tuple[int, bytes]]:
    """Cuts entries into batches within the limits: how many entries, and a RunLogs' bytes.

    What is longer than a line may be goes on in the next one.
    """
    columns, done = _Columns(), 0
    for level, time_us, lines in entries:
        for stream, line in lines:
            for text in _pieces(line):
                if not columns.takes(stream, text):
                    yield done, _serialized(columns, rank)
                    columns, done = _Columns(), 0
                columns.add(stream, level, time_us, text)
            done += 1
    if columns.texts:
        yield done, _serialized(columns, rank)


def _pieces(line: str) -> Iterator[bytes]:
    # A lone surrogate stands for a byte that was no UTF-8.
    text = line.replace(_NUL, _INSTEAD_OF_NUL).encode("utf-8", "replace")
    start = 0
    while len(text) - start > MAX_LINE_BYTES:
        end = start + MAX_LINE_BYTES
        while text[end] & _CONTINUATION_MASK == _CONTINUATION:
            end -= 1
        yield text[start:end]
        start = end
    yield text[start:]


def _serialized(columns: _Columns, rank: int) -> bytes:
    message: Any = _RunLogs(
        rank=rank,
        text=b"".join(columns.texts).decode(),
        text_bytes=[len(text) for text in columns.texts],
        times_us=columns.times,
        levels=columns.levels if any(columns.levels) else (),
        stream_names=list(columns.streams),
        streams=columns.of_streams if len(columns.streams) > 1 else (),
    )
    data: bytes = message.SerializeToString()
    return data
