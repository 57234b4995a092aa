"""Logging on while the server is away, for those who log by single calls.

`needletail.run` has this built in. Here a call of LogBatch that had no answer is kept, with its
key; points after it are kept behind it; and the end of the run comes last. All of it is on disk,
and sent once the server is there: by this process, or by `python -m needletail sync`.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import multiprocessing.util
import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from needletail._generated.tracking_calls import TRACKING_LOG_BATCH
from needletail._runs.kept import KeptRun
from needletail._runs.run import (
    DEFAULT_MEMORY_MAX_BYTES,
    DEFAULT_SPOOL_MAX_BYTES,
    default_spool_folder,
)
from needletail._runs.summary import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from needletail._generated.tracking import LogBatchRequest, RunStatus
    from needletail._runs.batches import Entry
    from needletail.client import Client
    from needletail.errors import CallError

_log = logging.getLogger("needletail")

_FLUSH_SECONDS = 0.2
_FINISH_TIMEOUT_SECONDS = 30.0
# Who ended a run has waited already.
_GOODBYE_SECONDS = 1.0


class RunSpools:
    """What is kept of runs, for any number of threads. A forked child has its own."""

    def __init__(
        self,
        client: Client,
        *,
        spool_dir: str | os.PathLike[str] | None = None,
        spool_max_bytes: int = DEFAULT_SPOOL_MAX_BYTES,
        finish_timeout_seconds: float = _FINISH_TIMEOUT_SECONDS,
    ) -> None:
        """Makes nothing yet.

        Args:
            client: Who sends.
            spool_dir: Else `NEEDLETAIL_SPOOL_DIR`, else `~/.cache/needletail/spool`.
            spool_max_bytes: How large that folder may become.
            finish_timeout_seconds: How long the end of the process waits until all is sent.
        """
        self.organization_id = client.settings.organization_id
        """Whose runs these are, so that `sync` sends them with no other's key; may be unknown."""

        self._client = client
        self._options = Options(
            Path(spool_dir) if spool_dir is not None else default_spool_folder(),
            spool_max_bytes,
            DEFAULT_MEMORY_MAX_BYTES,
            _FLUSH_SECONDS,
            finish_timeout_seconds,
            0,
        )
        self._lock = threading.Lock()
        self._runs: dict[str, KeptRun] = {}
        self._is_closed = False
        _spools.add(self)

    def holds(self, run_id: str) -> bool:
        """Whether something is kept of a run."""
        kept = self._runs.get(run_id)
        return kept is not None and not kept.is_over

    def append(self, run_id: str, entries: Iterable[Entry]) -> bool:
        """Keeps points behind what is kept of the run; False = nothing is, so call the server.

        Entries are steps, times in microseconds since 1970, and values by key.
        """
        kept = self._runs.get(run_id)
        return kept is not None and kept.append(entries)

    def keep(
        self, request: LogBatchRequest, idempotency_key: str, error: CallError | None = None
    ) -> bool:
        """Keeps a call of LogBatch that was made with this key, or not yet; False = no room."""
        data = TRACKING_LOG_BATCH.encode_request(request)
        several = (*request.series, *(one.series for one in request.model_series))
        points = sum(len(series.values) for series in several if series is not None)
        run_id = request.run_id
        return self._with(run_id, error, lambda kept: kept.keep(idempotency_key, data, points))

    def settle(self, run_id: str) -> bool:
        """Waits until nothing is kept of a run, as long as its end would; returns whether so."""
        kept = self._runs.get(run_id)
        if kept is None or kept.is_over:
            return True
        if kept.is_closed:
            return False
        return kept.wait_until_sent(time.monotonic() + self._options.finish_timeout_seconds)

    def finish(self, run_id: str, status: RunStatus, time_us: int, error: CallError | None) -> None:
        """Keeps the end of a run."""
        self._with(run_id, error, lambda kept: kept.finish(status, time_us))

    def close(self) -> None:
        """Waits for what is kept, and leaves the rest to `sync`. Called as the process ends."""
        self._is_closed = True
        until = time.monotonic() + self._options.finish_timeout_seconds
        for kept in list(self._runs.values()):
            patience = time.monotonic() + _GOODBYE_SECONDS if kept.is_ending else until
            if kept.close(min(until, patience)):
                self._forget(kept)

    def _with(self, run_id: str, error: CallError | None, use: Callable[[KeptRun], bool]) -> bool:
        with self._lock:
            kept = self._runs.get(run_id)
            if kept is not None and use(kept):
                return True
            if kept is not None and not kept.is_over:
                return False
            kept = self._runs[run_id] = KeptRun(
                self._client, run_id, self.organization_id, self._options
            )
            is_taken = use(kept)
            self._begin(kept, error)
        return is_taken

    def _begin(self, kept: KeptRun, error: CallError | None) -> None:
        _log.warning(
            "the server is away: what run %s logs is kept in %s, and sent later: %s",
            kept.run_id,
            kept.folder,
            error,
        )
        if self._is_closed:
            kept.close(0.0)
            return
        if multiprocessing.parent_process() is not None:
            # The end of a multiprocessing child runs these, and no atexit.
            multiprocessing.util.Finalize(None, _close_all, exitpriority=10)
        kept.start(self._forget)

    def _forget(self, kept: KeptRun) -> None:
        with self._lock:
            if self._runs.get(kept.run_id) is kept:
                del self._runs[kept.run_id]

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        for kept in self._runs.values():
            kept.abandon()
        self._runs = {}


_spools: weakref.WeakSet[RunSpools] = weakref.WeakSet()


def _close_all() -> None:
    for spools in list(_spools):
        spools.close()


def _after_fork_in_child() -> None:
    for spools in list(_spools):
        spools._after_fork_in_child()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
