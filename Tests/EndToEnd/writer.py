"""A program that logs numbered points until its input ends, as any training script would.

It knows nothing of faults: it connects once, logs, and at the end says what became of its points.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import needletail

PACE_SECONDS = 0.0005


def main() -> None:
    """Log until standard input ends; write the run's id first and its summary last."""
    told_to_stop = threading.Event()
    with needletail.run(experiment="numbered", finish_timeout_seconds=60) as run:
        print(json.dumps({"run_id": run.id}), flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), told_to_stop.set()), daemon=True).start()
        step = 0
        while not told_to_stop.is_set():
            run.log({"up": step / 2, "down": -step}, step=step)
            run.log_line(f"line {step}")
            step += 1
            time.sleep(PACE_SECONDS)
    summary = run.finish()
    print(
        json.dumps({
            "steps": step,
            "acknowledged": summary.acknowledged_points,
            "unsent": summary.unsent_points,
            "refused": summary.refused_points,
            "dropped": summary.dropped_points,
            "is_finished": summary.is_finished,
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
