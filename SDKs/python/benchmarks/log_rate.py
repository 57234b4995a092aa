"""How many points a second one process logs durably, and what `run.log` costs the training thread.

Ten metrics a call, to the server that the usual settings name; prints one JSON object. Points are
counted when the server has acknowledged them: they are committed to disk.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import needletail

METRICS = 10
FLOOD_SECONDS = 5.0
BATCH_CALLS = 100
PACED_CALLS = 2_000
STEP_SECONDS = 0.0005
FLUSH_SECONDS = 60.0


def main() -> None:
    """Measures both and prints them."""
    keys = [f"load/metric-{number}" for number in range(METRICS)]
    values = [{key: step * 0.25 + place for place, key in enumerate(keys)} for step in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        run = needletail.run(experiment="rate", spool_dir=Path(folder))
        calls = 0
        start = time.perf_counter()
        while time.perf_counter() - start < FLOOD_SECONDS:
            for _ in range(BATCH_CALLS):
                run.log(values[calls % 1000])
                calls += 1
        logged = time.perf_counter() - start
        if not run.flush(timeout_seconds=FLUSH_SECONDS):
            raise SystemExit("the points were not acknowledged in time")
        durable = time.perf_counter() - start
        costs = []
        for step in range(PACED_CALLS):
            busy_until = time.perf_counter() + STEP_SECONDS
            while time.perf_counter() < busy_until:
                pass
            begun = time.perf_counter()
            run.log(values[step % 1000])
            costs.append((time.perf_counter() - begun) * 1e6)
        summary = run.finish()
    costs.sort()
    report = {
        "points_per_second": calls * METRICS / durable,
        "flood_log_us": logged / calls * 1e6,
        "log_p50_us": statistics.median(costs),
        "log_p99_us": costs[len(costs) * 99 // 100],
        "dropped": summary.dropped_points,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
