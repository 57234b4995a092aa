"""Reads a metric's history with MLflow's client: URL RUN KEY ROUNDS; milliseconds as JSON.

Run by the case `mlflow` with the Python that has MLflow.
"""

import importlib
import json
import sys
import time


def main() -> None:
    """Write how long each reading took; the first, which loads what it needs, does not count."""
    url, run, key, rounds = sys.argv[1:]
    client = importlib.import_module("mlflow").MlflowClient(tracking_uri=url)
    times: list[float] = []
    for _ in range(int(rounds) + 1):
        start = time.perf_counter()
        points = client.get_metric_history(run, key)
        times.append((time.perf_counter() - start) * 1e3)
        sys.stderr.write(f"{len(points)} points\n")
    json.dump(times[1:], sys.stdout)


if __name__ == "__main__":
    main()
