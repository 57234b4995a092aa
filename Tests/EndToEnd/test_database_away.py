"""PostgreSQL that is not there, not there any more, full, or slow."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from authority import Authority
from guests import PHRASE
from organizations import Organization, create_organization
from postgres import Cluster, create_database, lock_waits
from program import Connection, Server, UpServer, connect_sql, migrate, new_folder, remove
from waiting import wait_until
from wire import IDENTITY, GoawayError, Wire, identity_message, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE, UNAUTHENTICATED = 1, 4, 8, 14, 16
CONNECTIONS_MAX = 12


class Stage:
    """A database that comes and goes, and a `serve` before it."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster(folder / "pg", f"max_connections={CONNECTIONS_MAX}")
        self.cluster.start()
        self.url = create_database(self.cluster.url())
        migrate(self.url, "up")
        with connect_sql(self.url) as sql:
            self.organization: Organization = create_organization(sql, "acme")
        authority = Authority(folder)
        pair = authority.pair("server")
        self._ca_file = str(authority.ca_file)
        self.server = Server(
            folder / "server", "serve", "--postgres", self.url, "--port", "0", "--certificate",
            pair.certificate, "--key", pair.key, "--operations-port", "0",
        )  # fmt: skip

    @property
    def connection(self) -> dict[str, Any]:
        """How to connect to the server."""
        return self.organization.connection(
            {"address": "127.0.0.1", "port": self.server.port, "ca_file": self._ca_file}
        )

    def hello(self, api_key: str | None = None) -> Any:
        """Say Hello on a connection of its own; return the status, None when it is welcome."""
        with Wire(self.connection) as wire:
            wire.hello(api_key)
            try:
                assert wire.receive().HasField("welcome")
            except GoawayError as error:
                return error.status
            return None

    def wait_until_ready(self) -> None:
        """Wait until the server has found its database."""
        wait_until("the database is found", lambda: self.hello() is None)
        wait_until("the server is healthy", lambda: self.server.page("/healthz")[0] == 200)


@pytest.fixture(scope="module")
def whole_stage() -> Iterator[Stage]:
    folder = new_folder()
    stage = Stage(folder)
    yield stage
    stage.server.discard()
    stage.cluster.stop()
    remove(folder)


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    """The stage with its database there, and no server yet."""
    whole_stage.cluster.stop()
    whole_stage.cluster.start()
    yield whole_stage
    whole_stage.server.discard()


@pytest.fixture
def running(stage: Stage) -> Stage:
    """The stage with server and database there."""
    stage.server.start()
    stage.wait_until_ready()
    return stage


@pytest.fixture
def wire(running: Stage) -> Iterator[Wire]:
    with Wire.opened(running.connection) as wire:
        yield wire


@pytest.fixture
def sql(running: Stage) -> Iterator[Connection]:
    with connect_sql(running.url) as sql:
        yield sql


def list_runs(wire: Wire) -> Any:
    return wire.call("ListRuns", message("ListRunsRequest")).status


def create_experiment(wire: Wire, stage: Stage) -> str:
    request = message(
        "CreateExperimentRequest",
        project_id=str(stage.organization.project_id),
        name=str(uuid.uuid4()),
    )
    end = wire.call("CreateExperiment", request)
    assert end.status.code == 0, end
    return message("CreateExperimentResponse").FromString(end.message).experiment.id


def create_run(wire: Wire, stage: Stage) -> str:
    request = message("CreateRunRequest", experiment_id=create_experiment(wire, stage))
    end = wire.call("CreateRun", request)
    assert end.status.code == 0, end
    return message("CreateRunResponse").FromString(end.message).run.id


def test_away_at_the_start(stage: Stage) -> None:
    stage.cluster.stop()
    stage.server.start()
    entry = stage.server.logged("the database does not answer")
    assert entry["level"] == "warning"
    assert str(stage.cluster.folder) in entry["error"]
    # Nobody is told that the key is wrong while nobody can know.
    for key in (None, "ntl_nonsense"):
        status = stage.hello(key)
        assert (status.code, status.reason) == (UNAVAILABLE, "DATABASE_AWAY")
        assert status.retry_after_ms > 0
    # Who has no key is nobody to look for; what they call is.
    with Wire.opened({**stage.connection, "api_key": ""}) as wire:
        request = identity_message("LoginRequest", email="ada@example.com", password=PHRASE)
        status = wire.call(f"{IDENTITY}/Login", request).status
        assert (status.code, status.reason) == (UNAVAILABLE, "DATABASE_AWAY")
    assert stage.server.page("/healthz")[0] == 503
    assert stage.server.page("/metrics")[0] == 200
    stage.cluster.start()
    stage.wait_until_ready()
    status = stage.hello("ntl_nonsense")
    assert (status.code, status.reason) == (UNAUTHENTICATED, "INVALID_API_KEY")
    with Wire.opened(stage.connection) as wire:
        assert list_runs(wire).code == 0


def test_up_waits_for_its_database(stage: Stage, own_server: Callable[..., UpServer]) -> None:
    stage.cluster.stop()
    server = own_server(postgres=stage.url)
    server.launch()
    assert server.logged("waiting for the database")["level"] == "warning"
    stage.cluster.start()
    server.wait_until_ready()
    with server.client() as client:
        assert client.identity.who_am_i().projects


def test_away_later(running: Stage, wire: Wire) -> None:
    assert list_runs(wire).code == 0
    running.cluster.stop()
    status = list_runs(wire)
    assert (status.code, status.reason) == (UNAVAILABLE, "DATABASE_AWAY")
    assert status.retry_after_ms > 0
    assert status.request_id
    for secret in (str(running.cluster.folder), "postgres", "socket", "select"):
        assert secret not in status.message.lower()
    # What needs no database is served all the while, on the same connection.
    assert wire.call("needletail.rpc.v1.Server/Echo", message("GetRunRequest")).status.code == 0
    health = wire.call("needletail.rpc.v1.Server/Health", message("GetRunRequest"))
    assert b"\x08\x02" in health.message, "it says that the database is away"
    wait_until("it is not healthy", lambda: running.server.page("/healthz")[0] == 503)
    running.cluster.start()
    wait_until("calls are answered again", lambda: list_runs(wire).code == 0)
    wait_until("it is healthy again", lambda: running.server.page("/healthz")[0] == 200)


def test_no_connection_is_left(stage: Stage) -> None:
    with connect_sql(stage.url) as first:
        others = [connect_sql(stage.url) for _ in range(CONNECTIONS_MAX - 1)]
        stage.server.start()
        status = stage.hello()
        assert status.code in {UNAVAILABLE, RESOURCE_EXHAUSTED}, status
        assert status.retry_after_ms > 0
        for other in others:
            other.close()
        stage.wait_until_ready()
        with Wire.opened(stage.connection) as wire:
            assert list_runs(wire).code == 0
        assert first.execute("select 1 as one").fetchone() == {"one": 1}


def test_few_connections_serve_many_calls(running: Stage, wire: Wire, sql: Connection) -> None:
    others = [connect_sql(running.url) for _ in range(4)]
    request = message("CreateRunRequest", experiment_id=create_experiment(wire, running))
    streams = {wire.open("CreateRun", request) for _ in range(200)}
    codes = []
    while streams:
        frame = wire.receive()
        streams.remove(frame.stream)
        codes.append(frame.end.status.code)
    assert set(codes) == {0}
    for other in others:
        other.close()
    made = sql.execute(
        "select count(*) as runs from runs where experiment_id = %s", [request.experiment_id]
    ).fetchone()
    assert made == {"runs": 200}


@pytest.fixture
def locked_run(running: Stage, sql: Connection) -> Iterator[str]:
    """A run that nobody can change, because a transaction elsewhere holds it."""
    with Wire.opened(running.connection) as wire:
        run_id = create_run(wire, running)
    with connect_sql(running.url) as holder:
        with holder.transaction(force_rollback=True):
            holder.execute("select from runs where id = %s for update", [run_id])
            yield run_id
        wait_until("nobody waits any more", lambda: not lock_waits(sql))


def rename(run_id: str) -> Any:
    return message("UpdateRunRequest", id=run_id, name="renamed")


def assert_nothing_was_changed(sql: Connection, run_id: str, key: str) -> None:
    row = sql.execute(
        "select name = 'renamed' as is_renamed,"
        " (select count(*) from idempotency_records where key = %(key)s) as answers,"
        " (select count(*) from audit_logs where resource_id = %(id)s"
        "   and action = 'run.update') as audits from runs where id = %(id)s",
        {"key": key, "id": run_id},
    ).fetchone()
    assert row == {"is_renamed": False, "answers": 0, "audits": 0}


def test_a_statement_slower_than_its_deadline_is_rolled_back(
    wire: Wire, sql: Connection, locked_run: str
) -> None:
    key = str(uuid.uuid4())
    stream = wire.open("UpdateRun", rename(locked_run), timeout_ms=400, key=key)
    wait_until("the statement waits", lambda: lock_waits(sql))
    status = wire.end(stream).status
    assert (status.code, status.reason) == (DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    wait_until("the statement has ended", lambda: not lock_waits(sql))
    assert_nothing_was_changed(sql, locked_run, key)
    assert list_runs(wire).code == 0


def test_a_cancelled_call_is_rolled_back(wire: Wire, sql: Connection, locked_run: str) -> None:
    key = str(uuid.uuid4())
    stream = wire.open("UpdateRun", rename(locked_run), key=key)
    wait_until("the statement waits", lambda: lock_waits(sql))
    wire.cancel(stream)
    status = wire.end(stream).status
    assert (status.code, status.reason) == (CANCELLED, "CANCELLED")
    wait_until("the statement has ended", lambda: not lock_waits(sql))
    assert_nothing_was_changed(sql, locked_run, key)
    assert list_runs(wire).code == 0


def test_the_call_of_a_connection_that_was_cut_is_rolled_back(
    running: Stage, sql: Connection, locked_run: str
) -> None:
    key = str(uuid.uuid4())
    wire = Wire.opened(running.connection)
    wire.open("UpdateRun", rename(locked_run), key=key)
    wait_until("the statement waits", lambda: lock_waits(sql))
    wire.cut()
    wait_until("the statement has ended", lambda: not lock_waits(sql))
    assert_nothing_was_changed(sql, locked_run, key)
    with Wire.opened(running.connection) as other:
        assert list_runs(other).code == 0


def test_a_slow_call_holds_up_no_other(
    running: Stage, wire: Wire, sql: Connection, locked_run: str
) -> None:
    slow = wire.open("UpdateRun", rename(locked_run), timeout_ms=60_000)
    wait_until("the statement waits", lambda: lock_waits(sql))
    for _ in range(50):
        assert list_runs(wire).code == 0
        assert create_run(wire, running)
    assert lock_waits(sql), "it still waits"
    wire.cancel(slow)
    assert wire.end(slow).status.code == CANCELLED


def test_a_backend_that_is_ended_in_mid_call_answers_unavailable(
    wire: Wire, sql: Connection, locked_run: str
) -> None:
    key = str(uuid.uuid4())
    stream = wire.open("UpdateRun", rename(locked_run), key=key)
    (waiting,) = wait_until("the statement waits", lambda: lock_waits(sql))
    sql.execute("select pg_terminate_backend(%s)", [waiting["pid"]])
    status = wire.end(stream).status
    assert (status.code, status.reason) == (UNAVAILABLE, "DATABASE_AWAY")
    assert_nothing_was_changed(sql, locked_run, key)
    assert list_runs(wire).code == 0
