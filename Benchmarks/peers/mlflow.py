"""MLflow's tracking server, on a database of its own in the same PostgreSQL cluster.

Its callers are made as quick as they can be: keep-alive, and JSON that is written by hand.
"""

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from Benchmarks.figures import MeasurementError, PeerMissingError, Round
from Benchmarks.postgres import Cluster
from Benchmarks.processes import ROOT, free_port, running, wait_until_listening

VARIABLE = "NEEDLETAIL_BENCH_MLFLOW"
_ENVIRONMENT = ROOT / ".venv-mlflow/bin/python"
_READER = Path(__file__).parent / "mlflow_reader.py"
# It makes its tables first, and loads much.
_START_SECONDS = 300
_API = "/api/2.0/mlflow/"


def python() -> Path:
    """The Python that has MLflow: what the environment names, or what Scripts/setup made."""
    named = os.environ.get(VARIABLE, "")
    path = Path(named) if named else _ENVIRONMENT
    if not path.exists():
        raise PeerMissingError(f"{path} is not there (Scripts/setup --for test makes it)")
    command: list[str | Path] = [
        *(path, "-c", "import importlib.util as u; print(u.find_spec('mlflow') is not None)"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise PeerMissingError(f"{path}: {error}") from error
    if done.stdout.strip() != "True":
        raise PeerMissingError(f"{path} has no mlflow")
    return path


@dataclass(slots=True)
class Connection:
    """Calls of the REST API, one at a time."""

    plain: http.client.HTTPConnection

    @classmethod
    def to(cls, port: int) -> "Connection":
        """Connects when it first calls."""
        return cls(http.client.HTTPConnection("127.0.0.1", port, timeout=120))

    def call(self, method: str, body: str) -> dict[str, object]:
        """Posts JSON and reads the answer."""
        self.plain.request("POST", _API + method, body, {"Content-Type": "application/json"})
        answer = self.plain.getresponse()
        content = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise MeasurementError(f"mlflow {method}: {answer.status} {content[-300:]!r}")
        value: dict[str, object] = json.loads(content)
        return value


@dataclass(slots=True)
class Clients:
    """So many clients, each of which calls as fast as it is answered; the rate is of points."""

    name: str
    port: int
    count: int
    method: str
    body: Callable[[str, int], str]
    points: int = 1

    def measure(self, seconds: float) -> Round:
        """Each client logs to a run of its own."""
        microseconds: list[float] = []
        errors: list[Exception] = []
        runs = [new_run(Connection.to(self.port)) for _ in range(self.count)]
        start = time.monotonic()

        def log(run: str) -> None:
            connection, step = Connection.to(self.port), 0
            try:
                while (now := time.monotonic()) < start + seconds:
                    connection.call(self.method, self.body(run, step))
                    microseconds.append((time.monotonic() - now) * 1e6)
                    step += self.points
            except (MeasurementError, OSError) as error:
                errors.append(error)

        threads = [threading.Thread(target=log, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise MeasurementError(f"mlflow: {errors[0]}")
        rate = len(microseconds) * self.points / (time.monotonic() - start)
        cuts = quantiles(microseconds, n=100, method="inclusive")
        return Round(rate, cuts[49], cuts[98])


@dataclass(slots=True)
class Searches:
    """One search, again and again."""

    name: str
    port: int
    body: str
    found: int

    def measure(self, seconds: float) -> Round:
        """Measures one round."""
        connection, microseconds = Connection.to(self.port), list[float]()
        start = time.monotonic()
        while (now := time.monotonic()) < start + seconds or len(microseconds) < 2:
            runs = connection.call("runs/search", self.body).get("runs")
            if not isinstance(runs, list) or len(runs) != self.found:
                raise MeasurementError(f"mlflow did not find {self.found} runs")
            microseconds.append((time.monotonic() - now) * 1e6)
        cuts = quantiles(microseconds, n=100, method="inclusive")
        return Round(len(microseconds) / (now - start), cuts[49], cuts[98])


def new_run(connection: Connection) -> str:
    """Creates a run in the default experiment."""
    run = connection.call("runs/create", '{"experiment_id": "0"}')["run"]
    if not isinstance(run, dict):
        raise MeasurementError("mlflow created no run")
    return str(run["info"]["run_id"])


def batch(points: int) -> Callable[[str, int], str]:
    """What log_batch is given for a run from a step on."""

    def body(run: str, step: int) -> str:
        metrics = ",".join(
            f'{{"key":"loss","value":{(step + n) % 997 / 997},"timestamp":{step + n},'
            f'"step":{step + n}}}'
            for n in range(points)
        )
        return f'{{"run_id":"{run}","metrics":[{metrics}]}}'

    return body


def one(run: str, step: int) -> str:
    """What log_metric is given."""
    return (
        f'{{"run_id":"{run}","key":"loss","value":{step % 997 / 997},"timestamp":{step},'
        f'"step":{step}}}'
    )


@dataclass(frozen=True, slots=True)
class Tracker:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def mlflow(folder: Path, database: Cluster, *, cores: int) -> Iterator[int]:
    """Runs the server on a new database and gives its port."""
    database.query("create database mlflow")
    with tracker(folder, database, cores=cores) as started:
        yield started.port


@contextmanager
def tracker(folder: Path, database: Cluster, *, cores: int) -> Iterator[Tracker]:
    """Runs the server with a worker a core; makes the tables that its database lacks."""
    executable = python()
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"postgresql+psycopg2://postgres@/mlflow?host={database.folder}"
    command: list[str | Path] = [
        *(executable, "-m", "mlflow", "server", "--backend-store-uri", url),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", str(cores)),
        *("--no-serve-artifacts", "--default-artifact-root", folder / "artifacts"),
    ]
    log = folder / "mlflow.log"
    with running(command, log=log) as process:
        wait_until_listening(process, port, log=log, limit_seconds=_START_SECONDS)
        yield Tracker(port, process)


def first_answers(folder: Path, database: Cluster, *, cores: int, count: int) -> list[float]:
    """Milliseconds from the start of the server to its first answer, so many times."""
    milliseconds: list[float] = []
    for _ in range(count):
        start = time.monotonic()
        with tracker(folder, database, cores=cores) as started:
            connection = Connection.to(started.port)
            connection.call("experiments/search", '{"max_results":1}')
            milliseconds.append((time.monotonic() - start) * 1e3)
            connection.plain.close()
    return milliseconds


def read_history(port: int, run: str, key: str, rounds: int) -> list[float]:
    """How many milliseconds its own client takes for all points of a metric.

    Isolated, so that no module beside the reader is taken for one that it loads.
    """
    done = subprocess.run(
        [python(), "-I", _READER, f"http://127.0.0.1:{port}", run, key, str(rounds)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise MeasurementError(f"mlflow's client failed: {done.stderr.strip()[-300:]}")
    times: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return times
