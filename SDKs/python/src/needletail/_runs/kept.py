"""One run of which something is kept while the server is away."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

from needletail._runs.ending import finish_as_left, wind_up
from needletail._runs.spool import Metadata, Spool, SpoolOwnedError
from needletail._runs.uploader import Uploader
from needletail.client import Client, new_idempotency_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from needletail._generated.tracking import RunStatus
    from needletail._runs.batches import Entry
    from needletail._runs.summary import Options

_log = logging.getLogger("needletail")

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 5.0
# As in a run of `needletail.run`: beyond it the newest points are dropped, and counted.
MAX_QUEUED_LOGS = 250_000


class KeptRun:
    """A writer for as long as something is left to send; then it is over, and its folder gone."""

    def __init__(self, client: Client, run_id: str, organization_id: str, options: Options) -> None:
        self.run_id = run_id
        self._client = client
        metadata = Metadata(
            writer_id=str(uuid.uuid4()),
            run_id=run_id,
            organization_id=organization_id,
            run_key=new_idempotency_key(),
        )
        self._uploader = Uploader(
            client,
            metadata,
            _spool(metadata, options),
            flush_seconds=options.flush_seconds,
            memory_max_bytes=options.memory_max_bytes,
        )
        self._uploader.save()
        self._lock = threading.Lock()
        self._is_over = self._is_closed = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def folder(self) -> str:
        """Where it is kept; for people."""
        spool = self._uploader.spool
        return "memory" if spool is None else str(spool.folder)

    @property
    def is_over(self) -> bool:
        """Whether everything was sent: it takes nothing more."""
        return self._is_over

    @property
    def is_closed(self) -> bool:
        """Whether the process ends: it sends nothing more, and takes no points."""
        return self._is_closed

    @property
    def is_ending(self) -> bool:
        """Whether the end of the run is known."""
        return bool(self._uploader.metadata.finish_status)

    def start(self, when_over: Callable[[KeptRun], None]) -> None:
        """Begins to send."""
        self._uploader.start()
        self._thread = threading.Thread(
            target=self._watch, args=(when_over,), name="needletail-kept", daemon=True
        )
        self._thread.start()

    def append(self, entries: Iterable[Entry]) -> bool:
        """Takes points, behind everything before; False = it is over, or closed."""
        uploader = self._uploader
        with self._lock:
            if self._is_over or self._is_closed:
                return False
            for entry in entries:
                if len(uploader.entries) < MAX_QUEUED_LOGS:
                    uploader.entries.append(entry)
                else:
                    why = "they come faster than they can be written"
                    uploader.count_dropped(len(entry[2]), why)
        return True

    def keep(self, key: str, request: bytes, points: int) -> bool:
        """Takes a call, before all points; False = it is over, or there is no room."""
        with self._lock:
            return not self._is_over and self._uploader.owed.add(key, request, points)

    def finish(self, status: RunStatus, time_us: int) -> bool:
        """Takes the end of the run, which comes after everything; False = it is over."""
        with self._lock:
            if self._is_over:
                return False
            metadata = self._uploader.metadata
            metadata.finish_status = status.name
            metadata.finish_time_us = time_us
            metadata.finish_key = new_idempotency_key()
            self._uploader.save()
        return True

    def wait_until_sent(self, until: float) -> bool:
        """Waits until nothing is left to send, but perhaps the end of the run."""
        return self._uploader.wait_until_sent(until)

    def close(self, until: float) -> bool:
        """Waits, then leaves what is left to `sync`; returns whether nothing is."""
        if self._thread is not None:
            self._uploader.wait_until_sent(until)
            self._closing.set()
            self._thread.join(_PAUSE_SECONDS)
        with self._lock:
            if self._is_over:
                return True
            is_left = not self._uploader.is_idle or self.is_ending
            self._is_over, self._is_closed = not is_left, True
        wind_up(self._uploader, is_needed=is_left)
        return not is_left

    def abandon(self) -> None:
        """In a forked child: everything is the parent's."""
        if self._uploader.spool is not None:
            self._uploader.spool.release()

    def _watch(self, when_over: Callable[[KeptRun], None]) -> None:
        uploader = self._uploader
        while not self._closing.is_set():
            if not uploader.wait_until_sent(time.monotonic() + _LOOK_SECONDS):
                continue
            key = uploader.metadata.finish_key
            if key and not self._finish():
                self._closing.wait(_PAUSE_SECONDS)
                continue
            with self._lock:
                if not uploader.is_idle or uploader.metadata.finish_key != key:
                    continue
                self._is_over = True
            wind_up(uploader, is_needed=False)
            _log.info("what was kept of run %s is sent", self.run_id)
            when_over(self)
            return

    def _finish(self) -> bool:
        error = finish_as_left(self._client, self._uploader.metadata)
        if error is None:
            return True
        if error.is_unanswered or error.is_retryable:
            return False
        _log.warning("run %s can't be ended: %s", self.run_id, error)
        return True


def _spool(metadata: Metadata, options: Options) -> Spool | None:
    try:
        return Spool(options.folder / metadata.writer_id, max_bytes=options.spool_max_bytes)
    except (OSError, SpoolOwnedError) as error:
        _log.warning("no spool, what can't be sent is in memory only: %s", error)
        return None
