"""Processes that call a tracking server by MLflow's client, and wait for what to do."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import IO

from Benchmarks.figures import MeasurementError, Round
from Benchmarks.peers import mlflow

_PROGRAM = Path(__file__).with_name("mlflow_jobs.py")


@dataclass(slots=True)
class Fleet:
    """Jobs of one tracking URI."""

    name: str
    processes: Sequence[subprocess.Popen[str]]
    log: Path

    def ask(self, count: int, **asked: object) -> list[dict[str, object]]:
        """Has the first so many do the same at once, and waits for all."""
        chosen = self.processes[:count]
        for process in chosen:
            stdin = _pipe(process.stdin)
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
        return [self.answer(process) for process in chosen]

    def answer(self, process: subprocess.Popen[str]) -> dict[str, object]:
        """The next line of one."""
        line = _pipe(process.stdout).readline()
        if not line:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise MeasurementError(f"{self.name}: {' '.join(last) or 'a client ended'}")
        content: dict[str, object] = json.loads(line)
        return content


@dataclass(slots=True)
class Operation:
    """One kind of call by some clients of a fleet."""

    fleet: Fleet
    operation: str
    clients: int = 1
    own_us: list[float] = field(default_factory=list)
    """What of a call is the client's own processor time."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        clients = f", {self.clients} clients" if self.clients > 1 else ""
        return f"{self.operation} by {self.fleet.name}{clients}"

    def measure(self, seconds: float) -> Round:
        """Measures one round; the rate is of calls."""
        answers = self.fleet.ask(self.clients, operation=self.operation, seconds=seconds, times=2)
        microseconds: list[float] = []
        rate = 0.0
        for answer in answers:
            took, own, elapsed = answer["microseconds"], answer["own_us"], answer["seconds"]
            if not isinstance(took, list) or not isinstance(own, float):
                raise MeasurementError(f"{self.name}: not understood")
            if not isinstance(elapsed, float):
                raise MeasurementError(f"{self.name}: not understood")
            microseconds += took
            rate += len(took) / elapsed
            self.own_us.append(own)
        cuts = quantiles(microseconds, n=100, method="inclusive")
        return Round(rate, cuts[49], cuts[98])

    @property
    def own(self) -> float:
        """The client's own part, at median."""
        return median(self.own_us)


@contextmanager
def fleet(
    name: str, uri: str, count: int, folder: Path, environment: Mapping[str, str]
) -> Iterator[Fleet]:
    """Starts the clients, and ends them."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "clients.log"
    with log.open("w") as errors:
        processes = [
            subprocess.Popen(
                [mlflow.python(), "-I", _PROGRAM, uri],
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            for _ in range(count)
        ]
    try:
        started = Fleet(name, processes, log)
        for process in processes:
            started.answer(process)
        yield started
    finally:
        for process in processes:
            _pipe(process.stdin).close()
        for process in processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _pipe(end: IO[str] | None) -> IO[str]:
    if end is None:
        raise MeasurementError("a client has no pipe")
    return end
