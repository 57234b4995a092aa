"""Links of traces to runs that are asked for before the traces come."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from needletail.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from needletail_mlflow.connection import Connection

_MOST = 10_000


class LateLinks:
    """The runs that traces are to be linked to once they come, by the traces' identifiers.

    MLflow's clients send traces beside what they do next. This process knows of its own ones.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._runs: dict[str, set[str]] = {}

    def keep(self, trace_ids: Iterable[str], run_uuid: str) -> None:
        with self._lock:
            for trace_id in trace_ids:
                self._runs.setdefault(trace_id, set()).add(run_uuid)
            while len(self._runs) > _MOST:
                del self._runs[next(iter(self._runs))]

    def forget(self, trace_ids: Iterable[str], run_uuid: str) -> None:
        with self._lock:
            for trace_id in trace_ids:
                runs = self._runs.get(trace_id, set())
                runs.discard(run_uuid)
                if not runs:
                    self._runs.pop(trace_id, None)

    def arrived(self, trace_ids: Iterable[str]) -> None:
        """Links traces that were waited for."""
        if not self._runs:
            return
        for trace_id in trace_ids:
            with self._lock:
                runs = self._runs.pop(trace_id, set())
            for uuid in runs:
                # A run that has gone meanwhile is nothing that the trace has to do with.
                with contextlib.suppress(CallError):
                    self._connection.client.tracing.link_traces_to_run(
                        project_id=self._connection.project_id, run_id=uuid, trace_ids=[trace_id]
                    )
