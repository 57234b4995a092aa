"""Logs a metric and reads its history again and again; writes the times as JSON.

Run by the case `history` with the Python SDK on its path: POINTS ROUNDS.
"""

import importlib
import json
import random
import sys
import time

# The SDK is on the path of whoever runs this, and not of the benchmarks.
needletail = importlib.import_module("needletail")


def main() -> None:
    """Write milliseconds by what was read into."""
    points, rounds = int(sys.argv[1]), int(sys.argv[2])
    times: dict[str, list[float]] = {"to a list": [], "to NumPy arrays": []}
    with needletail.connect() as client:
        with needletail.run(experiment="history", client=client) as run:
            for step in range(points):
                run.log({"loss": random.random()}, step=step)  # noqa: S311 no secret
        if run.finish().unsent_points:
            sys.exit("not all points were stored")
        run_id = run.id or ""
        for _ in range(rounds + 1):
            start = time.perf_counter()
            rows = client.history(run_id, "loss")[run_id, "loss"].points()
            times["to a list"].append((time.perf_counter() - start) * 1e3)
            start = time.perf_counter()
            steps, _, values = client.history(run_id, "loss")[run_id, "loss"].to_numpy()
            times["to NumPy arrays"].append((time.perf_counter() - start) * 1e3)
            if len(rows) != points or len(steps) != points or len(values) != points:
                sys.exit("points are missing")
    # The first of each opens the connection and loads NumPy.
    json.dump({name: all_of[1:] for name, all_of in times.items()}, sys.stdout)


if __name__ == "__main__":
    main()
