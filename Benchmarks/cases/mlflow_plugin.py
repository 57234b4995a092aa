"""The same code on MLflow's client, with MLflow's own server and with Needletail below it.

Both keep everything in one PostgreSQL cluster. The clients are processes, as jobs are.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from Benchmarks.cases import Case, Comparison, Outcome, Settings
from Benchmarks.cases.beside_mlflow import HISTORY_RUN, fill_mlflow
from Benchmarks.cases.footprint import first_answers
from Benchmarks.cases.history import POINTS
from Benchmarks.figures import PeerMissingError, Spread, alternate
from Benchmarks.peers import mlflow
from Benchmarks.peers.mlflow_clients import Fleet, Operation, fleet
from Benchmarks.postgres import cluster
from Benchmarks.processes import memory_of, wait_until_idle
from Benchmarks.server import Server, server

_CLIENTS, _RUNS, _BATCH_POINTS = 8, 5_000, 1_000
# A share of the runs and points, to try the case itself.
_SHARE_VARIABLE = "NEEDLETAIL_BENCH_SHARE"
_START_AT_LEAST, _MEMORY_AT_LEAST = 100.0, 50.0
_STARTS, _IDLE_SECONDS = 3, 120.0


@dataclass(frozen=True, slots=True)
class _Goal:
    operation: str
    clients: int
    at_least: float


_GOALS = (
    _Goal("log_batch", _CLIENTS, 20.0),
    _Goal("log_metric", 1, 20.0),
    _Goal("create_run", 1, 20.0),
    _Goal("get_run", 1, 20.0),
    _Goal("search_runs", 1, 10.0),
    _Goal("get_metric_history", 1, 10.0),
)


def _plugin(settings: Settings, outcome: Outcome) -> None:
    try:
        mlflow.python()
    except PeerMissingError as error:
        outcome.notes.append(f"skipped: {error}")
        return
    share = float(os.environ.get(_SHARE_VARIABLE, "1"))
    runs, points = max(round(_RUNS * share), 300), max(round(POINTS * share), _BATCH_POINTS)
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "pg"))
        theirs_folder, ours_folder = settings.work / "mlflow", settings.work / "server"
        database.query("create database mlflow")
        with mlflow.tracker(theirs_folder, database, cores=settings.cores):
            pass  # It has made its tables.
        theirs_ms = mlflow.first_answers(
            theirs_folder, database, cores=settings.cores, count=_STARTS
        )
        ours_ms = first_answers(settings.work / "start", database, _STARTS)
        fill_mlflow(database, runs=runs, points=points)
        other = stack.enter_context(mlflow.tracker(theirs_folder, database, cores=settings.cores))
        started = stack.enter_context(server(ours_folder, postgres=database.url))
        ours = stack.enter_context(
            fleet("needletail://", _uri(started), _CLIENTS, ours_folder, _environment(started))
        )
        url = f"http://127.0.0.1:{other.port}"
        theirs = stack.enter_context(
            fleet("http://", url, _CLIENTS, theirs_folder, _environment(None))
        )
        _fill(ours, runs, points)
        # Its jobs load all of MLflow, too, long after it answers.
        wait_until_idle(other.process.pid, limit_seconds=_IDLE_SECONDS)
        for goal in _GOALS:
            _compare(settings, outcome, goal, ours, theirs)
        memory = [memory_of(other.process.pid), memory_of(started.process.pid)]
    starts = [slow / quick for slow, quick in zip(theirs_ms, ours_ms, strict=True)]
    outcome.comparisons += [
        Comparison(
            f"start to first answer ({Spread.of(theirs_ms).median:,.0f} ms, ours"
            f" {Spread.of(ours_ms).median:,.0f} ms)",
            Spread.of(starts),
            _START_AT_LEAST,
        ),
        Comparison(
            f"memory after it ({memory[0] / 2**20:,.0f} MiB, ours {memory[1] / 2**20:,.1f} MiB)",
            Spread.of([memory[0] / memory[1]]),
            _MEMORY_AT_LEAST,
        ),
    ]
    outcome.notes.append(f"search_runs among {runs:,} runs, 100 found; histories of {points:,}")


def _compare(settings: Settings, outcome: Outcome, goal: _Goal, ours: Fleet, theirs: Fleet) -> None:
    mine = Operation(ours, goal.operation, goal.clients)
    other = Operation(theirs, goal.operation, goal.clients)
    standings = alternate([mine, other], pairs=settings.pairs, seconds=settings.seconds)
    outcome.standings += standings
    outcome.comparisons.append(
        Comparison(other.name, standings[0].ratio_to(standings[1]), goal.at_least)
    )
    latency = standings[0].latency(lambda one: one.p50_us)
    if latency is not None:
        outcome.notes.append(
            f"{mine.name}: {latency.median:,.0f} µs a call, of which the client's own processor"
            f" time is {mine.own:,.0f}"
        )


def _fill(ours: Fleet, runs: int, points: int) -> None:
    """The same runs, by the client; MLflow's are written into its tables, or it would take long."""
    ours.ask(1, operation="fill", times=runs)
    ours.ask(1, operation="fill_history", times=-(-points // _BATCH_POINTS))


def _uri(started: Server) -> str:
    said = started.connection
    return f"needletail://{said['address']}:{said['port']}/{said['project_id']}"


def _environment(started: Server | None) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    if started is None:
        return {**kept, "NEEDLETAIL_BENCH_HISTORY_RUN": HISTORY_RUN}
    return {**kept, "NEEDLETAIL_CONNECTION_FILE": str(started.connection_file)}


CASES = (
    Case(
        "mlflow-plugin",
        "MLflow's client on needletail://, beside its own server on PostgreSQL",
        _plugin,
    ),
)
