"""What `run.log` costs the training thread: microseconds a call, without and with a server away.

Nothing listens at the address, so points go to the spool: the dearest case, since the uploader's
thread competes for the interpreter all the time.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import needletail

ROUNDS = 7
CALLS = 20_000
STEP_SECONDS = 0.0005


def main() -> None:
    """Prints a table."""
    logging.getLogger("needletail").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        run = needletail.run(
            experiment="cost",
            url="needletail://127.0.0.1:1",
            api_key="none",
            spool_dir=Path(folder),
            start_timeout_seconds=0.05,
        )
        flood, paced, worst = [], [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for step in range(CALLS):
                run.log({"loss": 0.25, "accuracy": 0.75}, step=step)
            flood.append((time.perf_counter() - start) / CALLS * 1e6)
            run.flush(timeout_seconds=0.3)
            costs = []
            for step in range(1000):
                busy_until = time.perf_counter() + STEP_SECONDS
                while time.perf_counter() < busy_until:
                    pass
                start = time.perf_counter()
                run.log({"loss": 0.25, "accuracy": 0.75}, step=step)
                costs.append((time.perf_counter() - start) * 1e6)
            paced.append(statistics.median(costs))
            worst.append(sorted(costs)[990])
        run.finish(timeout_seconds=0)
    sys.stdout.write("run.log of 2 metrics, microseconds a call (median of rounds, spread)\n")
    for name, values in (
        ("back to back", flood),
        (f"one in {STEP_SECONDS * 1e3:g} ms of work", paced),
        ("the same, 99th percentile", worst),
    ):
        spread = f"{min(values):.2f} to {max(values):.2f}"
        sys.stdout.write(f"{name:28} {statistics.median(values):8.2f}   {spread}\n")


if __name__ == "__main__":
    main()
