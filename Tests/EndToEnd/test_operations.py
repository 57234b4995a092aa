"""What operators rely on: restarts, keys, migrations, health, metrics and the log."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
from typing import TYPE_CHECKING

import needletail
import pytest
from organizations import create_organization
from postgres import create_database, drop_database, lock_waits
from program import UpServer, connect_sql, migrate, new_folder, remove, run_program
from waiting import wait_until
from wire import GoawayError, Wire, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from program import Connection

ECHO = "needletail.rpc.v1.Server/Echo"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\+Inf|-?[0-9.e+-]+)"
)


@pytest.fixture(scope="module")
def twice(cluster_url: str) -> Iterator[tuple[UpServer, dict[str, str], str]]:
    """A server that was started twice, its first connection file, and a run from that time."""
    folder, url = new_folder(), create_database(cluster_url)
    server = UpServer(folder / "server", "--operations-port", "0", postgres=url)
    try:
        server.start()
        first = server.connection
        with server.client() as client:
            experiment = client.tracking.create_experiment(
                project_id=first["project_id"], name="kept"
            )
            run = client.tracking.create_run(experiment_id=experiment.id, name="kept")
        assert server.stop() == 0
        server.start()
        yield server, first, run.id
    finally:
        server.discard()
        drop_database(cluster_url, url)
        remove(folder)


def test_a_restart_keeps_key_port_and_data(twice: tuple[UpServer, dict[str, str], str]) -> None:
    server, first, run_id = twice
    assert server.connection == first
    assert set(first) == {
        "address", "port", "ca_file", "api_key", "organization_id", "project_id",
    }  # fmt: skip
    assert stat.S_IMODE(server.connection_file.stat().st_mode) == 0o600
    with server.client() as client:
        assert client.tracking.get_run(id=run_id).name == "kept"
    # The key was shown once, at the first start.
    assert first["api_key"] not in server.output_file.read_text()


def test_a_recovered_key_works_beside_the_first(
    twice: tuple[UpServer, dict[str, str], str],
) -> None:
    server, first, _ = twice
    result = run_program(
        "keys", "recover", "--data-dir", server.data, "--postgres", server.database_url
    )
    assert result.returncode == 0, result.stderr
    key = result.stdout.strip()
    assert key.startswith("ntl_")
    assert key != first["api_key"]
    for api_key in (key, first["api_key"]):
        with needletail.connect(
            f"needletail://{first['address']}:{first['port']}", api_key=api_key,
            ca_file=first["ca_file"],
        ) as client:  # fmt: skip
            assert client.identity.who_am_i().organization_id == first["organization_id"]
    assert server.stop() == 0
    server.start()
    assert server.connection == {**first, "api_key": key}


def test_keys_recover_finds_the_private_database(own_server: Callable[..., UpServer]) -> None:
    server = own_server()
    server.start()
    result = run_program("keys", "recover", "--data-dir", server.data)
    assert result.returncode == 0, result.stderr
    found = server.connection
    with needletail.connect(
        f"needletail://{found['address']}:{found['port']}", api_key=result.stdout.strip(),
        ca_file=found["ca_file"],
    ) as client:  # fmt: skip
        assert client.identity.who_am_i().organization_id == found["organization_id"]
    assert server.stop() == 0
    stopped = run_program("keys", "recover", "--data-dir", server.data)
    assert stopped.returncode == 1
    assert str(server.data) in stopped.stderr


def test_keys_recover_needs_a_database() -> None:
    result = run_program("keys", "recover", "--data-dir", "/nonexistent/folder")
    assert result.returncode == 1
    for text in ("/nonexistent/folder", "needletail up", "--postgres"):
        assert text in result.stderr


def test_a_folder_that_served_another_database_has_a_key_that_works(
    own_server: Callable[..., UpServer], scratch_url: str, cluster_url: str
) -> None:
    other_url = create_database(cluster_url)
    server = own_server(postgres=scratch_url)
    # A store of artifacts is one database's; the keys and certificates of a folder are not.
    artifacts = server.folder / "other-artifacts"
    other = UpServer(server.folder, "--set", f"artifact-folder={artifacts}", postgres=other_url)
    try:
        # What the second start keeps is no key of the first one's database.
        for each in (server, other, server):
            each.start()
            with each.client() as client:
                caller = client.identity.who_am_i()
            assert caller.organization_id == each.connection["organization_id"]
            assert each.stop() == 0
    finally:
        other.discard()
        drop_database(cluster_url, other_url)


def test_migrations_go_up_and_down(scratch_url: str) -> None:
    def objects() -> set[str]:
        with connect_sql(scratch_url) as sql:
            rows = sql.execute(
                "select tablename as name from pg_tables where schemaname = 'public' union all"
                " select indexname from pg_indexes where schemaname = 'public' union all"
                " select proname || md5(prosrc) from pg_proc"
                " where pronamespace = 'public'::regnamespace union all"
                " select conname || pg_get_constraintdef(oid) from pg_constraint"
                " where connamespace = 'public'::regnamespace and contype = 'c'"
            ).fetchall()
            return {row["name"] for row in rows}

    pending = migrate(scratch_url, "status").stdout.splitlines()
    assert pending
    assert all(line.startswith("pending ") for line in pending)
    verified = run_program("migrate", "verify", "--postgres", scratch_url)
    assert verified.returncode != 0
    assert "migrate up" in verified.stderr
    applied = migrate(scratch_url, "up").stdout.splitlines()
    assert [line.split()[1] for line in applied] == [line.split()[1] for line in pending]
    assert migrate(scratch_url, "up").stdout == "nothing is pending\n"
    assert f"version {len(applied)}" in migrate(scratch_url, "verify").stdout
    everything = objects()
    before = migrate(scratch_url, "status").stdout
    for arguments in ([], ["--to", "0"]):
        refused = run_program("migrate", "down", *arguments, "--postgres", scratch_url)
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
    assert migrate(scratch_url, "status").stdout == before
    assert len(migrate(scratch_url, "down", "--yes").stdout.splitlines()) == 1
    assert objects() != everything
    migrate(scratch_url, "down", "--to", "0", "--yes")
    # Only the memory of migrations is left, and its index.
    assert len(objects()) == 2
    migrate(scratch_url, "up", "--to", "2")
    lines = migrate(scratch_url, "status").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["applied"] * 2 + ["pending"] * (len(lines) - 2)
    migrate(scratch_url, "up")
    assert objects() == everything


def test_a_migration_that_does_not_exist_is_refused(scratch_url: str) -> None:
    result = run_program("migrate", "up", "--to", "999", "--postgres", scratch_url)
    assert result.returncode != 0
    assert "999" in result.stderr


def test_it_is_healthy(served: UpServer) -> None:
    assert served.page("/healthz") == (200, "ready\n")
    assert served.page("/nowhere")[0] == 404


def metrics(server: UpServer) -> dict[tuple[str, str], float]:
    """Read the metrics as Prometheus does."""
    code, text = server.page("/metrics")
    assert code == 200
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            sample = (match[1], match[2] or "")
            assert sample not in found, line
            family = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in kinds or kinds.get(family) == "histogram", line
            found[sample] = float(match[3])
    assert set(kinds.values()) <= {"counter", "gauge", "histogram"}
    return found


def test_the_metrics_count_what_happens(served: UpServer, wire: Wire) -> None:
    label = f'method="{ECHO}"'
    watched = [
        ("needletail_rpc_started_total", label),
        ("needletail_rpc_handled_total", f'{label},code="OK"'),
        ("needletail_rpc_duration_seconds_count", label),
        ("needletail_rpc_duration_seconds_bucket", f'{label},le="+Inf"'),
    ]
    before = metrics(served)
    for _ in range(10):
        assert wire.call(ECHO, message("GetRunRequest", id="x")).status.code == 0
    assert wire.call("GetRun", message("GetRunRequest", id="x")).status.code == 3
    with Wire(served.connection) as other:
        other.hello("ntl_wrong")
        with pytest.raises(GoawayError):
            other.receive()
    after = metrics(served)
    for sample in watched:
        assert after[sample] - before.get(sample, 0) == 10, sample
    refused = (
        "needletail_rpc_handled_total",
        'method="needletail.tracking.v1.Tracking/GetRun",code="INVALID_ARGUMENT"',
    )
    assert after[refused] - before.get(refused, 0) == 1
    hellos = ("needletail_hello_refused_total", "")
    assert after[hellos] - before[hellos] == 1
    assert after["needletail_connections", ""] >= 1
    assert (
        after["needletail_pg_statements_total", ""] > before["needletail_pg_statements_total", ""]
    )


def test_the_log_is_json_and_tells_of_each_call(
    served: UpServer, wire: Wire, client: needletail.Client, run_id: str
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = wire.call("GetRun", message("GetRunRequest", id="no uuid"))
    request_id = answer.status.request_id
    entry = served.logged_where("the refused call", lambda e: e.get("request_id") == request_id)
    connection = served.connection
    assert entry["organization_id"] == connection["organization_id"]
    assert entry["method"] == "needletail.tracking.v1.Tracking/GetRun"
    assert (entry["code"], entry["level"]) == ("INVALID_ARGUMENT", "info")
    assert isinstance(entry["milliseconds"], float | int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["time"])
    stream = wire.open("GetRun", message("GetRunRequest", id=run_id), trace=f"00-{trace}-0102-01")
    assert wire.end(stream).status.code == 0
    entry = served.logged_where("the trace", lambda e: e.get("trace_id") == trace)
    assert entry["code"] == "OK"


def test_a_slow_statement_is_logged_by_its_name(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    server = own_server("--set", "slow-statement=1ms", postgres=scratch_url)
    server.start()
    found = server.connection
    with server.client() as client, connect_sql(scratch_url) as sql:
        experiment = client.tracking.create_experiment(project_id=found["project_id"], name="slow")
        run = client.tracking.create_run(experiment_id=experiment.id)
        with Wire.opened(found) as wire:
            with sql.transaction():
                sql.execute("select from runs where id = %s for update", [run.id])
                stream = wire.open("UpdateRun", message("UpdateRunRequest", id=run.id, name="late"))
                with connect_sql(scratch_url) as watcher:
                    wait_until("the statement waits", lambda: lock_waits(watcher))
            assert wire.end(stream).status.code == 0
    entry = server.logged_where(
        "the slow statement",
        lambda entry: (
            (entry["message"], entry.get("statement")) == ("slow statement", "tracking.lockRun")
        ),
    )
    assert entry["level"] == "warning"
    assert entry["milliseconds"] > 1
    # By name alone: neither its text nor its values are told.
    assert "late" not in server.log
    assert "for update" not in server.log


def test_the_log_tells_of_the_private_postgresql(own_server: Callable[..., UpServer]) -> None:
    server = own_server()
    server.start()
    first = server.postmaster
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert server.logged("PostgreSQL ended by itself")["pid"] == first
    second = server.logged_where(
        "another PostgreSQL",
        lambda entry: entry["message"] == "PostgreSQL started" and entry["pid"] != first,
    )
    assert server.stop() == 0
    entries = [json.loads(line) for line in server.log.splitlines()]
    told = [entry for entry in entries if entry["message"].startswith("PostgreSQL")]
    assert [(entry["message"], entry["level"]) for entry in told] == [
        ("PostgreSQL made", "notice"),
        ("PostgreSQL started", "notice"),
        ("PostgreSQL ended by itself", "error"),
        ("PostgreSQL started", "notice"),
        ("PostgreSQL stopped", "notice"),
    ]
    assert (told[1]["pid"], told[3]["pid"]) == (first, second["pid"])


def test_a_run_that_ended_well_leaves_no_failed_call(
    served: UpServer, sql: Connection, place: Path
) -> None:
    organization = create_organization(sql, "tidy")
    found = organization.connection(served.connection)
    with needletail.connect(
        f"needletail://{found['address']}:{found['port']}", api_key=found["api_key"],
        ca_file=found["ca_file"],
    ) as client, needletail.run(
        client=client, experiment="tidy", project=found["project_id"], spool_dir=place
    ) as run:  # fmt: skip
        run.log({"loss": 1.0})
    entry = served.logged_where(
        "the end of its stream",
        lambda entry: (
            entry.get("organization_id") == found["organization_id"]
            and entry["method"].endswith("/AppendMetrics")
        ),
    )
    assert entry["code"] == "OK"


def test_every_line_of_a_server_of_its_own_is_json_and_none_holds_a_key(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    server = own_server("--set", "log-every-call=on", "--set", "log-level=debug",
                        postgres=scratch_url)  # fmt: skip
    server.start()
    connection = server.connection
    typed = connection["api_key"][:-1] + ("0" if connection["api_key"][-1] != "0" else "1")
    with server.client() as client:
        client.identity.who_am_i()
    for key in (typed, "ntl_canary"):
        with Wire(connection) as wire:
            wire.hello(key)
            with pytest.raises(GoawayError):
                wire.receive()
    with Wire(connection) as wire:
        wire.socket.sendall(b"\0\0\0\4" + b"\xff" * 4)
        with pytest.raises(GoawayError):
            wire.receive()
    assert server.stop() == 0
    lines = server.log.splitlines()
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict)
    secret = connection["api_key"].rpartition("_")[2]
    for text in (secret, secret[:20], "ntl_canary", "secret_hash"):
        assert text not in server.log
