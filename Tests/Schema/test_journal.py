"""Events, audit entries, idempotency records, and the partitions of the first two."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from statements import call
from tenants import START, Tenant, acting, maintaining, uuid7

if TYPE_CHECKING:
    from cluster import Connection


def write_audit(connection: Connection, tenant: Tenant, moment: datetime = START) -> Any:
    entry = uuid7(moment)
    with acting(connection, tenant):
        call(connection, "insertAuditLog", organization_id=tenant.organization_id, id=entry,
             actor_type="user", actor_id=tenant.user_id, actor_label="Ada", api_key_id=None,
             action="run.create", outcome="success", reason=None, resource_type="run",
             resource_id=None, project_id=None, details_json='{"name": "x"}',
             ip_address="127.0.0.1", user_agent=None, request_id="r", created_at=moment,
             )  # fmt: skip
    return entry


def write_event(connection: Connection, tenant: Tenant, moment: datetime) -> Any:
    event = uuid7(moment)
    with acting(connection, tenant):
        call(connection, "insertEvent", organization_id=tenant.organization_id, id=event,
             type="run.created", resource_type="run", resource_id=uuid7(), project_id=None,
             actor_type="system", actor_id=None, request_id=None, data_json="{}",
             created_at=moment)  # fmt: skip
    return event


@pytest.mark.parametrize("role", ["needletail_app", "needletail_maintenance"])
@pytest.mark.parametrize(
    "change",
    ["update audit_logs set reason = 'x'", "delete from audit_logs", "truncate audit_logs"],
)
def test_no_serving_role_may_change_the_audit_log(
    connection: Connection, tenant: Tenant, role: str, change: str
) -> None:
    write_audit(connection, tenant)
    connection.execute(f"set role {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(change)


@pytest.mark.parametrize(
    "table", ["audit_logs", f"audit_logs_y{START:%Y}m{START:%m}", "audit_logs_default"]
)
@pytest.mark.parametrize("change", ["update {} set reason = 'x'", "delete from {}", "truncate {}"])
def test_not_even_a_superuser_changes_the_audit_log_by_mistake(
    connection: Connection, tenant: Tenant, table: str, change: str
) -> None:
    moment = datetime(2001, 1, 1, tzinfo=UTC) if table.endswith("default") else START
    write_audit(connection, tenant, moment)
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        connection.execute(change.format(table))


def test_an_audit_entry_outlives_its_organization(connection: Connection, tenant: Tenant) -> None:
    rows = connection.execute(
        "select count(*) as n from pg_constraint "
        "where contype = 'f' and conrelid in ('audit_logs'::regclass, 'events'::regclass)"
    ).fetchone()
    assert rows == {"n": 0}
    assert tenant


def test_rows_go_to_the_partition_of_their_month(connection: Connection, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    write_event(connection, tenant, now)
    write_event(connection, tenant, datetime(2001, 1, 1, tzinfo=UTC))
    rows = connection.execute("select tableoid::regclass::text as p from events").fetchall()
    assert {row["p"] for row in rows} == {f"events_y{now:%Y}m{now:%m}", "events_default"}


def test_a_new_partition_takes_its_rows_from_the_default_one(
    connection: Connection, tenant: Tenant
) -> None:
    far = datetime.now(UTC) + timedelta(days=400)
    entry, event = write_audit(connection, tenant, far), write_event(connection, tenant, far)
    with maintaining(connection):
        [row] = call(connection, "ensurePartitions", months_ahead=14)
    assert row["made"] == 5 * 11
    rows = connection.execute(
        "select tableoid::regclass::text as p, id from events "
        "union all select tableoid::regclass::text, id from audit_logs order by 1"
    ).fetchall()
    month = f"y{far:%Y}m{far:%m}"
    assert rows == [
        {"p": f"audit_logs_{month}", "id": entry}, {"p": f"events_{month}", "id": event},
    ]  # fmt: skip
    state = connection.execute(
        "select relforcerowsecurity as forced, (select bool_and(tgenabled = 'O') from pg_trigger "
        "where tgrelid = pg_class.oid) as guarded from pg_class "
        "where relname = 'audit_logs_default'"
    ).fetchone()
    assert state == {"forced": True, "guarded": True}


def test_making_partitions_twice_makes_none(connection: Connection) -> None:
    assert call(connection, "ensurePartitions", months_ahead=3) == [{"made": 0}]
    names = {row["partition_name"] for row in call(connection, "listPartitions")}
    assert {"audit_logs_default", "events_default", "metric_chunks_default"} <= names
    with pytest.raises(psycopg.Error, match="0 to 60"):
        call(connection, "ensurePartitions", months_ahead=61)


def test_the_application_may_not_make_partitions(connection: Connection, tenant: Tenant) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(connection, tenant):
        call(connection, "ensurePartitions", months_ahead=1)


def idempotency_key(tenant: Tenant, key: str) -> dict[str, Any]:
    return {
        "organization_id": tenant.organization_id, "principal_id": tenant.user_id, "key": key,
    }  # fmt: skip


def claim(connection: Connection, tenant: Tenant, key: str, response: bytes | None) -> None:
    call(connection, "insertIdempotencyRecord", method="m", request_digest=bytes(32),
         response=response, resource_id=None, is_permanent=key.startswith("ledger"),
         **idempotency_key(tenant, key))  # fmt: skip


def test_two_claims_of_one_key_have_one_answer(
    connection: Connection, other: Connection, tenant: Tenant
) -> None:
    outcome: list[str | None] = []

    def second() -> None:
        try:
            with acting(other, tenant):
                claim(other, tenant, "k", b"second")
        except psycopg.errors.UniqueViolation as error:
            outcome.append(error.diag.constraint_name)

    with acting(connection, tenant):
        claim(connection, tenant, "k", None)
        thread = threading.Thread(target=second)
        thread.start()
        call(connection, "completeIdempotencyRecord", response=b"first", resource_id=None,
             **idempotency_key(tenant, "k"))  # fmt: skip
    thread.join(timeout=10)
    assert outcome == ["idempotency_records_pkey"]
    with acting(connection, tenant):
        [row] = call(connection, "getIdempotencyRecord", **idempotency_key(tenant, "k"))
    assert (row["response"], row["request_digest"]) == (b"first", bytes(32))


def test_old_records_go_in_batches_and_ledger_records_stay(
    connection: Connection, tenant: Tenant
) -> None:
    with acting(connection, tenant):
        for key in ("a", "b", "c", "ledger"):
            claim(connection, tenant, key, b"")
    later = datetime.now(UTC) + timedelta(days=2)
    gone = []
    for _ in range(3):
        with maintaining(connection):
            [row] = call(connection, "deleteIdempotencyRecords", before=later, batch_size=2)
        gone.append(row["deleted"])
    assert gone == [2, 1, 0]
    assert connection.execute("select key from idempotency_records").fetchall() == [
        {"key": "ledger"}
    ]


def test_a_refusal_carries_its_reason_and_details(connection: Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute("""select needletail_refuse('NO', '{"a": 1}', null::bigint)""")
    diagnosis = caught.value.diag
    assert (diagnosis.sqlstate, diagnosis.constraint_name) == ("NT001", "NO")
    assert (diagnosis.message_primary, diagnosis.message_detail) == ("NO", '{"a": 1}')
    with pytest.raises(psycopg.Error, match="NO"):
        connection.execute("select needletail_refuse('NO')")


def test_a_month_begins_with_the_smallest_uuid_of_its_first_millisecond(
    connection: Connection,
) -> None:
    month = datetime(2026, 12, 1, tzinfo=UTC)
    row = connection.execute("select needletail_uuid_floor(%s) as floor", [month]).fetchone()
    assert row is not None
    assert row["floor"].int == int(month.timestamp() * 1000) << 80
    assert uuid7(month - timedelta(milliseconds=1)) < row["floor"] <= uuid7(month)
