"""Calls that reach the database, beside pgbench on the same cluster and the same rows."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.cases import Case, Outcome, Peer, Settings, compare
from Benchmarks.figures import Contender, MeasurementError, Round, best
from Benchmarks.postgres import Cluster, Pgbench, cluster, script
from Benchmarks.server import Load, Server, server
from Benchmarks.statements import bound, named_statements

_SELECT_RUN = Path(__file__).parent.parent / "sql" / "select_run.sql"

# A time-ordered UUID (version 7's form) that differs in every transaction of every client. pgbench
# keeps :n, :client_id and :salt; PostgreSQL puts them together in about a microsecond.
_NEW_ID = (
    "(lpad(to_hex(:start_ms::bigint + :n::bigint), 12, '0') || '7'"
    " || lpad(to_hex(:client_id::integer), 3, '0') || '8'"
    " || lpad(to_hex(:salt::bigint + {offset}), 15, '0'))::uuid"
)
_NEW_VALUES = (r"\set n :n + 1", r"\set salt random(0, 1000000000000000000)")


@dataclass(frozen=True, slots=True)
class Bench:
    """A cluster with a server on it that holds at least one run."""

    database: Cluster
    server: Server

    def ids(self) -> dict[str, str]:
        """The keys of a run that the load program made, and of what it belongs to."""
        columns = ("organization_id", "id", "experiment_id", "project_id", "created_by")
        rows = self.database.query(f"select {', '.join(columns)} from runs limit 1")  # noqa: S608
        if not rows:
            raise MeasurementError("needletail load made no run")
        return dict(zip(columns, rows[0], strict=True))


@contextmanager
def bench(settings: Settings, name: str) -> Iterator[Bench]:
    """Runs a server with a run in it on a cluster of its own."""
    with (
        cluster(settings.work / f"{name}-pg") as database,
        server(settings.work / name, postgres=database.url) as started,
    ):
        Load(started, "create-run", 1, 1).measure(0.5)
        yield Bench(database, started)


def _fastest(
    settings: Settings, started: Server, kind: str, connections: int, in_flight: int
) -> Contender:
    loads = [Load(started, kind, connections, in_flight, loops) for loops in settings.thread_counts]
    return best(loads, seconds=settings.calibration_seconds)


def _get_run(settings: Settings, outcome: Outcome) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(bench(settings, "get-run"))
        ids = made.ids()

        @contextmanager
        def ours() -> Iterator[Contender]:
            yield _fastest(settings, made.server, "get-run", 8, 16)

        @contextmanager
        def pgbench() -> Iterator[Contender]:
            yield Pgbench(
                name="pgbench -M prepared, SELECT by key, 8 clients",
                url=made.database.url,
                script=_SELECT_RUN,
                clients=8,
                threads=settings.cores,
                variables={"organization_id": ids["organization_id"], "id": ids["id"]},
            )

        compare(settings, outcome, ours, [Peer(pgbench, 1.0)])


# What the server puts before every transaction of a caller.
_ENTER = (
    "select set_config('role', 'needletail_app', true), "
    "set_config('needletail.organization_id', :organization_id::text, true), "
    "set_config('statement_timeout', '60000', true)"
)


def create_run_script(*, is_journaled: bool = True, is_pipelined: bool = False) -> str:
    """One transaction of what CreateRun writes: the run, its audit entry, event and answer.

    Without a journal the run alone. A pipeline is one round trip, as the server makes it.
    """
    values = {name: f":{name}" for name in ("organization_id", "experiment_id", "project_id")}
    values |= {
        **dict.fromkeys(("user_id", "principal_id", "actor_id"), ":created_by"),
        **dict.fromkeys(("id", "resource_id"), _NEW_ID.format(offset=0)),
        **dict.fromkeys(("started_at", "created_at"), "now()"),
        **dict.fromkeys(("reason", "ip_address", "api_key_id"), "null"),
        **dict.fromkeys(("parent_run_id", "forked_from_run_id", "forked_at_step"), "null"),
        "source_json": "null",
        **dict.fromkeys(("details_json", "data_json"), "'{}'"),
        "sufficient_roles": "'{contributor,owner}'",
        "name": "'benchmark'",
        "description": "''",
        "status": "'running'",
        "actor_type": "'user'",
        "actor_label": "'benchmark'",
        "action": "'run.create'",
        "outcome": "'success'",
        "type": "'run.created'",
        "resource_type": "'run'",
        "user_agent": "'pgbench'",
        "request_id": "to_hex(:salt::bigint)",
        "key": "to_hex(:start_ms::bigint + :n::bigint) || to_hex(:salt::bigint)",
        "method": "'needletail.tracking.v1.Tracking/CreateRun'",
        "request_digest": "decode(repeat('00', 32), 'hex')",
        "response": "decode(repeat('00', 200), 'hex')",
        "is_permanent": "false",
    }
    journal = values | {"id": _NEW_ID.format(offset=1)}
    statements = named_statements()
    claim = bound("insertIdempotencyRecord", values, statements=statements)
    run = bound("createRun", values, statements=statements)
    entries = [
        bound(name, journal, statements=statements) for name in ("insertAuditLog", "insertEvent")
    ]
    work = [claim, run, *entries] if is_journaled else [run]
    text = script(["begin", _ENTER, *work, "commit"])
    if is_pipelined:
        text = f"\\startpipeline\n{text}\\endpipeline\n"
    return script([], preamble=_NEW_VALUES) + text


def _create_run(settings: Settings, outcome: Outcome) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(bench(settings, "create-run"))
        ids = made.ids()
        path = settings.work / "create_run.sql"
        path.write_text(create_run_script(), encoding="utf-8")

        @contextmanager
        def ours() -> Iterator[Contender]:
            yield _fastest(settings, made.server, "create-run", 32, 1)

        @contextmanager
        def pgbench() -> Iterator[Contender]:
            yield CreateRunPgbench(made.database.url, path, settings.cores, ids)

        compare(settings, outcome, ours, [Peer(pgbench, 1.0)])


@dataclass(frozen=True, slots=True)
class CreateRunPgbench:
    """pgbench with the statements of CreateRun; each round begins its ids at its own time."""

    url: str
    script: Path
    threads: int
    ids: dict[str, str]
    clients: int = 32
    what: str = "the same transaction"

    @property
    def name(self) -> str:
        """What it runs."""
        return f"pgbench -M prepared, {self.what}, clients: {self.clients}"

    def measure(self, seconds: float) -> Round:
        """Runs one round."""
        names = ("organization_id", "experiment_id", "project_id", "created_by")
        variables: dict[str, str | int] = {name: self.ids[name] for name in names}
        variables |= {"start_ms": time.time_ns() // 1_000_000, "n": 0}
        return Pgbench(
            name=self.name,
            url=self.url,
            script=self.script,
            clients=self.clients,
            threads=self.threads,
            variables=variables,
        ).measure(seconds)


CASES = (
    Case("get-run", "GetRun, row-level security on, 8 connections × 16 in flight", _get_run),
    Case("create-run", "CreateRun with audit, event and idempotency rows, 32 × 1", _create_run),
)
