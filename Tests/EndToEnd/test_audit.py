"""The audit log: what was done and what was refused, listed, exported, and told to a file."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail._generated.descriptors import message_class
from needletail.identity import AuditLogFilter, AuditOutcome
from organizations import Organization, create_organization
from program import (
    BINARY,
    Connection,
    UpServer,
    clean_environment,
    new_folder,
    remove,
    run_program,
)
from waiting import PATIENCE_SECONDS, wait_until
from wire import Wire, message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXPORT = "needletail.identity.v1.Identity/ExportAuditLogs"
LIST = "needletail.identity.v1.Identity/ListAuditLogs"
BATCH_ENTRIES, BATCH_BYTES = 500, 256 << 10


@dataclass
class Audited:
    """A server that writes its audit log to a file, too, and soon."""

    server: UpServer
    file: Path


@pytest.fixture(scope="module")
def audited() -> Iterator[Audited]:
    folder = new_folder()
    file = folder / "audit.jsonl"
    server = UpServer(
        folder / "server", "--operations-port", "0", "--set", "audit-refusal-interval=50ms",
        "--set", "audit-export-horizon=1ms", "--set", f"audit-file={file}",
    )  # fmt: skip
    try:
        server.start()
        yield Audited(server, file)
        assert server.stop() == 0, server.log[-4_000:]
    finally:
        server.discard()
        remove(folder)


@pytest.fixture
def database(audited: Audited) -> Iterator[Connection]:
    with audited.server.sql() as connection:
        yield connection


@pytest.fixture
def own(database: Connection) -> Organization:
    return create_organization(database, "audited")


def client_of(audited: Audited, organization: Organization) -> needletail.Client:
    found = organization.connection(audited.server.connection)
    return needletail.connect(
        f"needletail://{found['address']}:{found['port']}", api_key=found["api_key"],
        ca_file=found["ca_file"],
    )  # fmt: skip


def fill(database: Connection, organization: Organization, count: int, details: int = 0) -> None:
    """Write entries of the last ten minutes, as servers would have."""
    database.execute(
        "insert into audit_logs (organization_id, id, actor_type, actor_id, actor_label, action,"
        " resource_type, details, created_at)"
        " select %(organization)s,"
        " (left(needletail_uuid_floor(moment)::text, 13) || '-7000-8000-' || lpad(to_hex(n), 12,"
        " '0'))::uuid, 'user', %(organization)s, 'Ada', 'run.create', 'run',"
        " jsonb_build_object('text', repeat('x', %(details)s)), moment"
        " from generate_series(1, %(count)s) as n, lateral (select now() - interval '10 minutes'"
        " + n * (interval '9 minutes' / %(count)s)) as t (moment)",
        {"organization": organization.id, "count": count, "details": details},
    )


def exported(client: needletail.Client, **options: Any) -> list[Any]:
    with client.identity.export_audit_logs(**options) as batches:
        return [entry for batch in batches for entry in batch.audit_logs]


def test_a_change_says_what_was_before_and_after(audited: Audited, own: Organization) -> None:
    with client_of(audited, own) as client:
        experiment = client.tracking.create_experiment(
            project_id=str(own.project_id), name="first", config_json='{"a": 1}'
        )
        client.tracking.update_experiment(id=experiment.id, name="second")
        run = client.tracking.create_run(experiment_id=experiment.id, name="r")
        client.tracking.finish_run(id=run.id)
        entries = client.identity.list_audit_logs().audit_logs
        who = client.identity.who_am_i()
        # What is newest was committed last.
        assert [entry.action for entry in entries] == [
            "run.finish", "run.create", "experiment.update", "experiment.create",
        ]  # fmt: skip
        finish, _, update, create = [json.loads(entry.details_json) for entry in entries]
        assert create["before"] == {}
        assert create["after"]["name"] == "first"
        assert json.loads(create["after"]["config_json"]) == {"a": 1}
        assert update == {"before": {"name": "first"}, "after": {"name": "second"}}
        assert finish["before"] == {"status": "running"}
        assert finish["after"].keys() == {"status", "completed_at_us"}
        entry = entries[0]
        assert (entry.actor_id, entry.api_key_id) == (who.user_id, who.api_key_id)
        assert (entry.resource_type, entry.resource_id) == ("run", run.id)
        assert (entry.outcome, entry.reason) == (AuditOutcome.SUCCESS, "")
        assert entry.ip_address == "127.0.0.1"
        assert entry.client.startswith("needletail-python/")
        assert entry.project_id == str(own.project_id)

        def actions(**wanted: Any) -> list[str]:
            page = client.identity.list_audit_logs(filter=AuditLogFilter(**wanted))
            return [entry.action for entry in page.audit_logs]

        assert actions(action="run.*") == ["run.finish", "run.create"]
        assert actions(action="run.create", resource_id=run.id) == ["run.create"]
        assert actions(resource_id=experiment.id, resource_type="run") == []
        assert actions(actor_id=str(uuid.uuid4())) == []
        assert actions(outcome=AuditOutcome.DENIED) == []
        assert len(actions(api_key_id=who.api_key_id, outcome=AuditOutcome.SUCCESS)) == 4
        moment = entries[1].created_at
        assert actions(from_=moment, until=moment + timedelta(microseconds=1)) == ["run.create"]
        assert actions(until=datetime.now(UTC) - timedelta(days=40)) == []


def test_every_page_is_walked_once(
    audited: Audited, own: Organization, database: Connection
) -> None:
    fill(database, own, 250)
    with client_of(audited, own) as client:
        ids = [entry.id for entry in client.identity.iterate_audit_logs(page_size=100)]
        assert len(set(ids)) == len(ids) == 250
        assert ids == sorted(ids, reverse=True)
        page = client.identity.list_audit_logs(page_size=10)
        with pytest.raises(needletail.InvalidArgumentError) as refused:
            client.identity.list_audit_logs(
                filter=AuditLogFilter(action="run.*"), page_token=page.next_page_token
            )
        assert refused.value.reason == "PAGE_TOKEN_INVALID"
        with pytest.raises(needletail.InvalidArgumentError) as refused:
            client.identity.list_audit_logs(filter=AuditLogFilter(action="%"))
        assert refused.value.reason == "FIELD_INVALID"


def test_an_export_goes_on_after_any_entry(
    audited: Audited, own: Organization, database: Connection
) -> None:
    fill(database, own, 1_234)
    with client_of(audited, own) as client:
        entries = [entry.id for entry in exported(client)]
        assert len(entries) == 1_234
        assert entries == sorted(entries)
        assert [entry.id for entry in exported(client, after=entries[700])] == entries[701:]
        assert exported(client, after=entries[-1]) == []


@pytest.mark.parametrize("details", [0, 3_000, 100_000])
def test_batches_are_bounded(
    audited: Audited, own: Organization, database: Connection, details: int
) -> None:
    count = 1_100 if details < 100_000 else 30
    fill(database, own, count, details)
    response = message_class("needletail.identity.v1.ExportAuditLogsResponse")
    sizes = []
    with Wire.opened(own.connection(audited.server.connection)) as wire:
        wire.open(EXPORT, message_class("needletail.identity.v1.ExportAuditLogsRequest")())
        while not (frame := wire.receive()).HasField("end"):
            assert len(frame.data.message) <= BATCH_BYTES
            sizes.append(len(response.FromString(frame.data.message).audit_logs))
            credit(wire, frame)
        assert frame.end.status.code == 0
    assert sum(sizes) == count
    assert max(sizes) <= BATCH_ENTRIES


def credit(wire: Wire, frame: Any) -> None:
    """Give back the window that a frame took."""
    for stream in (0, frame.stream):
        answer = type(frame)(stream=stream)
        answer.credit.bytes = len(frame.data.message)
        wire.send(answer)


def test_a_slow_reader_holds_no_transaction(
    audited: Audited, own: Organization, database: Connection
) -> None:
    fill(database, own, 20_000)
    with Wire.opened(own.connection(audited.server.connection)) as wire:

        def stalls() -> int:
            lines = audited.server.page("/metrics")[1].splitlines()
            (line,) = (n for n in lines if n.startswith("needletail_stream_credit_stalls_total "))
            return int(line.split()[1])

        before = stalls()
        wire.open(EXPORT, message_class("needletail.identity.v1.ExportAuditLogsRequest")())
        wait_until("the export waits for its reader", lambda: stalls() > before)
        open_now = database.execute(
            "select count(*) as n from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            " and state like '%in transaction%'"
        ).fetchone()
        assert open_now == {"n": 0}
        # Another call of the same connection is answered meanwhile.
        wire.call(LIST, message_class("needletail.identity.v1.ListAuditLogsRequest")())


def test_another_organization_never_appears(
    audited: Audited, own: Organization, database: Connection
) -> None:
    rival = create_organization(database, "rival")
    canary = f"canary-{uuid.uuid4().hex}"
    with client_of(audited, own) as client:
        client.tracking.create_experiment(project_id=str(own.project_id), name=canary)
        mine = client.identity.list_audit_logs().audit_logs[0]
    with client_of(audited, rival) as client:
        for wanted in (
            AuditLogFilter(), AuditLogFilter(actor_id=mine.actor_id),
            AuditLogFilter(api_key_id=mine.api_key_id),
            AuditLogFilter(resource_id=mine.resource_id),
            AuditLogFilter(action="experiment.*"), AuditLogFilter(from_=mine.created_at),
        ):  # fmt: skip
            assert client.identity.list_audit_logs(filter=wanted).audit_logs == ()
            assert exported(client, filter=wanted) == []
        assert exported(client, after=str(uuid.UUID(int=uuid.UUID(mine.id).int - 1))) == []


def test_refused_attempts_are_on_record(
    audited: Audited, own: Organization, database: Connection
) -> None:
    key = scoped_key(database, own)
    with Wire.opened({**own.connection(audited.server.connection), "api_key": key}) as wire:
        request = message("CreateExperimentRequest", project_id=str(own.project_id), name="x")
        for _ in range(20):
            end = wire.call("CreateExperiment", request)
            assert end.status.reason == "PERMISSION_MISSING"
    with client_of(audited, own) as client:

        def denied() -> list[Any]:
            wanted = AuditLogFilter(outcome=AuditOutcome.DENIED)
            return list(client.identity.list_audit_logs(filter=wanted).audit_logs)

        def count() -> int:
            return sum(json.loads(entry.details_json)["count"] for entry in denied())

        wait_until("every refusal is counted", lambda: count() == 20)
        assert len(denied()) < 20
        entry = denied()[0]
        assert (entry.action, entry.reason) == ("experiment.create", "PERMISSION_MISSING")
        assert (entry.resource_type, entry.resource_id) == ("experiment", "")
        assert json.loads(entry.details_json)["method"].endswith("/CreateExperiment")


def scoped_key(database: Connection, organization: Organization) -> str:
    """Make a key of the organization's member that may only look at runs."""
    other = create_organization(database, "scoped", scopes=("run.get",))
    with database.transaction():
        database.execute("set local role needletail_maintenance")
        database.execute(
            "update api_keys set organization_id = %(own)s, user_id = member.user_id,"
            " created_by = member.user_id from organization_memberships as member"
            " where member.organization_id = %(own)s and api_keys.organization_id = %(other)s",
            {"own": organization.id, "other": other.id},
        )
    return other.api_key


@pytest.mark.parametrize("role", ["developer", "viewer"])
def test_only_administrators_read_the_audit_log(
    audited: Audited, database: Connection, role: str
) -> None:
    organization = create_organization(database, "roles", role=role)
    with client_of(audited, organization) as client:
        with pytest.raises(needletail.PermissionDeniedError):
            client.identity.list_audit_logs()
        with pytest.raises(needletail.PermissionDeniedError):
            exported(client)


def test_the_file_has_every_entry_and_is_opened_again(audited: Audited, own: Organization) -> None:
    def lines(file: Path) -> list[dict[str, Any]]:
        text = file.read_text() if file.exists() else ""
        entries = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [entry for entry in entries if entry["organization_id"] == str(own.id)]

    with client_of(audited, own) as client:
        client.tracking.create_experiment(project_id=str(own.project_id), name="one")
        (entry,) = wait_until("the entry is in the file", lambda: lines(audited.file))
        logged = client.identity.list_audit_logs().audit_logs[0]
        assert entry["id"] == logged.id
        assert entry["details"] == json.loads(logged.details_json)
        assert datetime.fromisoformat(entry["created_at"]) == logged.created_at
        assert audited.file.stat().st_mode & 0o777 == 0o600

        moved = audited.file.with_suffix(".1")
        audited.file.rename(moved)
        audited.server.signal(signal.SIGHUP)
        audited.server.logged("certificate reloaded")
        client.tracking.create_experiment(project_id=str(own.project_id), name="two")
        (entry,) = wait_until("the entry is in the new file", lambda: lines(audited.file))
        assert entry["details"]["after"]["name"] == "two"
        assert len(lines(moved)) == 1


class Cli:
    """The program as an organization."""

    def __init__(self, audited: Audited, own: Organization, place: Path) -> None:
        found = audited.server.connection
        key = place / "key"
        key.write_text(own.api_key)
        self.options = [
            "--url", f"needletail://{found['address']}:{found['port']}",
            "--ca-file", found["ca_file"], "--api-key-file", str(key),
        ]  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        result = run_program("audit", *arguments, *self.options)
        assert result.returncode == 0, result.stderr
        return result.stdout


def test_the_command_line_lists_and_exports(
    audited: Audited, own: Organization, database: Connection, place: Path
) -> None:
    fill(database, own, 600)
    with client_of(audited, own) as client:
        client.tracking.create_experiment(project_id=str(own.project_id), name='a "name", quoted')
    cli = Cli(audited, own, place)
    lines = cli("list", "--limit", "3").splitlines()
    assert lines[0].split() == ["TIME", "ACTOR", "ACTION", "OUTCOME", "RESOURCE", "ID"]
    assert "experiment.create" in lines[1]
    assert len(lines) == 4
    listed = json.loads(cli("list", "-o", "json", "--action", "experiment.*", "--from", "1h"))
    assert [entry["action"] for entry in listed["auditLogs"]] == ["experiment.create"]
    assert "run.create" not in cli("list", "--until", "2001-01-01")

    entries = [json.loads(line) for line in cli("export").splitlines()]
    assert len(entries) == 601
    rest = cli("export", "--after", entries[599]["id"])
    assert json.loads(rest)["id"] == entries[600]["id"]
    rows = list(csv.DictReader(io.StringIO(cli("export", "--format", "csv"))))
    assert [row["id"] for row in rows] == [entry["id"] for entry in entries]
    assert json.loads(rows[-1]["details_json"])["after"]["name"] == 'a "name", quoted'
    assert rows[-1]["outcome"] == "success"
    assert rows[-1]["created_at"] == entries[-1]["createdAt"]


def test_the_command_line_follows(audited: Audited, own: Organization, place: Path) -> None:
    cli = Cli(audited, own, place)
    with (
        client_of(audited, own) as client,
        subprocess.Popen(
            [BINARY, "audit", "follow", "-o", "json", "--from", "1h", "--interval", "20ms",
             *cli.options],
            stdout=subprocess.PIPE, text=True, env=clean_environment(), cwd="/",
        ) as follow,
    ):  # fmt: skip
        assert follow.stdout is not None
        for name in ("one", "two", "three"):
            client.tracking.create_experiment(project_id=str(own.project_id), name=name)
            entry = json.loads(follow.stdout.readline())
            assert json.loads(entry["detailsJson"])["after"]["name"] == name
        follow.terminate()
        assert follow.wait(PATIENCE_SECONDS) != 0
