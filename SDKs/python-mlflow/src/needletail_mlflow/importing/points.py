"""Histories of metrics in one order, however long they are, and their digests."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
import struct
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

Point = tuple[int, int, bool, float]
"""Step, microseconds since 1970, whether it is NaN, value (0 for NaN): ordered as it stands."""

HELD_POINTS = 100_000
"""Points of a history in memory; the others wait in a temporary file."""

_RECORD = struct.Struct(">qq?d")
_READ_RECORDS = 4_096
_NAN = float("nan")


def point(step: int, time_us: int, value: float) -> Point:
    """A point; -0 is 0, as it is for whoever compares them."""
    return (step, time_us, True, 0.0) if math.isnan(value) else (step, time_us, False, value + 0.0)


def value_of(one: Point) -> float:
    """The value that was measured."""
    return _NAN if one[2] else one[3]


class Sorted:
    """Points that come in any order, given back in theirs, each once."""

    def __init__(self, held: int = HELD_POINTS) -> None:
        self._held = held
        self._points: list[Point] = []
        self._files: list[BinaryIO] = []

    def add(self, points: Iterable[Point]) -> None:
        """Takes points."""
        self._points += points
        if len(self._points) >= self._held:
            self._spill()

    def __iter__(self) -> Iterator[Point]:
        self._points.sort()
        parts = [_read(file) for file in self._files]
        merged = heapq.merge(*parts, self._points) if parts else iter(self._points)
        return (one for one, _ in itertools.groupby(merged))

    def close(self) -> None:
        """Removes the files."""
        for file in self._files:
            file.close()
        self._files = []
        self._points = []

    def _spill(self) -> None:
        self._points.sort()
        file = tempfile.TemporaryFile(prefix="needletail-import-")  # noqa: SIM115 kept open
        self._files.append(file)
        for part in _parts(self._points, _READ_RECORDS):
            file.write(b"".join(_RECORD.pack(*one) for one in part))
        self._points = []


class Digest:
    """SHA-256 of points in their order."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []

    def through(self, points: Iterable[Point]) -> Iterator[Point]:
        """Passes points on, and takes each."""
        for one in points:
            self._waiting.append(_RECORD.pack(*one))
            if len(self._waiting) == _READ_RECORDS:
                self._take()
            yield one
        self._take()

    def take(self, points: Iterable[Point]) -> Digest:
        """Takes all points."""
        for _ in self.through(points):
            pass
        return self

    @property
    def hex(self) -> str:
        """The digest of what was taken."""
        return self._hash.hexdigest()

    def _take(self) -> None:
        self.count += len(self._waiting)
        self._hash.update(b"".join(self._waiting))
        self._waiting = []


def missing(wanted: Iterable[Point], there: Iterable[Point]) -> Iterator[Point]:
    """Of points in their order, those that others in their order have not."""
    others = iter(there)
    other = next(others, None)
    for one in wanted:
        while other is not None and other < one:
            other = next(others, None)
        if other != one:
            yield one


def reordered(points: Iterable[Point]) -> Iterator[Point]:
    """Points that come by step and time, ordered by their values, too, each once."""
    for _, group in itertools.groupby(points, key=lambda one: one[:2]):
        yield from sorted(set(group))


def _read(file: BinaryIO) -> Iterator[Point]:
    # Readers of several files take turns, each in a file of its own.
    file.seek(0)
    while data := file.read(_RECORD.size * _READ_RECORDS):
        yield from _RECORD.iter_unpack(data)


def _parts(points: list[Point], size: int) -> Iterator[list[Point]]:
    for start in range(0, len(points), size):
        yield points[start : start + size]
