"""The run that a training program logs to: logging, ending, forking."""

from __future__ import annotations

import atexit
import itertools
import logging
import multiprocessing.util
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, SupportsFloat, SupportsIndex

from needletail._generated.tracking import RunStatus
from needletail._runs.definitions import RunDefinitions, send_definitions
from needletail._runs.ending import finish_on_server, wind_up
from needletail._runs.facts import RunFacts
from needletail._runs.links import RunLinks
from needletail._runs.log import RunLog, log_feed
from needletail._runs.reading import RunReading
from needletail._runs.registration import Registered, register, resume
from needletail._runs.spool import Metadata, Spool, SpoolOwnedError, another_writer
from needletail._runs.summary import Options, RunSummary, Status, status_of
from needletail._runs.uploader import METRICS, Uploader
from needletail._runs.values import MAX_STEP, MIN_STEP, check_key, checked_step, number_of
from needletail.client import Client, new_idempotency_key
from needletail.errors import (
    TLS_FAILED,
    CallError,
    DeadlineExceededError,
    SettingsError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from needletail._runs.batches import Entry, Feed
    from needletail._runs.log import Companion
    from needletail._runs.spool import Definition

_log = logging.getLogger("needletail")

# About as much memory as the default bound: one entry is some hundred bytes.
MAX_QUEUED_LOGS = 250_000
WAKE_AT_LOGS = 4_000


class ActiveRun(RunFacts, RunLinks, RunDefinitions, RunReading):
    """A run under way. Made by `needletail.run`; end it with `finish` or `with`.

    In a forked child the object goes on working: the child is another writer of the same run, with
    a spool of its own, and its `finish` sends its own points without ending the run.
    """

    def __init__(
        self, client: Client, metadata: Metadata, options: Options, *, owns_client: bool
    ) -> None:
        super().__init__()
        self._client = client
        self._owns_client = owns_client
        self._options = options
        self._registered: Registered | None = None
        self._keys: set[str] = set()
        self._next_step = metadata.forked_step + 1 if metadata.forked_run_id else 0
        self._step_lock = threading.Lock()
        self._summary: RunSummary | None = None
        self._is_child = False
        self._stop_registering = threading.Event()
        self._uploader = self._make_uploader(metadata, self._make_spool(metadata))
        self._append = self._uploader.entries.append
        self._log = RunLog(self._make_log_uploader)
        self._companions: list[Companion] = []
        _active.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if self._summary is None:
            self.finish(status_of(error), timeout_seconds=self._options.finish_timeout_seconds)

    def log(
        self, metrics: Mapping[str, SupportsFloat], *, step: SupportsIndex | None = None
    ) -> None:
        """Logs one value of each metric; returns at once, whatever the network does.

        Who logs faster than this machine can write is held for as long as that takes.

        Args:
            metrics: Values by key; NaN and infinities are values, booleans are not.
            step: Any 64-bit integer; None = one more than the step before, from 0.

        Raises:
            TypeError: A key is no text, or a value or the step is no number.
            ValueError: A key is empty, too long or has control characters; a step is too large.
            RuntimeError: The run was finished.
        """
        time_us = time.time_ns() // 1_000
        keys = self._keys
        points = []
        try:
            items = metrics.items()
        except AttributeError:
            raise TypeError(f"metrics are values by key, not {type(metrics).__name__}") from None
        for key, value in items:
            if key not in keys:
                check_key(key)
                keys.add(key)
            points.append((key, value if type(value) is float else number_of(key, value)))
        if step is None:
            step = self._take_step()
        else:
            if type(step) is not int or not MIN_STEP <= step <= MAX_STEP:
                step = checked_step(step)
            self._next_step = step + 1
        self._append((step, time_us, points))
        if len(self._uploader.entries) > WAKE_AT_LOGS:
            self._uploader.press(MAX_QUEUED_LOGS)

    def log_line(
        self, text: str, *, level: int | str | None = None, stream: str = "stdout"
    ) -> None:
        """Adds lines to the run's log; returns at once, whatever the network does.

        What can't be UTF-8 is replaced. A level is one of `logging`, or its name.

        Raises:
            TypeError: It is no text.
            ValueError: There is no such level, or no stream can have this name.
            RuntimeError: The run was finished.
        """
        self._log.append(text, level, stream)

    def flush(self, *, timeout_seconds: float = 30.0) -> bool:
        """Waits until everything logged so far is acknowledged; returns whether it is."""
        return self._wait_until_sent(time.monotonic() + timeout_seconds)

    def finish(
        self, status: Status = "completed", *, timeout_seconds: float | None = None
    ) -> RunSummary:
        """Sends what is left, ends the run, and says what could not be sent.

        Waits at most `timeout_seconds` (30 by default). What is unsent by then stays in the spool,
        and so does the run's end: `python -m needletail sync` sends both.
        """
        if self._summary is not None:
            return self._summary
        wanted = RunStatus[status.upper()]
        patience = self._options.finish_timeout_seconds
        patience = patience if timeout_seconds is None else timeout_seconds
        until = time.monotonic() + patience
        for companion in self._companions:
            companion.stop()
        self._append = _refuse_log
        self._log.is_closed = True
        uploader = self._uploader
        if not self._is_child:
            uploader.metadata.finish_status = wanted.name
            uploader.metadata.finish_time_us = time.time_ns() // 1_000
            uploader.metadata.finish_key = new_idempotency_key()
        is_sent = is_finished = False
        try:
            is_sent = self._wait_until_sent(until)
            if is_sent and uploader.metadata.run_id and not self._is_child:
                left = max(1.0, until - time.monotonic())
                is_finished = finish_on_server(self._client, uploader, wanted, left)
        finally:
            self._summary = self._wind_up(is_finished=is_finished)
        return self._summary

    # Parts of it.

    def accompany(self, companion: Companion) -> None:
        """Takes what stops when the run ends."""
        self._companions.append(companion)

    def log_aside(self, metrics: Mapping[str, float], step: int) -> None:
        """Logs points without moving on the step that the next `log` takes."""
        self._append((step, time.time_ns() // 1_000, list(metrics.items())))

    def resume(self, run_id: str, from_step: int | None, timeout_seconds: float) -> None:
        """Goes on with a run that is there; called once, by `run`."""
        until = time.monotonic() + timeout_seconds
        try:
            found, step = resume(
                self._client,
                self._uploader.metadata,
                run_id,
                from_step,
                lambda: max(0.05, until - time.monotonic()),
            )
        except BaseException:
            self._give_up()
            raise
        self._registered = found
        self._next_step = step
        self._uploader.registered(found)
        self._uploader.start()

    def begin(self, timeout_seconds: float) -> None:
        """Creates the run, or starts without the server; called once, by `run`."""
        try:
            self._register(timeout_seconds)
        except (UnavailableError, DeadlineExceededError) as error:
            if error.reason == TLS_FAILED:
                self._give_up()
                raise
            _log.warning("the run starts without the server, points are kept: %s", error)
            self._uploader.save()
            self._uploader.start()
            self._register_later()
        except BaseException:
            self._give_up()
            raise
        else:
            self._uploader.start()

    def _give_up(self) -> None:
        """The run never began."""
        self._append = _refuse_log
        _active.discard(self)
        if self._uploader.spool is not None:
            self._uploader.spool.remove()
        self._close_client()

    def _register(self, timeout_seconds: float) -> None:
        until = time.monotonic() + timeout_seconds

        def time_left() -> float:
            return max(0.05, until - time.monotonic())

        metadata = self._uploader.metadata
        found = register(self._client, metadata, time_left)
        with self._definitions_lock:
            # Those of the meantime.
            send_definitions(self._client, metadata, found.run_id, time_left)
            self._registered = found
        self._uploader.registered(found)
        if self._log.uploader is not None:
            self._log.uploader.registered(found)

    def _keep_definition(self, pattern: str, definition: Definition) -> None:
        self._uploader.metadata.definitions[pattern] = definition
        self._uploader.save()

    def _register_later(self) -> None:
        def work() -> None:
            for number in itertools.count(1):
                try:
                    self._register(10.0)
                except (CallError, SettingsError) as error:
                    if not isinstance(error, UnavailableError | DeadlineExceededError):
                        self._uploader.note(error)
                        _log.warning("the run can't be created, points are kept: %s", error)
                    if self._stop_registering.wait(min(10.0, 0.5 * number)):
                        return
                else:
                    return

        threading.Thread(target=work, name="needletail-register", daemon=True).start()

    def _wait_until_sent(self, until: float) -> bool:
        log = self._log.uploader
        is_sent = log is None or log.wait_until_sent(until)
        return self._uploader.wait_until_sent(until) and is_sent

    def _make_log_uploader(self) -> Uploader:
        metadata = another_writer(self._uploader.metadata, "logs")
        feed = log_feed(self._options.rank)
        uploader = self._make_uploader(metadata, self._make_spool(metadata), feed)
        uploader.save()
        if self._is_child:
            multiprocessing.util.Finalize(None, _finish_forgotten, exitpriority=10)
            if not metadata.run_id:
                self._register_later()
        self._log.uploader = uploader
        if self._registered is not None:
            uploader.registered(self._registered)
        uploader.start()
        return uploader

    def _make_spool(self, metadata: Metadata) -> Spool | None:
        folder = self._options.folder / metadata.writer_id
        try:
            return Spool(folder, max_bytes=self._options.spool_max_bytes)
        except (OSError, SpoolOwnedError) as error:
            _log.warning("no spool, unsent points are in memory only: %s", error)
            return None

    def _make_uploader(
        self, metadata: Metadata, spool: Spool | None, feed: Feed = METRICS
    ) -> Uploader:
        return Uploader(
            self._client,
            metadata,
            spool,
            flush_seconds=self._options.flush_seconds,
            memory_max_bytes=self._options.memory_max_bytes,
            feed=feed,
        )

    def _take_step(self) -> int:
        with self._step_lock:
            taken = self._next_step
            self._next_step = taken + 1
        return checked_step(taken)

    def _wind_up(self, *, is_finished: bool) -> RunSummary:
        uploader, log = self._uploader, self._log.uploader
        self._stop_registering.set()
        is_over = is_finished or self._is_child or uploader.appender.is_refused
        folder = "" if log is None else wind_up(log, is_needed=False)
        folder = wind_up(uploader, is_needed=not is_over) or folder
        self._close_client()
        _active.discard(self)
        return RunSummary(
            acknowledged_points=uploader.appender.acknowledged_points,
            unsent_points=uploader.unsent_points,
            refused_points=uploader.appender.refused_points,
            dropped_points=uploader.dropped_points,
            acknowledged_lines=log.appender.acknowledged_points if log else 0,
            unsent_lines=log.unsent_points if log else 0,
            lost_lines=log.appender.refused_points + log.dropped_points if log else 0,
            spool_folder=folder,
            is_finished=is_finished,
        )

    def _close_client(self) -> None:
        if self._owns_client:
            self._client.close()

    def _after_fork_in_child(self) -> None:
        """The child is another writer; the parent's thread, queue and spool are the parent's."""
        self._step_lock = threading.Lock()
        if self._summary is not None:
            return
        parents = self._uploader
        self._log.after_fork()
        for companion in self._companions:
            companion.after_fork()
        if parents.spool is not None:
            parents.spool.release()
        metadata = another_writer(parents.metadata)
        self._is_child = True
        self._stop_registering = threading.Event()
        self._uploader = self._make_uploader(metadata, None)
        self._append = self._first_append_in_child

    def _first_append_in_child(self, entry: Entry) -> None:
        """A child that never logs has no thread and no spool."""
        uploader = self._uploader
        uploader.spool = self._make_spool(uploader.metadata)
        uploader.save()
        uploader.start()
        if not uploader.metadata.run_id:
            self._register_later()
        self._append = uploader.entries.append
        self._append(entry)
        # The end of a multiprocessing child runs these, and no atexit.
        multiprocessing.util.Finalize(None, _finish_forgotten, exitpriority=10)


def _refuse_log(entry: Entry) -> None:
    del entry
    raise RuntimeError("the run was finished: it takes no more points")


_active: set[ActiveRun] = set()


def _finish_forgotten() -> None:
    """At exit: a run that nobody finished is finished as the program ends."""
    for active in list(_active):
        active.finish(status_of(getattr(sys, "last_value", None)))


def _after_fork_in_child() -> None:
    for active in list(_active):
        active._after_fork_in_child()


atexit.register(_finish_forgotten)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
