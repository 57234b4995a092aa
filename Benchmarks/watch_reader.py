"""Appends batch by batch while another connection watches; writes how late it heard as JSON.

Run by the case `watch-live` with the Python SDK on its path: BATCHES. Both sides are of one
process, so that they have one clock.
"""

import importlib
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

# The SDK is on the path of whoever runs this, and not of the benchmarks.
needletail = importlib.import_module("needletail")
types = importlib.import_module("needletail.tracking")

# What the module, which no checker sees, gives and takes.
SDK = Any

_EVERY_SECONDS = 0.02
_LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that is appended in batches and watched; a batch is found again by its number."""

    append: Callable[[SDK], SDK]
    request: Callable[[str, str, int], SDK]
    watch: Callable[[SDK, str], SDK]
    numbers: Callable[[SDK], Iterable[int]]


def _append_points(writer: str, run_id: str, number: int) -> SDK:
    series = types.MetricSeries(key="loss", steps=(number,), values=(0.5,))
    runs = (types.RunMetrics(run_id=run_id, series=(series,)),)
    return types.AppendMetricsRequest(writer_id=writer, sequence=number, runs=runs)


def _append_lines(writer: str, run_id: str, number: int) -> SDK:
    text = str(number)
    lines = types.RunLogs(
        run_id=run_id, text=text, text_bytes=(len(text),), times_us=(time.time_ns() // 1_000,)
    )
    return types.AppendLogsRequest(writer_id=writer, sequence=number, runs=(lines,))


KINDS = {
    "points": Kind(
        append=lambda tracking: tracking.append_metrics(timeout_seconds=_LIMIT_SECONDS),
        request=_append_points,
        watch=lambda tracking, run_id: tracking.watch_run(
            run_id=run_id, timeout_seconds=_LIMIT_SECONDS
        ),
        numbers=lambda message: (step for series in message.series for step in series.steps),
    ),
    "lines": Kind(
        append=lambda tracking: tracking.append_logs(timeout_seconds=_LIMIT_SECONDS),
        request=_append_lines,
        watch=lambda tracking, run_id: tracking.watch_logs(
            run_id=run_id, timeout_seconds=_LIMIT_SECONDS
        ),
        numbers=lambda message: (int(line.text) for line in message.lines),
    ),
}


def _lateness(tracking: SDK, watching: SDK, run_id: str, kind: Kind, batches: int) -> list[float]:
    """Milliseconds from the acknowledgement of each batch to when the watcher had it.

    The first batch only shows that the watcher is there.
    """
    arrivals: dict[int, float] = {}
    first_came = threading.Event()

    def watch() -> None:
        with kind.watch(watching, run_id) as messages:
            for message in messages:
                now = time.perf_counter()
                for number in kind.numbers(message):
                    arrivals.setdefault(number, now)
                if arrivals:
                    first_came.set()
                if len(arrivals) == batches + 1:
                    return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    writer = str(uuid.uuid4())
    acknowledged: dict[int, float] = {}
    with kind.append(tracking) as stream:
        for number in range(1, batches + 2):
            stream.send(kind.request(writer, run_id, number))
            while stream.receive(_LIMIT_SECONDS).acknowledged_sequence < number:
                pass
            acknowledged[number] = time.perf_counter()
            if not first_came.wait(_LIMIT_SECONDS):
                sys.exit("the watcher heard nothing")
            time.sleep(_EVERY_SECONDS)
    watcher.join(_LIMIT_SECONDS)
    if len(arrivals) != batches + 1:
        sys.exit(f"the watcher heard {len(arrivals)} of {batches + 1} batches")
    # Another thread may be told sooner than the one that appends.
    return [max(0.0, arrivals[one] - acknowledged[one]) * 1e3 for one in range(2, batches + 2)]


def main() -> None:
    """Write milliseconds by what was watched."""
    batches = int(sys.argv[1])
    late = {}
    with (
        needletail.connect() as client,
        needletail.connect() as other,
        needletail.run(experiment="watch", client=client) as run,
    ):
        for name, kind in KINDS.items():
            late[name] = _lateness(client.tracking, other.tracking, run.id or "", kind, batches)
    json.dump(late, sys.stdout)


if __name__ == "__main__":
    main()
