"""Logging while the server is away: what it has not answered is kept on disk, and sent later."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from needletail.client import new_idempotency_key
from needletail.errors import CallError
from needletail.tracking import LogBatchRequest

from needletail_mlflow.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from needletail.spools import RunSpools
    from needletail.tracking import MetricSeries, RunStatus

    from needletail_mlflow.connection import Connection

SPOOL_VARIABLE = "NEEDLETAIL_MLFLOW_SPOOL"
PATIENCE_VARIABLE = "NEEDLETAIL_MLFLOW_PATIENCE_SECONDS"
_DEFAULT_PATIENCE_SECONDS = 10.0
# Set in the processes of `mlflow server`: whoever logs over it is told what went wrong, and tries
# again by rules of their own.
_SERVER_VARIABLE = "_MLFLOW_SERVER_FILE_STORE"
# What of a batch a writer of points takes; with anything else it stays a call.
_POINTS = {"series", "any_status"}
_SWITCH = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


class Keeping:
    """Makes the calls by which runs log; keeps those that no server answered."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_on = _is_on()
        self._patience = patience_seconds()

    def log(self, run_id: str, **batch: Any) -> None:
        """Calls LogBatch, or keeps the call.

        Raises:
            CallError: The server refused it, or it can't be kept.
        """
        tracking = self._connection.client.tracking
        if not self._is_on:
            tracking.log_batch(run_id=run_id, **batch)
            return
        spools = self._connection.spools
        if spools.holds(run_id) and self._keep(spools, run_id, batch):
            return
        key = new_idempotency_key()
        try:
            tracking.log_batch(
                run_id=run_id, **batch, timeout_seconds=self._patience, idempotency_key=key
            )
        except CallError as error:
            if not error.is_unanswered or not spools.keep(_request(run_id, batch), key, error):
                raise

    def end(self, run_id: str, status: RunStatus, end_ms: int | None, **update: Any) -> Any:
        """Ends a run, behind all that is kept of it; None = its end is kept, too.

        Raises:
            CallError: The server refused it.
        """
        tracking = self._connection.client.tracking
        if not self._is_on:
            return tracking.update_run(id=run_id, status=status, **update)
        spools = self._connection.spools
        problem: CallError | None = None
        if spools.settle(run_id):
            try:
                return tracking.update_run(
                    id=run_id, status=status, **update, timeout_seconds=self._patience
                )
            except CallError as error:
                if not error.is_unanswered:
                    raise
                problem = error
        time_us = time.time_ns() // 1_000 if end_ms is None else end_ms * 1_000
        spools.finish(run_id, status, time_us, problem)
        return None

    @staticmethod
    def _keep(spools: RunSpools, run_id: str, batch: dict[str, Any]) -> bool:
        if not any(batch[name] for name in batch if name not in _POINTS):
            return spools.append(run_id, _entries(batch["series"]))
        return spools.keep(_request(run_id, batch), new_idempotency_key())


def _request(run_id: str, batch: dict[str, Any]) -> LogBatchRequest:
    return LogBatchRequest(run_id=run_id, **batch)


def _entries(
    several: Sequence[MetricSeries],
) -> Iterator[tuple[int, int, list[tuple[str, float]]]]:
    for series in several:
        for step, time_us, value in zip(series.steps, series.times_us, series.values, strict=True):
            yield step, time_us, [(series.key, value)]


def _is_on() -> bool:
    said = os.environ.get(SPOOL_VARIABLE, "").strip().lower()
    if not said:
        return _SERVER_VARIABLE not in os.environ
    if said not in _SWITCH:
        raise invalid(f"{SPOOL_VARIABLE} is {said!r}: write 1 or 0")
    return _SWITCH[said]


def patience_seconds() -> float:
    """How long a call that logs, and the end of a run, wait for a server that is away."""
    said = os.environ.get(PATIENCE_VARIABLE, "").strip()
    try:
        patience = float(said) if said else _DEFAULT_PATIENCE_SECONDS
    except ValueError:
        patience = 0.0
    if not 0 < patience < float("inf"):
        raise invalid(f"{PATIENCE_VARIABLE} is {said!r}: write a number of seconds above 0")
    return patience
