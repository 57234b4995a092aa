"""A job that calls a tracking server by MLflow's client: URI; what to do comes line by line.

Run by the case `mlflow-plugin` with the Python that has MLflow, once with the address of MLflow's
own server and once with one of Needletail: all else is the same. A line is JSON: an operation, and
either how long, or how often, it is done; so is what is answered.
"""

import importlib
import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_BATCH = 1_000
_FILTER, _ORDER, _FOUND = "metrics.accuracy > 0.5", "metrics.accuracy DESC", 100
_HISTORY_RUN = "NEEDLETAIL_BENCH_HISTORY_RUN"


class Job:
    """Everything that can be asked for; `step` counts up over all calls."""

    def __init__(self, uri: str) -> None:
        """Makes a run to log to, and one to read."""
        mlflow = importlib.import_module("mlflow")
        entities = importlib.import_module("mlflow.entities")
        logging.disable(logging.WARNING)
        self.client: Any = mlflow.MlflowClient(tracking_uri=uri, registry_uri="sqlite://")
        self.metric: Any = entities.Metric
        self.param: Any = entities.Param
        self.tag: Any = entities.RunTag
        self.experiment = self.client.create_experiment(f"jobs of {os.getpid()}")
        self.run = self.new_run()
        self.read = self.new_run()
        self.describe(self.read, 1)
        self.history = os.environ.get(_HISTORY_RUN, "")

    def new_run(self, experiment: str = "") -> str:
        """Creates a run."""
        return str(self.client.create_run(experiment or self.experiment).info.run_id)

    def describe(self, run: str, number: int) -> None:
        """Gives a run what the runs have that are searched."""
        names = ["loss", "accuracy", *(f"metric {k}" for k in range(3, 11))]
        values = [(number * 7919 + k * 104_729) % 1_000_003 / 1_000_003 for k in range(10)]
        self.client.log_batch(
            run,
            [self.metric(name, v, 0, 999) for name, v in zip(names, values, strict=True)],
            [self.param(f"parameter {k}", str(number * k)) for k in range(1, 21)],
            [self.tag(f"tag {k}", str(number % (k * 10))) for k in range(1, 6)],
        )

    def append(self, run: str, step: int) -> None:
        """Logs a thousand points of a metric."""
        first = step * _BATCH
        points = [self.metric("loss", n % 997 / 997, n, n) for n in range(first, first + _BATCH)]
        self.client.log_batch(run, points)

    # What is measured.

    def log_batch(self, step: int) -> None:
        """A thousand points."""
        self.append(self.run, step)

    def log_metric(self, step: int) -> None:
        """One point."""
        self.client.log_metric(self.run, "one", 0.5, timestamp=step, step=step)

    def create_run(self, _: int) -> None:
        """A run."""
        self.new_run()

    def get_run(self, _: int) -> None:
        """A run with all that it has."""
        if len(self.client.get_run(self.read).data.params) != 20:
            raise SystemExit("the run lacks parameters")

    def search_runs(self, _: int) -> None:
        """The best hundred."""
        found = self.client.search_runs(["0"], _FILTER, max_results=_FOUND, order_by=[_ORDER])
        if len(found) != _FOUND:
            raise SystemExit(f"{len(found)} runs found")

    def get_metric_history(self, _: int) -> None:
        """Every point of a metric."""
        if not self.client.get_metric_history(self.history, "loss"):
            raise SystemExit("there is no history")

    # What is there before.

    def fill(self, step: int) -> None:
        """One more run that is searched."""
        self.describe(self.new_run("0"), step)

    def fill_history(self, step: int) -> None:
        """A thousand points more of the history that is read."""
        self.history = self.history or self.new_run()
        self.append(self.history, step)


def main() -> None:
    """Do as told until there is nothing more to do."""
    job = Job(sys.argv[1])
    step = 0
    answer({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        call: Callable[[int], None] = getattr(job, asked["operation"])
        until = time.perf_counter() + asked.get("seconds", 0.0)
        least = asked.get("times", 1)
        microseconds: list[float] = []
        cpu = time.process_time()
        begun = time.perf_counter()
        while (start := time.perf_counter()) < until or len(microseconds) < least:
            call(step)
            microseconds.append((time.perf_counter() - start) * 1e6)
            step += 1
        elapsed = time.perf_counter() - begun
        own = (time.process_time() - cpu) / len(microseconds) * 1e6
        answer({"seconds": elapsed, "own_us": own, "microseconds": microseconds})


def answer(content: dict[str, object]) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
