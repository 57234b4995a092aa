"""One stream of AppendMetrics by hand, and what is sent over it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from wire import Wire, message

if TYPE_CHECKING:
    from program import Connection

TIME_US = 1_800_000_000_000_000


def series(steps: list[int], key: str = "x", **columns: Any) -> Any:
    """Make columns; each value is its step unless it is given."""
    columns.setdefault("times_us", [TIME_US] * len(steps))
    columns.setdefault("values", [float(step) for step in steps])
    return message("MetricSeries", key=key, steps=steps, **columns)


def batch(sequence: int, run_id: str, *of: Any, writer: str = "") -> Any:
    """Make a batch of one run, or of none where its id is empty."""
    runs = [message("RunMetrics", run_id=run_id, series=of)] if run_id else []
    return message("AppendMetricsRequest", writer_id=writer, sequence=sequence, runs=runs)


class Writer:
    """One stream of AppendMetrics."""

    def __init__(self, wire: Wire, writer_id: str | None = None) -> None:
        """Open the stream and hear how far the writer has come."""
        self.wire = wire
        self.id = writer_id or str(uuid.uuid4())
        self.stream = wire.open("AppendMetrics", batch(0, "", writer=self.id), end=False)
        self.acknowledged = self._next().acknowledged_sequence

    def _next(self) -> Any:
        frame = self.wire.receive()
        assert frame.stream == self.stream
        assert frame.HasField("data"), frame
        return message("AppendMetricsResponse").FromString(frame.data.message)

    def send(self, *batches: Any) -> None:
        """Send batches."""
        for one in batches:
            self.wire.data(self.stream, one)

    def wait_for(self, sequence: int) -> None:
        """Wait for the acknowledgement of a batch."""
        while self.acknowledged < sequence:
            self.acknowledged = self._next().acknowledged_sequence

    def finish(self) -> Any:
        """Take acknowledgements to the end of the stream; return its End."""
        for frame in self.wire.frames():
            assert frame.stream == self.stream
            if frame.HasField("end"):
                return frame.end
            answer = message("AppendMetricsResponse").FromString(frame.data.message)
            assert answer.acknowledged_sequence >= self.acknowledged
            self.acknowledged = answer.acknowledged_sequence
        raise AssertionError("the connection was closed")

    def refused(self, *batches: Any) -> Any:
        """Send what must end the stream; return the status."""
        self.send(*batches)
        return self.finish().status


def visible_steps(sql: Connection, run_id: str) -> list[int]:
    """Return the steps of all points that no later epoch shadows."""
    rows = sql.execute("select step from run_metrics where run_id = %s order by step", [run_id])
    return [row["step"] for row in rows.fetchall()]
