"""All points of a metric, from the server to Python's own lists and arrays.

The reader is a program of its own, as a notebook would be; what another tracker takes for the same
history is a constant, measured with MLflow 3.17 on PostgreSQL.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.figures import MeasurementError, PeerMissingError, Spread
from Benchmarks.postgres import cluster
from Benchmarks.processes import ROOT
from Benchmarks.server import server

POINTS = 100_000
_MLFLOW_SECONDS = 5.95
_AT_MOST_MS = _MLFLOW_SECONDS * 1e3 / 100
_READER = Path(__file__).parent.parent / "history_reader.py"
_PYTHON = ROOT / ".venv/bin/python"
_SDK = ROOT / "SDKs/python/src"
_MILLISECONDS = ("to a list", "to NumPy arrays")


def read(connection_file: Path, spool: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each reading, by what the points were read into."""
    python = _PYTHON if _PYTHON.exists() else Path(sys.executable)
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(_SDK),
        "NEEDLETAIL_CONNECTION_FILE": str(connection_file),
        "NEEDLETAIL_SPOOL_DIR": str(spool),
    }
    command = [str(python), str(_READER), str(POINTS), str(rounds)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        if "ModuleNotFoundError" in last:
            raise PeerMissingError(last)
        raise MeasurementError(f"the reader failed: {last}")
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _history(settings: Settings, outcome: Outcome) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "history-pg"))
        started = stack.enter_context(server(settings.work / "history", postgres=database.url))
        rounds = max(3, settings.pairs)
        found = read(started.connection_file, settings.work / "spool", rounds)
    for name in _MILLISECONDS:
        times = sorted(found[name])
        spread = Spread(times[len(times) // 2], times[0], times[-1])
        outcome.bounds.append(Bound(f"{POINTS:,} points {name}", "ms", spread, _AT_MOST_MS))
    outcome.notes.append(f"1/100 of MLflow's {_MLFLOW_SECONDS} s")


CASES = (Case("history", f"A history of {POINTS:,} points in Python", _history),)
