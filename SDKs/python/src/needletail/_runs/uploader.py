"""The thread of a run: makes batches, keeps them on disk, sends them, hears what is committed."""

from __future__ import annotations

import collections
import contextlib
import logging
import random
import threading
import time
import uuid
from typing import TYPE_CHECKING

from needletail._core.call import PendingCall
from needletail._generated.tracking_calls import TRACKING_APPEND_METRICS
from needletail._runs.appender import Appender, Step
from needletail._runs.batches import Batch, Feed, columnar, opening_bytes, request_bytes
from needletail._runs.owed import OwedCalls
from needletail._runs.spool import SpoolFullError
from needletail._runs.stream import StreamEvents
from needletail.errors import CallError, Code

if TYPE_CHECKING:
    from needletail._runs.batches import Entry
    from needletail._runs.registration import Registered
    from needletail._runs.spool import Metadata, Spool
    from needletail._transport.blocking import Driver
    from needletail.client import Client

_log = logging.getLogger("needletail")

MAX_KEPT_ERRORS = 100
OPEN_PATIENCE_SECONDS = 5.0
GOODBYE_SECONDS = 1.0
METRICS = Feed(TRACKING_APPEND_METRICS.name, columnar, "points")
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 10.0
# A key that may not write, or none at all, is a matter for a person: look again now and then.
MAX_PAUSE_WHEN_DENIED_SECONDS = 60.0
# What one turn takes from the queue, so that batches go out while a flood comes in.
_ENTRIES_A_TURN = 10_000
# How long a full queue holds its caller, which is many turns.
ROOM_PATIENCE_SECONDS = 2.0


class Uploader:
    """Everything of a run that happens behind `log`."""

    def __init__(
        self,
        client: Client,
        metadata: Metadata,
        spool: Spool | None,
        *,
        flush_seconds: float,
        memory_max_bytes: int,
        feed: Feed = METRICS,
    ) -> None:
        self.entries: collections.deque[Entry] = collections.deque()
        self.errors: list[Exception] = []
        self.dropped_points = 0
        self.metadata = metadata
        self.spool = spool
        self.appender = Appender(
            metadata.writer_id, metadata.offset, renew=self._renew, forget=self._forget
        )
        self.owed = OwedCalls(metadata, self.save)
        self.wake = threading.Event()
        self.changed = threading.Condition()
        self._client = client
        self._feed = feed
        self._flush_seconds = flush_seconds
        self._memory_max = memory_max_bytes
        self._memory = 0
        self._next_number = metadata.offset + 1
        self._stream: tuple[Driver, PendingCall, StreamEvents] | None = None
        self._is_half_closed = False
        self._failures = 0
        self._not_before = 0.0
        self._taking = 0
        self._is_sealing = False
        self._is_stuck = False
        self._is_stopping = False
        self._warned: set[str] = set()
        self._thread: threading.Thread | None = None

    # From any thread.

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="needletail-run", daemon=True)
        self._thread.start()

    def registered(self, run: Registered) -> None:
        """The run exists now: points can go out."""
        self.metadata.run_id = run.run_id
        self.metadata.organization_id = run.organization_id
        self.save()
        self.wake.set()

    def save(self) -> None:
        """Writes the metadata, if there is a spool."""
        if self.spool is not None:
            try:
                self.spool.save(self.metadata)
            except OSError as error:
                self._spool_failed(error)

    @property
    def noun(self) -> str:
        """What is counted: points, or log lines."""
        return self._feed.noun

    @property
    def unsent_points(self) -> int:
        """Points that the server hasn't acknowledged yet."""
        waiting = sum(len(values) for _, _, values in self.entries.copy())
        return waiting + self._taking + self.appender.pending_points + self.owed.points

    @property
    def is_idle(self) -> bool:
        """Whether the server has acknowledged or refused everything."""
        waits = self.entries or self._is_sealing or self.appender.pending or self.metadata.calls
        return not waits

    def wait_until_sent(self, until: float) -> bool:
        """Waits until everything logged so far is acknowledged or refused."""
        with self.changed:
            while not self.is_idle:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self.wake.set()
                self.changed.wait(min(left, 0.5))
        return True

    def stop(self, patience_seconds: float) -> None:
        """Ends the thread; what is queued is put into the spool first."""
        self._is_stopping = True
        self.wake.set()
        if self._thread is not None:
            self._thread.join(patience_seconds)

    def note(self, error: Exception) -> None:
        """Keeps an error for who asks; the first hundred tell the story."""
        if len(self.errors) < MAX_KEPT_ERRORS:
            self.errors.append(error)

    def press(self, most: int) -> None:
        """Wakes the thread, which lags behind; holds the caller while more than `most` wait.

        Where it makes no way at all, the newest are dropped and none is held before there is room.
        """
        self.wake.set()
        if len(self.entries) <= most:
            self._is_stuck = False
        elif not self._wait_for_room(most):
            with contextlib.suppress(IndexError):
                lost = len(self.entries.pop()[2])
                self.count_dropped(lost, "they come faster than they can be written")

    def _wait_for_room(self, most: int) -> bool:
        thread, patience = self._thread, ROOM_PATIENCE_SECONDS
        is_served = thread and thread.is_alive() and thread is not threading.current_thread()
        if self._is_stuck or not is_served:
            return False
        with self.changed:
            self._is_stuck = not self.changed.wait_for(lambda: len(self.entries) <= most, patience)
        return not self._is_stuck

    def count_dropped(self, points: int, why: str) -> None:
        """Counts points that are given up; says so once for each reason."""
        self.dropped_points += points
        if why not in self._warned:
            self._warned.add(why)
            noun, run_id = self._feed.noun, self.metadata.run_id or "(new)"
            _log.warning("%s of run %s are dropped: %s", noun, run_id, why)

    def add_loaded(self, batch: Batch) -> None:
        """Takes a batch that an earlier process left."""
        self.appender.add(batch)
        self._next_number = batch.number + 1

    # On the thread.

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self.wake.wait(self._flush_seconds)
                self.wake.clear()
                self._turn()
            while self.entries:
                self._seal()
        except Exception as error:  # noqa: BLE001 - the last resort of a thread
            _log.exception("the thread of run %s failed", self.metadata.run_id or "(new)")
            self.note(error)
        finally:
            self._close_stream()
            with self.changed:
                self.changed.notify_all()

    def _close_stream(self) -> None:
        """Ends the stream in order when nothing is left of it; else, or after a while, cuts it."""
        if self._stream is None:
            return
        driver, call, events = self._stream
        self._stream = None
        if not self.appender.pending and not events.has_ended:
            if not self._is_half_closed:
                driver.send(call, b"", end_of_requests=True)
            until = time.monotonic() + GOODBYE_SECONDS
            while not events.has_ended and (rest := until - time.monotonic()) > 0:
                self.wake.clear()  # What is told before this is seen at the next look.
                self.wake.wait(min(rest, 0.05))
        driver.cancel(call)

    def _turn(self) -> None:
        self._seal()
        if self.entries:
            self.wake.set()
        self._hear()
        if self.metadata.run_id and self._settle() and not self.appender.is_refused:
            self._open()
            self._send()
        with self.changed:
            self.changed.notify_all()

    def _settle(self) -> bool:
        """Makes the calls that are owed; returns whether none is left."""
        if self.metadata.calls and time.monotonic() >= self._not_before:
            try:
                self.owed.send(self._client, lambda: self._is_stopping, self._refused)
            except CallError as error:
                self._ended(error)
        return not self.metadata.calls

    def _refused(self, points: int, error: CallError) -> None:
        self.appender.refuse(points)
        self.note(error)
        _log.warning("a call that was kept is refused, with %s points: %s", points, error)

    def _seal(self) -> None:
        """Makes numbered batches of what was logged; from here on their content is fixed."""
        # Set before anything leaves the queue: who waits sees the points in one place or another.
        self._is_sealing = True
        taken: list[Entry] = []
        while self.entries and len(taken) < _ENTRIES_A_TURN:
            entry = self.entries.popleft()
            self._taking += len(entry[2])
            taken.append(entry)
        for points, series in self._feed.cut(taken):
            self._add(points, series)
            self._taking -= points
        self._taking = 0
        self._is_sealing = False

    def _add(self, points: int, series: bytes) -> None:
        if self.appender.is_refused:
            self.appender.refuse(points)
            return
        batch = Batch(self._next_number, points, series)
        problem: Exception | None = None
        if self.spool is not None:
            try:
                self.spool.append(batch)
            except (OSError, SpoolFullError) as error:
                problem = error
                self._spool_failed(error)
        if self._memory + len(series) > self._memory_max:
            if batch.place is None:
                self.count_dropped(
                    points, f"memory is full and there is no spool: {problem or 'none'}"
                )
                return
            batch.series = None
        else:
            self._memory += len(series)
        self._next_number += 1
        self.appender.add(batch)

    def _hear(self) -> None:
        if self._stream is None:
            return
        driver, call, events = self._stream
        owed, events.owed = events.owed, 0
        if owed:
            driver.consumed(call, owed)
        while events.acknowledgements:
            self._failures = 0
            if self.appender.acknowledge(events.acknowledgements.popleft()) is Step.REOPEN:
                driver.cancel(call)
                self._stream = None
                return
        if self.appender.is_refused:
            self._warn_refused()
            driver.cancel(call)
            self._stream = None
        elif events.has_ended and not events.acknowledgements:
            self._stream = None
            self._ended(events.error)
        elif events.is_draining and not self._is_half_closed:
            self._is_half_closed = True
            driver.send(call, b"", end_of_requests=True)

    def _ended(self, error: CallError | None) -> None:
        if error is None:
            return
        refused_before = self.appender.refused_points
        for_good = self.appender.failed(error)
        if for_good is not None:
            self.note(for_good)
            refused = self.appender.refused_points - refused_before
            if refused:
                noun = self._feed.noun
                _log.warning("%s %s were refused and dropped: %s", f"{refused:,}", noun, error)
            return
        denied = error.code in {Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}
        longest = MAX_PAUSE_WHEN_DENIED_SECONDS if denied else MAX_PAUSE_SECONDS
        self._failures += 1
        pause = min(longest, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 12))
        pause = max(error.retry_after or 0.0, random.uniform(pause / 2, pause))  # noqa: S311
        self._not_before = time.monotonic() + pause
        if error.reason not in self._warned:
            self._warned.add(error.reason)
            kept = "they are kept and sent later"
            _log.warning("%s can't be sent now, %s: %s", self._feed.noun, kept, error)
            if denied:
                self.note(error)

    def _open(self) -> None:
        now = time.monotonic()
        if self._stream is not None or not self.appender.pending or now < self._not_before:
            return
        events = StreamEvents(self.wake)
        call = PendingCall(
            method=self._feed.method,
            request=opening_bytes(self.appender.writer_id),
            sink=events,
            # This thread decides what is sent again, once it knows what was committed.
            is_repeatable=False,
            end_of_requests=False,
            open_by=now + OPEN_PATIENCE_SECONDS,
        )
        self.appender.opening()
        self._is_half_closed = False
        try:
            driver = self._client._get_driver()
        except CallError as error:
            self._ended(error)
            return
        driver.start(call)
        self._stream = (driver, call, events)

    def _send(self) -> None:
        if self._stream is None or self._is_half_closed or time.monotonic() < self._not_before:
            return
        driver, call, _ = self._stream
        while (batch := self.appender.next_batch()) is not None:
            try:
                series = self._read(batch)
            except OSError as error:
                self.note(error)
                self.appender.unsend(batch)
                self._not_before = time.monotonic() + MAX_PAUSE_SECONDS
                return
            sequence = self.appender.sequence_of(batch)
            writer, run = self.appender.writer_id, self.metadata.run_id
            data = request_bytes(writer, sequence, run, series, self.metadata.epoch)
            driver.send(call, data, end_of_requests=False)

    def _read(self, batch: Batch) -> bytes:
        if batch.series is not None or self.spool is None:
            return batch.series or b""
        return self.spool.read(batch)

    def _renew(self, offset: int) -> str:
        self.metadata.writer_id = str(uuid.uuid4())
        self.metadata.offset = offset
        self.save()
        return self.metadata.writer_id

    def _forget(self, batch: Batch) -> None:
        if batch.series is not None:
            self._memory -= len(batch.series)
        if self.spool is not None:
            self.spool.forget(batch)

    def _warn_refused(self) -> None:
        if "refused" not in self._warned:
            self._warned.add("refused")
            count = f"{self.appender.refused_points:,} {self._feed.noun}"
            reason = self.errors[-1] if self.errors else "unknown"
            _log.warning("%s were refused and dropped: %s", count, reason)

    def _spool_failed(self, error: Exception) -> None:
        if "spool" not in self._warned:
            self._warned.add("spool")
            noun = self._feed.noun
            _log.warning("the spool can't be written, %s stay in memory: %s", noun, error)
            self.note(error)
