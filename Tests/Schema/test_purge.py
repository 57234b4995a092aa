"""What cannot be recovered any more is removed for good, in small batches, and nothing else."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from run_rows import add_epoch, add_files, add_rollups, add_trace_files
from statements import call
from tenants import TRACES, Tenant, create_links, create_run, create_traces, maintaining, uuid7
from test_cascades import CASCADED

if TYPE_CHECKING:
    from cluster import Connection

JOURNALS = {"audit_logs", "events"}
KEPT = JOURNALS | CASCADED
TABLES = """
    select class.relname as name
    from pg_class as class
    inner join pg_attribute as attribute on class.oid = attribute.attrelid
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and attname = 'organization_id'
    order by 1
"""
PAST = "update {} set deleted_at = now() - interval '31 days', purge_after = now() - interval '1 h'"


def purge(connection: Connection, batch_size: int = 1_000) -> list[int]:
    """Purge until nothing is left; return how many rows each batch had."""
    batches: list[int] = []
    while True:
        with maintaining(connection):
            [row] = call(connection, "purge", before="now", batch_size=batch_size)
        if row["removed"] == 0:
            return batches
        batches.append(row["removed"])


def counts(connection: Connection, tenant: Tenant) -> dict[str, int]:
    """Count what each table has of an organization."""
    found = {}
    for table in connection.execute(TABLES).fetchall():
        row = connection.execute(
            f"select count(*) as n from {table['name']} where organization_id = %s",
            [tenant.organization_id],
        ).fetchone()
        assert row is not None
        found[table["name"]] = row["n"]
    return found


def fill(connection: Connection, tenant: Tenant, runs: int = 3) -> list[uuid.UUID]:
    """Write runs with points, a writer, a member of the project and an answer that is kept."""
    made = [create_links(connection, tenant, create_run(connection, tenant)) for _ in range(runs)]
    organization = tenant.organization_id
    for run in made:
        add_epoch(connection, organization, run)
        add_files(connection, tenant, run)
        connection.execute(
            "insert into log_chunks (organization_id, id, run_id, rank, line_count, min_time_us,"
            " max_time_us, level_mask, times_us, levels, streams, texts)"
            " values (%s, %s, %s, 0, 1, 0, 0, 1, '{0}', '{0}', '{stdout}', '{line}')",
            [organization, uuid7(), run],
        )
        for key in ("loss", "accuracy"):
            of = [organization, run, key]
            connection.execute(
                "insert into metric_chunks (organization_id, id, run_id, key, point_count,"
                " min_step, max_step, first_step, step_stride, first_time_us, time_stride_us,"
                " min_value, max_value, point_values)"
                " values (%s, %s, %s, %s, 1, 1, 1, 1, 1, 0, 1, 1, 1, '{1}')",
                [organization, uuid7(), run, key],
            )
            connection.execute(
                "insert into run_metric_summaries values (%s, %s, %s, 1, 1, 1, 0, 1, 1, 1)", of
            )
            add_rollups(connection, organization, run, key)
            for table in ("run_tags", "run_parameters"):
                connection.execute(f"insert into {table} values (%s, %s, %s, 'value')", of)
            connection.execute(
                "insert into run_parameter_versions values (%s, %s, %s, %s, 'value', now(), %s)",
                [organization, uuid7(), run, key, tenant.user_id],
            )
    create_traces(connection, tenant, made)
    add_trace_files(connection, tenant)
    connection.execute(
        "insert into experiment_tags values (%s, %s, unnest('{team,purpose}'::text[]), 'value')",
        [organization, tenant.experiment_id],
    )
    writer = [organization, uuid7()]
    connection.execute("insert into writers values (%s, %s)", writer)
    connection.execute(
        "insert into idempotency_records (organization_id, principal_id, key, method,"
        " request_digest) values (%s, %s, 'key', 'x', sha256(''))",
        [organization, tenant.user_id],
    )
    connection.execute(
        "insert into project_members (organization_id, id, project_id, user_id, added_by)"
        " values (%s, %s, %s, %s, %s) on conflict do nothing",
        [organization, uuid7(), tenant.project_id, tenant.user_id, tenant.user_id],
    )
    connection.execute(
        "insert into events (organization_id, id, type, resource_type, resource_id, actor_type,"
        " created_at) values (%s, %s, 'run.created', 'run', %s, 'system', now())",
        [organization, uuid7(), made[0]],
    )
    invite(connection, tenant)
    connection.execute(
        "insert into audit_logs (organization_id, id, actor_type, actor_label, action,"
        " resource_type, created_at) values (%s, %s, 'system', 'x', 'run.create', 'run', now())",
        [organization, uuid7()],
    )
    return made


def invite(connection: Connection, tenant: Tenant, **columns: object) -> uuid.UUID:
    """Write an invitation; return its id."""
    made = uuid7()
    values = {
        "organization_id": tenant.organization_id, "id": made, "email": f"{made}@example.com",
        "role": "viewer", "token_hash": hashlib.sha256(made.bytes).digest(),
        "invited_by": tenant.user_id, "expires_at": datetime.now(UTC) + timedelta(days=7),
        **columns,
    }  # fmt: skip
    connection.execute(
        f"insert into invitations ({', '.join(values)}) values ({', '.join(['%s'] * len(values))})",
        list(values.values()),
    )
    return made


def notes(connection: Connection) -> list[tuple[object, ...]]:
    """Return what the audit logs tell of purges: action, organization, resource and project."""
    rows = connection.execute(
        "select organization_id, action, resource_type, resource_id, project_id from audit_logs"
        " where actor_type = 'system' and actor_label = 'housekeeping' and outcome = 'success'"
        " order by id"
    ).fetchall()
    assert all(row["action"] == f"{row['resource_type']}.purge" for row in rows)
    return [
        (row["action"], row["organization_id"], row["resource_id"], row["project_id"])
        for row in rows
    ]


def test_every_table_of_an_organization_is_purged_or_kept(connection: Connection) -> None:
    row = connection.execute(
        "select string_agg(prosrc, ' ') as text from pg_proc where proname like 'needletail_purge%'"
    ).fetchone()
    assert row is not None
    for table in connection.execute(TABLES).fetchall():
        name = table["name"]
        assert (name in row["text"]) is (name not in KEPT), (
            f"{name}: remove its rows in needletail_purge_…, or say in KEPT that they stay"
        )


@pytest.mark.parametrize("batch_size", [1, 2, 1_000])
def test_a_project_goes_with_everything_in_it(
    connection: Connection, tenant: Tenant, rival: Tenant, batch_size: int
) -> None:
    for organization in (tenant, rival):
        fill(connection, organization)
    before, untouched = counts(connection, tenant), counts(connection, rival)
    connection.execute(PAST.format("projects") + " where id = %s", [tenant.project_id])
    batches = purge(connection, batch_size)
    after = counts(connection, tenant)
    gone = {
        "projects", "project_members", "experiments", "runs", "metric_chunks", "log_chunks",
        "run_epochs", "run_metric_summaries", "experiment_tags", "run_tags", "run_parameters",
        "run_parameter_versions", "run_inputs", "run_models", "input_datasets",
        "run_metric_definitions", "artifacts", "artifact_uploads", "metric_remainders",
        "metric_rollups", "run_departures", *TRACES,
    }  # fmt: skip
    assert {name: after[name] for name in gone} == dict.fromkeys(gone, 0)
    assert {name: n for name, n in after.items() if name not in gone} == {
        name: n + (name == "audit_logs") for name, n in before.items() if name not in gone
    }
    # One entry for what was deleted, none for what was in it or for a batch.
    assert notes(connection) == [
        ("project.purge", tenant.organization_id, tenant.project_id, tenant.project_id)
    ]
    assert counts(connection, rival) == untouched
    assert sum(batches) == sum(before[name] for name in gone)
    assert max(batches) <= batch_size


def test_what_can_still_be_recovered_stays(connection: Connection, tenant: Tenant) -> None:
    fill(connection, tenant)
    for table in ("projects", "experiments", "runs", "users", "organizations", "api_keys"):
        connection.execute(
            f"update {table} set deleted_at = now(), purge_after = now() + interval '1 h'"
        )
    before = counts(connection, tenant)
    assert purge(connection) == []
    assert counts(connection, tenant) == before


@pytest.mark.parametrize("table", ["experiments", "runs"])
def test_what_is_deleted_alone_goes_alone(
    connection: Connection, tenant: Tenant, table: str
) -> None:
    runs = fill(connection, tenant)
    doomed = runs[0] if table == "runs" else tenant.experiment_id
    connection.execute(PAST.format(table) + " where id = %s", [doomed])
    purge(connection)
    action = "run.purge" if table == "runs" else "experiment.purge"
    assert notes(connection) == [(action, tenant.organization_id, doomed, tenant.project_id)]
    after = counts(connection, tenant)
    assert (after["projects"], after["experiments"]) == (1, int(table == "runs"))
    assert after["runs"] == (2 if table == "runs" else 0)
    assert after["metric_chunks"] == after["run_metric_summaries"] == 2 * after["runs"]


@pytest.mark.parametrize("batch_size", [1, 1_000])
def test_an_organization_goes_and_its_journals_stay(
    connection: Connection, tenant: Tenant, rival: Tenant, batch_size: int
) -> None:
    for organization in (tenant, rival):
        fill(connection, organization)
    bot = uuid7()
    connection.execute(
        "insert into users (id, kind, display_name) values (%s, 'service_account', 'bot')", [bot]
    )
    connection.execute(
        "insert into organization_memberships (organization_id, id, user_id) values (%s, %s, %s)",
        [tenant.organization_id, uuid7(), bot],
    )
    untouched = counts(connection, rival)
    connection.execute(PAST.format("organizations") + " where id = %s", [tenant.organization_id])
    purge(connection, batch_size)
    assert {name for name, n in counts(connection, tenant).items() if n} == JOURNALS
    own = tenant.organization_id
    assert notes(connection) == [("organization.purge", own, own, None)]
    assert counts(connection, rival) == untouched
    rows = connection.execute(
        "select id from organizations union all select id from users order by 1"
    ).fetchall()
    # Its people are their own; its programs are nobody's.
    assert {row["id"] for row in rows} == {
        rival.organization_id, rival.user_id, tenant.user_id,
    }  # fmt: skip


def test_of_a_user_to_whom_rows_refer_the_id_alone_stays(
    connection: Connection, tenant: Tenant
) -> None:
    nobody = uuid7()
    connection.execute(
        "insert into users (id, email, display_name) values (%s, 'eve@acme.example', 'Eve')",
        [nobody],
    )
    connection.execute(
        "update users set password_hash = 'x', first_name = 'Ada', last_name = 'L',"
        " avatar_url = 'https://acme.example/a', settings = '{\"a\": 1}',"
        " email_verified_at = now(), last_login_at = now() where id = %s",
        [tenant.user_id],
    )
    connection.execute(
        "insert into user_identities (provider, subject, user_id) values ('x', 'ada', %s)",
        [tenant.user_id],
    )
    invite(connection, tenant, email="ada@example.com")
    connection.execute(PAST.format("users"))
    # A key, a place in a project and one in the organization; then both users.
    assert purge(connection) == [1, 1, 1, 2]
    assert notes(connection) == [("user.purge", tenant.organization_id, tenant.user_id, None)]
    after = counts(connection, tenant)
    assert (after["organization_memberships"], after["api_keys"], after["invitations"]) == (
        0, 0, 1,
    )  # fmt: skip
    [row] = connection.execute("select * from users").fetchall()
    assert (row["id"], row["display_name"]) == (tenant.user_id, "Deleted user")
    assert row["email"] == f"deleted-{tenant.user_id}@invalid"
    assert row["settings"] == {}
    assert not row["is_active"]
    for column in (
        "password_hash", "first_name", "last_name", "avatar_url", "email_verified_at",
        "last_login_at", "purge_after",
    ):  # fmt: skip
        assert row[column] is None, column
    assert connection.execute("select from user_identities").fetchall() == []


@pytest.mark.parametrize("table", ["organization_memberships", "project_members", "api_keys"])
def test_what_has_ended_goes(connection: Connection, tenant: Tenant, table: str) -> None:
    fill(connection, tenant)
    before = counts(connection, tenant)
    connection.execute(PAST.format(table))
    purge(connection)
    assert counts(connection, tenant) == {**before, table: 0}
    assert notes(connection) == []


@pytest.mark.parametrize("batch_size", [1, 1_000])
def test_an_invitation_goes_30_days_after_its_end(
    connection: Connection, tenant: Tenant, batch_size: int
) -> None:
    def days(count: float) -> datetime:
        return datetime.now(UTC) - timedelta(days=count)

    accepted = {"accepted_by": tenant.user_id}
    gone: list[dict[str, object]] = [
        {"expires_at": days(31)},
        {"expires_at": days(-1), "deleted_at": days(31)},
        {"expires_at": days(-1), "accepted_at": days(31), **accepted},
    ]
    staying: list[dict[str, object]] = [
        {"expires_at": days(29)},
        {"expires_at": days(35), "deleted_at": days(29)},
        {"expires_at": days(35), "accepted_at": days(29), **accepted},
        {"expires_at": days(-1)},
    ]
    for columns in gone:
        invite(connection, tenant, **columns)
    kept = {invite(connection, tenant, **columns) for columns in staying}
    batches = purge(connection, batch_size)
    assert (sum(batches), max(batches) <= batch_size) == (3, True)
    rows = connection.execute("select id from invitations").fetchall()
    assert {row["id"] for row in rows} == kept
    assert notes(connection) == []


def test_a_key_of_a_login_goes_30_days_after_its_end(
    connection: Connection, tenant: Tenant
) -> None:
    def write(name: str, *, is_from_login: bool, expired: int, revoked: int | None) -> None:
        connection.execute(
            "insert into api_keys (organization_id, id, user_id, name, key_id, key_prefix,"
            " secret_hash, scopes, created_by, is_from_login, expires_at, revoked_at, revoked_by)"
            " select organization_id, gen_random_uuid(), user_id, %(name)s, %(name)s, key_prefix,"
            " secret_hash, scopes, created_by, %(is_from_login)s, now() - %(expired)s * interval"
            " '1 day', now() - %(revoked)s * interval '1 day',"
            " case when %(revoked)s::integer is not null then user_id end"
            " from api_keys where id = %(id)s",
            {"name": name, "is_from_login": is_from_login, "expired": expired, "revoked": revoked,
             "id": tenant.api_key_id},
        )  # fmt: skip

    write("expired00000", is_from_login=True, expired=31, revoked=None)
    write("revoked00000", is_from_login=True, expired=-1, revoked=31)
    write("lately000000", is_from_login=True, expired=29, revoked=None)
    write("still0000000", is_from_login=True, expired=-1, revoked=None)
    write("other0000000", is_from_login=False, expired=31, revoked=None)
    assert purge(connection) == [2]
    rows = connection.execute("select name from api_keys").fetchall()
    assert {row["name"] for row in rows} == {
        "first", "lately000000", "still0000000", "other0000000",
    }  # fmt: skip


def test_a_deleted_user_whom_only_an_ended_invitation_names_goes_whole(
    connection: Connection, tenant: Tenant
) -> None:
    guest = uuid7()
    connection.execute(
        "insert into users (id, email, display_name) values (%s, 'eve@example.com', 'Eve')", [guest]
    )
    long_ago = datetime.now(UTC) - timedelta(days=31)
    invite(connection, tenant, email="eve@example.com", accepted_by=guest, accepted_at=long_ago)
    connection.execute(
        "insert into organization_memberships (organization_id, id, user_id) values (%s, %s, %s)",
        [tenant.organization_id, uuid7(), guest],
    )
    connection.execute(PAST.format("users") + " where id = %s", [guest])
    assert purge(connection) == [1, 1, 1]
    rows = connection.execute("select id from users").fetchall()
    assert [row["id"] for row in rows] == [tenant.user_id]
    assert counts(connection, tenant)["organization_memberships"] == 1
    assert notes(connection) == [("user.purge", tenant.organization_id, guest, None)]


def test_one_server_purges_at_a_time(
    connection: Connection, other: Connection, tenant: Tenant
) -> None:
    connection.execute(PAST.format("api_keys"))
    with maintaining(other):
        assert call(other, "purge", before="now", batch_size=1) == [{"removed": 1}]
        assert purge(connection) == []
    assert counts(connection, tenant)["api_keys"] == 0


def test_a_batch_that_was_lost_is_done_again(connection: Connection, tenant: Tenant) -> None:
    fill(connection, tenant)
    connection.execute(PAST.format("projects"))
    before = counts(connection, tenant)
    connection.execute("begin; set local role needletail_maintenance")
    assert call(connection, "purge", before="now", batch_size=1) == [{"removed": 1}]
    # The server stops before it commits.
    connection.execute("rollback")
    assert counts(connection, tenant) == before
    removed = sum(purge(connection, 1))
    after = counts(connection, tenant)
    assert after["projects"] == 0
    # All but the entry in the audit log.
    assert sum(before.values()) - sum(after.values()) == removed - 1
