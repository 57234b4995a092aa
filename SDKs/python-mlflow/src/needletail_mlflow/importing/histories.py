"""The metrics of a run: what is new of them, appended, and the digests of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail_mlflow.importing import appending, reading
from needletail_mlflow.importing.points import Digest, Sorted, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlflow.entities import Run

    from needletail_mlflow.importing.points import Point
    from needletail_mlflow.importing.reading import There
    from needletail_mlflow.importing.work import Work

_KEY_CHARACTERS = 250
_LATEST_US = 253_402_300_799_999_999
_STEPS = range(-(2**63), 2**63)
_CONTROLS = {chr(code) for code in (*range(32), *range(127, 160))}


class Histories:
    """The metrics of a run on their way."""

    def __init__(self, work: Work, run: Run, uuid: str, writable: Callable[[], None]) -> None:
        self._work = work
        self._run = run
        self._uuid = uuid
        self._writable = writable
        self._place = f"run {run.info.run_id}"
        tracking = work.target.tracking
        writer = appending.writer_of(
            work.source.name, run.info.run_id, work.target.connection.project_id
        )
        self._appender = appending.Appender(tracking, uuid, writer, work.troubles.check)
        self.digests: dict[str, str] = {}
        """Of the source's histories, by key."""
        self.count = 0
        """Points in the source, equal ones once."""
        self.count_here = 0

    def open(self) -> int:
        """Begins to append; returns how many batches are committed."""
        return self._appender.open()

    def copy(self, there: There, *, is_running: bool) -> None:
        """Writes the points that are not there."""
        new = (
            (key, self._new(key, is_known=key in there.keys)) for key in sorted(self._wanted_keys())
        )
        try:
            for batch in appending.batches(new):
                self._writable()
                if is_running:
                    self._appender.send(batch)
                else:
                    self._work.troubles.check()
                    appending.log(self._work.target.tracking, self._uuid, batch)
                self._work.progress.add("points", appending.count(batch))
            self._appender.finish()
        finally:
            self._appender.close()

    def digests_here(self, there: There) -> dict[str, str]:
        """Digests of the histories that are here now."""
        found = {}
        keys = [key for key in self.digests if key in there.keys]
        for key, history in reading.histories(self._work.target.tracking, self._uuid, keys):
            self._work.troubles.check()
            digest = Digest().take(history)
            found[key] = f"{digest.count} points, {digest.hex}"
            self.count_here += digest.count
        return found

    def _wanted_keys(self) -> Iterator[str]:
        for key in self._run.data.metrics:
            if 0 < len(key) <= _KEY_CHARACTERS and _CONTROLS.isdisjoint(key):
                yield key
            else:
                self.digests[key] = "not read"
                self._work.troubles.fail(
                    self._place, f"metric {key[:_KEY_CHARACTERS]!r}",
                    f"its name is not 1 to {_KEY_CHARACTERS} characters without control characters",
                )  # fmt: skip

    def _new(self, key: str, *, is_known: bool) -> Iterator[Point]:
        """What is not here of a metric; its digest is taken as it passes."""
        found, digest = Sorted(), Digest()
        try:
            for page in self._work.source.history(self._run.info.run_id, key):
                self._work.troubles.check()
                found.add(page)
            wanted: Iterable[Point] = digest.through(found)
            if is_known:
                there = reading.history(self._work.target.tracking, self._uuid, key)
                wanted = missing(wanted, there)
            for one in wanted:
                if 0 <= one[1] <= _LATEST_US and one[0] in _STEPS:
                    yield one
                else:
                    self._work.troubles.fail(
                        self._place, f"metric {key}",
                        f"step {one[0]} at {one[1] // 1_000} ms since 1970 can't be kept",
                    )  # fmt: skip
        finally:
            found.close()
        self.digests[key] = f"{digest.count} points, {digest.hex}"
        self.count += digest.count
