"""What a writer keeps on disk: every batch that isn't acknowledged.

A writer's folder holds `writer.json` (who writes, for which run, how the run is to end), `lock`
(held by the process that owns the folder) and segments. A segment is a magic line and records:
length and CRC32 of the content in four big-endian bytes each, then the content. A batch is
appended before it is sent, by one write and without fsync: what was logged survives the death of
the process, but a loss of power may cost the last seconds. `flush` forces it to disk; that is done
when a process leaves batches behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import struct
import threading
import uuid
import zlib
from typing import TYPE_CHECKING, Any, TypedDict

from needletail._runs.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

MAGIC = b"NTSPOOL1"
SEGMENT_BYTES = 8 << 20
_RECORD = struct.Struct(">II")
_CONTENT = struct.Struct(">QI")
METADATA = "writer.json"
_LOCK = "lock"
_SUFFIX = ".segment"


class SpoolFullError(Exception):
    """The spool may not grow any further."""


class SpoolOwnedError(Exception):
    """Another process writes to this folder."""


class Definition(TypedDict):
    """What metrics are to whoever looks at them, in words of the API."""

    goal: str
    summary: str
    step_metric: str
    is_hidden: bool


class Call(TypedDict):
    """A call of LogBatch that the server may not have seen."""

    key: str
    """Its idempotency key."""

    request: str
    """Its bytes in base 64."""

    points: int


@dataclasses.dataclass(slots=True, kw_only=True)
class Metadata:
    """What is known of a writer; rewritten as a whole, by rename."""

    writer_id: str
    offset: int = 0
    """Batch number less wire sequence: grows when the rest continues under a new writer."""

    kind: str = "metrics"
    """What is written: metrics or logs."""

    epoch: int = 0
    """The run's, whose points are written; 0 for logs."""

    run_id: str = ""
    """Empty until the run exists on the server."""

    organization_id: str = ""
    project: str = ""
    experiment: str = ""
    run_name: str = ""
    description: str = ""
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    """What the run begins with."""

    source: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Where its code comes from, by the names of RunSource."""

    parent_run_id: str = ""
    forked_run_id: str = ""
    forked_step: int = 0
    """What it is nested under, and what it goes on from; empty = nothing."""

    definitions: dict[str, Definition] = dataclasses.field(default_factory=dict)
    """What metrics were defined to be, by pattern, before the run existed."""

    calls: list[Call] = dataclasses.field(default_factory=list)
    """What is sent before the batches; a list is never changed, but replaced."""

    experiment_key: str = ""
    run_key: str = ""
    """Idempotency keys, so that the experiment and the run are created once."""

    finish_status: str = ""
    """How the run is to end once everything is sent; empty = not at all."""

    finish_time_us: int = 0
    finish_key: str = ""


def another_writer(metadata: Metadata, kind: str = "metrics") -> Metadata:
    """A new writer to the same run, which does not end it."""
    return dataclasses.replace(
        metadata,
        writer_id=str(uuid.uuid4()),
        offset=0,
        kind=kind,
        epoch=metadata.epoch if kind == "metrics" else 0,
        definitions={},
        calls=[],
        finish_status="",
        finish_time_us=0,
        finish_key="",
    )


class Spool:
    """One writer's folder, owned by this object until `release` or `remove`."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Takes the folder, making it when it is not there.

        Raises:
            OSError: The folder can't be made or written.
            SpoolOwnedError: It belongs to a process that is alive.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._max_bytes = max_bytes
        self._lock = _lock(folder / _LOCK)
        self._saving = threading.Lock()
        self._sizes = {path.name: path.stat().st_size for path in _segments(folder)}
        self._others = _size_of_others(folder)
        self._live: dict[str, int] = {}
        self._current = -1
        self._current_name = ""
        self.damaged_records = 0

    @property
    def size(self) -> int:
        """Bytes of this writer's segments."""
        return sum(self._sizes.values())

    def save(self, metadata: Metadata) -> None:
        """Replaces the metadata at once and for good."""
        path = self.folder / METADATA
        draft = path.with_suffix(".draft")
        with self._saving:
            with draft.open("w", encoding="utf-8") as file:
                json.dump(dataclasses.asdict(metadata), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)

    def load(self) -> Metadata:
        """The metadata.

        Raises:
            ValueError: There is none, or it can't be read.
        """
        try:
            content = json.loads((self.folder / METADATA).read_text(encoding="utf-8"))
            return Metadata(**content)
        except (OSError, TypeError) as error:
            raise ValueError(f"{self.folder / METADATA}: {error}") from None

    def append(self, batch: Batch) -> None:
        """Writes a batch, whose place is then known.

        Raises:
            OSError: The disk doesn't take it.
            SpoolFullError: The bound is reached.
        """
        content = _CONTENT.pack(batch.number, batch.points) + (batch.series or b"")
        record = _RECORD.pack(len(content), zlib.crc32(content)) + content
        if self._others + self.size + len(record) > self._max_bytes:
            raise SpoolFullError(f"the spool has reached its {self._max_bytes:,} bytes")
        if self._current < 0 or self._sizes[self._current_name] >= SEGMENT_BYTES:
            self._rotate(batch.number)
        start = self._sizes[self._current_name]
        try:
            _write_all(self._current, record)
        except OSError:
            # Half a record would hide what follows: it goes, or a new segment begins behind it.
            try:
                os.ftruncate(self._current, start)
            except OSError:
                self._close_current()
            raise
        self._sizes[self._current_name] = start + len(record)
        self._live[self._current_name] = self._live.get(self._current_name, 0) + 1
        batch.place = (self._current_name, start + _RECORD.size + _CONTENT.size, len(content) - 12)

    def read(self, batch: Batch) -> bytes:
        """The series of a batch that is in the spool."""
        if batch.series is not None or batch.place is None:
            return batch.series or b""
        name, offset, length = batch.place
        with (self.folder / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def forget(self, batch: Batch) -> None:
        """Lets go of a batch; a segment of which nothing is wanted any more is deleted."""
        if batch.place is None:
            return
        name, batch.place = batch.place[0], None
        self._live[name] -= 1
        if self._live[name] == 0 and name != self._current_name:
            self._delete(name)
        elif self._live[name] == 0 and self._sizes[name] >= SEGMENT_BYTES // 8:
            self._close_current()
            self._delete(name)

    def batches(self) -> Iterator[Batch]:
        """The batches on disk, in order; what is damaged is passed over and counted."""
        for path in _segments(self.folder):
            self._live[path.name] = 0
            for batch in self._read_segment(path):
                self._live[path.name] += 1
                yield batch

    def flush(self) -> None:
        """Forces what was written to disk."""
        if self._current >= 0:
            os.fsync(self._current)

    def release(self) -> None:
        """Leaves the folder to whoever comes next."""
        self._close_current()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Deletes the folder: nothing in it is wanted any more."""
        self._close_current()
        for path in list(self.folder.iterdir()):
            with contextlib.suppress(OSError):
                path.unlink()
        self.release()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _rotate(self, number: int) -> None:
        self._close_current()
        name = f"{number:020}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        descriptor = os.open(self.folder / name, flags, 0o600)
        try:
            _write_all(descriptor, MAGIC)
        except OSError:
            # A full disk may make the file and take no byte of it.
            os.close(descriptor)
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()
            raise
        self._current, self._current_name = descriptor, name
        self._sizes[name] = len(MAGIC)

    def _close_current(self) -> None:
        if self._current >= 0:
            os.close(self._current)
        self._current, self._current_name = -1, ""

    def _delete(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.folder / name).unlink()
        self._sizes.pop(name, None)
        self._live.pop(name, None)

    def _read_segment(self, path: Path) -> Iterator[Batch]:
        data = path.read_bytes()
        if not data.startswith(MAGIC):
            self.damaged_records += 1
            return
        start = len(MAGIC)
        while start < len(data):
            header = data[start : start + _RECORD.size]
            length, checksum = _RECORD.unpack(header) if len(header) == _RECORD.size else (0, 0)
            begin = start + _RECORD.size
            content = data[begin : begin + length]
            is_whole = _CONTENT.size <= length == len(content)
            if not is_whole or zlib.crc32(content) != checksum:
                # What a dying process wrote half is at the end; nothing behind it is known.
                self.damaged_records += 1
                return
            number, points = _CONTENT.unpack_from(content)
            place = (path.name, begin + _CONTENT.size, length - _CONTENT.size)
            yield Batch(number, points, None, place)
            start = begin + length


def writer_folders(spool_folder: Path) -> list[Path]:
    """The folders of all writers that left something, oldest first."""
    if not spool_folder.is_dir():
        return []
    found = [path.parent for path in spool_folder.glob(f"*/{METADATA}")]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _size_of_others(folder: Path) -> int:
    total = 0
    for path in folder.parent.glob(f"*/*{_SUFFIX}"):
        if path.parent != folder:
            with contextlib.suppress(OSError):
                total += path.stat().st_size
    return total


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise SpoolOwnedError(f"{path.parent} belongs to a process that is alive") from None
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
