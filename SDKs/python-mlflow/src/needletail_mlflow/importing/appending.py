"""Points on their way: in numbered batches of a writer, which the server takes exactly once."""

from __future__ import annotations

import collections
import hashlib
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

from needletail.errors import CallError
from needletail.tracking import AppendMetricsRequest, MetricSeries, RunMetrics

from needletail_mlflow.importing import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from needletail_mlflow.importing.points import Point

BATCH_POINTS = 10_000
"""Points in a request at most: the server's bound."""

_UNACKNOWLEDGED = 16
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = (0.1, 5.0)
_NAMESPACE = uuid.UUID("6f1d7c1e-3f0b-4a57-9b0e-7a3a4f6d2c10")


def writer_of(source_name: str, run_id: str, project_id: str) -> str:
    """UUID of the writer of a source's run: the same in every import."""
    return str(uuid.uuid5(_NAMESPACE, f"{project_id}\0{source_name}\0{run_id}"))


def batches(series: Iterable[tuple[str, Iterable[Point]]]) -> Iterator[list[MetricSeries]]:
    """Points of metrics, as many together as a request takes."""
    batch: list[MetricSeries] = []
    left = BATCH_POINTS
    for key, found in series:
        held: list[Point] = []
        for one in found:
            held.append(one)
            if len(held) == left:
                yield [*batch, _series(key, held)]
                batch, held, left = [], [], BATCH_POINTS
        if held:
            batch.append(_series(key, held))
            left -= len(held)
    if batch:
        yield batch


def count(batch: list[MetricSeries]) -> int:
    """Points in a batch."""
    return sum(len(one.steps) for one in batch)


def log(tracking: Any, run_id: str, batch: list[MetricSeries]) -> None:
    """Writes a batch to a run that is not RUNNING, once, however often it is tried."""
    digest = hashlib.sha256(repr((run_id, batch)).encode()).hexdigest()
    tracking.log_batch(
        run_id=run_id, series=batch, any_status=True, idempotency_key=digest[: 2 * 16]
    )


class Appender:
    """A writer's stream to a RUNNING run; goes on where it was after a lost connection."""

    def __init__(
        self, tracking: Any, run_id: str, writer_id: str, check: Callable[[], None]
    ) -> None:
        self._tracking = tracking
        self._run_id = run_id
        self._writer_id = writer_id
        self._check = check
        self._stream: Any = None
        self._next = 0
        self._waiting: collections.deque[tuple[int, list[MetricSeries]]] = collections.deque()
        self._failures = 0
        self._until = 0.0

    def open(self) -> int:
        """Begins the stream; returns the number of the last batch that is committed."""
        self._trying(self._opened)
        return self._next - 1

    def send(self, batch: list[MetricSeries]) -> None:
        """Sends a batch; waits while many are on their way."""
        self._check()
        self._trying(self._opened)
        self._waiting.append((self._next, batch))
        self._trying(lambda: self._sent(self._waiting[-1]), resends=True)
        self._next += 1
        while len(self._waiting) >= _UNACKNOWLEDGED:
            self._trying(self._heard, resends=True)

    def finish(self) -> None:
        """Waits until everything is committed."""
        while self._waiting:
            self._check()
            self._trying(self._heard, resends=True)
        if self._stream is not None:
            self._stream.half_close()
            for _ in self._stream:
                pass
            self._stream = None

    def close(self) -> None:
        """Ends the stream, whatever is on its way."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> None:
        if self._stream is not None:
            return
        self._stream = self._tracking.append_metrics()
        self._stream.send(AppendMetricsRequest(writer_id=self._writer_id))
        committed = self._committed()
        self._next = self._next or committed + 1
        self._acknowledge(committed)
        for one in self._waiting:
            self._sent(one)

    def _sent(self, numbered: tuple[int, list[MetricSeries]]) -> None:
        sequence, batch = numbered
        self._stream.send(
            AppendMetricsRequest(
                writer_id=self._writer_id,
                sequence=sequence,
                runs=(RunMetrics(run_id=self._run_id, series=tuple(batch)),),
            )
        )

    def _heard(self) -> None:
        self._acknowledge(self._committed())
        self._failures = 0

    def _committed(self) -> int:
        answer = self._stream.receive()
        if answer is None:
            raise ConnectionError("the server ended a stream of points")
        return answer.acknowledged_sequence

    def _acknowledge(self, committed: int) -> None:
        while self._waiting and self._waiting[0][0] <= committed:
            self._waiting.popleft()

    def _trying(self, action: Callable[[], None], *, resends: bool = False) -> None:
        """Does something with the stream, and again on a new one while the server is away."""
        while True:
            try:
                if resends and self._stream is None:
                    # Opening sends all that waits; nothing else is to be done.
                    self._opened()
                else:
                    action()
            except (CallError, ConnectionError) as error:
                self.close()
                self._pause(error)
            else:
                return

    def _pause(self, error: CallError | ConnectionError) -> None:
        now = time.monotonic()
        if self._failures == 0:
            self._until = now + _PATIENCE_SECONDS
        self._failures += 1
        if isinstance(error, CallError) and not error.is_retryable:
            raise error
        if now >= self._until:
            raise error
        first, longest = _PAUSE_SECONDS
        time.sleep(min(longest, first * 2**self._failures) * random.uniform(0.5, 1))  # noqa: S311
        self._check()


def _series(key: str, found: list[Point]) -> MetricSeries:
    return MetricSeries(
        key=key,
        steps=tuple(one[0] for one in found),
        times_us=tuple(one[1] for one in found),
        values=tuple(points.value_of(one) for one in found),
    )
