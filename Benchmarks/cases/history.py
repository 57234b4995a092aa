"""All points of a metric, from the server to Python's own lists and arrays.

The reader is a program of its own, as a notebook would be; what another tracker takes for the same
history is a constant, measured with MLflow 3.17 on PostgreSQL.
"""

from contextlib import ExitStack

from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.figures import Spread
from Benchmarks.postgres import cluster
from Benchmarks.sdk_programs import times
from Benchmarks.server import server

POINTS = 100_000
_MLFLOW_SECONDS = 5.95
_AT_MOST_MS = _MLFLOW_SECONDS * 1e3 / 100
_MILLISECONDS = ("to a list", "to NumPy arrays")


def _history(settings: Settings, outcome: Outcome) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "history-pg"))
        started = stack.enter_context(server(settings.work / "history", postgres=database.url))
        rounds = max(3, settings.pairs)
        found = times("history_reader.py", started, settings.work, POINTS, rounds)
    for name in _MILLISECONDS:
        spread = Spread.of(found[name])
        outcome.bounds.append(Bound(f"{POINTS:,} points {name}", "ms", spread, _AT_MOST_MS))
    outcome.notes.append(f"1/100 of MLflow's {_MLFLOW_SECONDS} s")


CASES = (Case("history", f"A history of {POINTS:,} points in Python", _history),)
