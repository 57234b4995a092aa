"""No organization sees or touches another's rows, whatever the statement."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from statements import call
from tenants import START, Tenant, acting, maintaining, uuid7

if TYPE_CHECKING:
    from cluster import Connection

# Tables without an organization, each with the policies that say who sees its rows; what has none
# belongs to nobody, and may only be read by all.
SHARED = {
    "installation": [],
    "maintenance_tasks": [],
    "organizations": ["maintenance", "organization"],
    "schema_migrations": [],
    "tier_limits": [],
    "user_identities": ["maintenance", "member"],
    "users": ["invite", "maintenance", "member"],
}

TABLES = """
    select class.oid::regclass::text as name, relispartition as is_partition,
        relrowsecurity and relforcerowsecurity as is_forced,
        array(
            select polname || ' ' || array_to_string(polroles::regrole[], ',')
            from pg_policy where polrelid = class.oid order by 1
        ) as policies,
        exists (
            select from pg_attribute
            where attrelid = class.oid and attname = 'organization_id' and not attisdropped
        ) as is_owned,
        exists (
            select from pg_attribute
            where attrelid = class.oid and attname = 'organization_id' and attnotnull
        ) as is_always_owned
    from pg_class as class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'm', 'f')
    order by 1
"""


def openings(connection: Connection) -> list[str]:
    """Return each table, partitions too, through which one organization might see another's."""
    found = []
    for table in connection.execute(TABLES).fetchall():
        name = table["name"]
        if table["is_owned"]:
            wanted = [
                f"{name}_maintenance needletail_maintenance",
                f"{name}_organization needletail_app",
            ]
            is_closed = table["is_forced"] and table["is_always_owned"]
        elif name in SHARED:
            wanted = [
                f"{name}_{policy} needletail_{'maintenance' if policy == 'maintenance' else 'app'}"
                for policy in SHARED[name]
            ]
            is_closed = table["is_forced"] or not wanted
        else:
            found.append(f"{name}: neither has organization_id nor is it in SHARED")
            continue
        # Nobody has a right to a partition, so that none needs a policy.
        if table["policies"] != ([] if table["is_partition"] else wanted):
            found.append(f"{name}: has the policies {table['policies']}")
        if not is_closed:
            found.append(f"{name}: call needletail_isolate for it")
    return found


def owned_tables(connection: Connection) -> list[str]:
    """Return every table with an organization, without partitions."""
    return [
        table["name"]
        for table in connection.execute(TABLES).fetchall()
        if table["is_owned"] and not table["is_partition"]
    ]


def test_row_security_is_forced_on_every_table(connection: Connection) -> None:
    assert openings(connection) == []
    assert len(owned_tables(connection)) > 10


@pytest.mark.parametrize(
    ("change", "opening"),
    [
        ("create table made (organization_id uuid not null)", "made: "),
        (
            "create table made (organization_id uuid not null);"
            " select needletail_isolate('made'); alter table made no force row level security",
            "made: ",
        ),
        (
            "create table made (organization_id uuid); select needletail_isolate('made')",
            "made: ",
        ),
        ("create table made (id uuid not null)", "made: "),
        ("create materialized view copies as select organization_id from runs", "copies: "),
        (
            "create table events_old (like events including constraints);"
            " alter table events attach partition events_old"
            " for values from (minvalue) to ('00000000-0000-0000-0000-000000000001')",
            "events_old: ",
        ),
        ("alter table users no force row level security", "users: "),
        ("create policy runs_all on runs to needletail_app using (true)", "runs: "),
        ("drop policy runs_organization on runs", "runs: "),
    ],
)
def test_a_table_that_is_open_is_found(connection: Connection, change: str, opening: str) -> None:
    connection.execute("set role needletail_owner")
    for statement in change.split("; "):
        connection.execute(statement)
    connection.execute("reset role")
    found = openings(connection)
    assert found
    assert all(text.startswith(opening) for text in found)


def test_what_belongs_to_nobody_is_only_read(connection: Connection) -> None:
    for table, policies in SHARED.items():
        row = connection.execute(
            "select to_regclass(%(name)s) is not null and"
            " has_table_privilege('needletail_app', %(name)s, 'insert,update,delete,truncate')"
            " as is_written",
            {"name": table},
        ).fetchone()
        assert policies or row == {"is_written": False}, table


def test_the_roles_can_neither_log_in_nor_pass_row_security(connection: Connection) -> None:
    rows = connection.execute(
        "select rolname, rolsuper or rolbypassrls or rolcanlogin or rolcreaterole as powerful, "
        "array(select count(*) from pg_auth_members where member = role.oid) as memberships, "
        "(select count(*) from pg_class where relowner = role.oid) as owned "
        "from pg_roles as role where rolname like 'needletail%' order by 1"
    ).fetchall()
    assert [row["rolname"] for row in rows] == [
        "needletail_app", "needletail_maintenance", "needletail_owner",
    ]  # fmt: skip
    assert not any(row["powerful"] or row["memberships"] != [0] for row in rows)
    assert [row["owned"] > 0 for row in rows] == [False, False, True]


def test_the_application_has_no_right_to_a_partition(connection: Connection) -> None:
    rows = connection.execute(
        "select count(*) as n from pg_class where relispartition and relkind = 'r' "
        "and has_table_privilege('needletail_app', oid, 'select,insert,update,delete')"
    ).fetchone()
    assert rows == {"n": 0}


def test_without_an_organization_nothing_is_there(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    assert run_id
    for name in (*owned_tables(connection), "organizations", "users"):
        with acting(connection, None):
            rows = connection.execute(f"select count(*) as n from {name}").fetchone()
            assert rows == {"n": 0}, name


def test_another_organization_reads_nothing(
    connection: Connection, tenant: Tenant, rival: Tenant, run_id: uuid.UUID
) -> None:
    with acting(connection, rival):
        # Even a statement that asks for the other organization by name gets nothing.
        assert call(connection, "getRun", id=run_id, include_deleted=True, **tenant.caller) == []
        assert call(connection, "getRun", id=run_id, include_deleted=True, **rival.caller) == []
        assert call(connection, "lockRun", id=run_id, **rival.caller) == []
        rows = connection.execute("select id from runs union all select id from users").fetchall()
        assert rows == [{"id": rival.user_id}]
    with acting(connection, tenant):
        assert (
            len(call(connection, "getRun", id=run_id, include_deleted=True, **tenant.caller)) == 1
        )


def test_another_organization_writes_nothing(
    connection: Connection, tenant: Tenant, rival: Tenant, run_id: uuid.UUID
) -> None:
    with acting(connection, rival):
        cursor = connection.execute("update runs set name = 'mine' where id = %s", [run_id])
        assert cursor.rowcount == 0
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        acting(connection, rival),
    ):
        call(connection, "openWriter", organization_id=tenant.organization_id,
             writer_id=uuid7())  # fmt: skip
    with pytest.raises(psycopg.Error) as caught, acting(connection, rival):
        call(connection, "createRun", id=uuid7(), experiment_id=tenant.experiment_id,
             name="run", description="", status="scheduled", started_at=None,
             created_at=START, parent_run_id=None, source_json="{}", forked_from_run_id=None,
             forked_at_step=None, **rival.caller)  # fmt: skip
    assert (caught.value.sqlstate, caught.value.diag.constraint_name) == (
        "NT001", "EXPERIMENT_NOT_FOUND",
    )  # fmt: skip


def test_a_foreign_key_never_crosses_organizations(
    connection: Connection, tenant: Tenant, rival: Tenant
) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught:
        connection.execute(
            "insert into experiments (organization_id, id, project_id, name, created_by) "
            "values (%s, %s, %s, 'x', %s)",
            [rival.organization_id, uuid7(), tenant.project_id, rival.user_id],
        )
    assert caught.value.diag.constraint_name == "experiments_project_id_fkey"


@pytest.mark.parametrize(
    ("change", "is_allowed"),
    [
        ("update users set display_name = 'Countess'", True),
        ("update users set is_platform_admin = true", False),
        ("update users set kind = 'service_account'", False),
        ("delete from users", False),
        ("update api_keys set secret_hash = decode(repeat('00', 32), 'hex')", True),
        ("delete from api_keys", False),
        ("update events set type = 'x'", False),
        ("update metric_chunks set epoch = 1", False),
        ("delete from runs", False),
        ("update tier_limits set max_users = null", False),
        ("insert into schema_migrations values (9)", False),
    ],
)
def test_the_application_may_change_no_more_than_it_needs(
    connection: Connection, tenant: Tenant, change: str, is_allowed: bool
) -> None:
    connection.execute("create table if not exists schema_migrations (version bigint)")
    if is_allowed:
        with acting(connection, tenant):
            assert connection.execute(change).rowcount == 1
    else:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(connection, tenant):
            connection.execute(change)


def test_an_organization_can_invite_a_user_but_not_a_platform_administrator(
    connection: Connection, tenant: Tenant
) -> None:
    invite = (
        "insert into users (id, email, display_name, is_platform_admin) values (%s, %s, 'B', %s)"
    )
    with acting(connection, tenant):
        connection.execute(invite, [uuid7(), "bob@acme.example", False])
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
        acting(connection, tenant),
    ):
        connection.execute(invite, [uuid7(), "eve@acme.example", True])


def test_hello_finds_a_key_before_the_organization_is_known(
    connection: Connection, tenant: Tenant, rival: Tenant
) -> None:
    with acting(connection, None):
        [row] = call(connection, "authenticate", key_id="acme0000key")
        assert call(connection, "authenticate", key_id="acme0000kez") == []
    assert row["organization_id"] == tenant.organization_id != rival.organization_id
    assert row["user_id"] == tenant.user_id
    assert (row["role"], row["user_kind"], row["scopes"]) == ("admin", "person", ["*"])
    assert row["secret_hash"] == bytes(32)
    assert (row["is_revoked"], row["is_user_active"], row["is_organization_active"]) == (
        False, True, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ("update api_keys set revoked_at = now()", {"is_revoked": True}),
        ("update api_keys set deleted_at = now()", {"is_revoked": True}),
        ("update users set is_active = false", {"is_user_active": False}),
        ("update users set deleted_at = now()", {"is_user_active": False}),
        ("update organization_memberships set deleted_at = now()", {"role": ""}),
        ("update organization_memberships set is_active = false", {"is_user_active": False}),
        (
            "update organizations set subscription_status = 'suspended'",
            {"is_organization_active": False},
        ),
    ],
)
def test_what_ends_a_key_shows_at_hello(
    connection: Connection, tenant: Tenant, change: str, flag: dict[str, object]
) -> None:
    assert tenant
    connection.execute(change)
    with acting(connection, None):
        [row] = call(connection, "authenticate", key_id="acme0000key")
    assert flag.items() <= row.items()


def test_the_caller_sees_itself_and_its_projects(connection: Connection, tenant: Tenant) -> None:
    with acting(connection, tenant):
        [caller] = call(connection, "getCaller", organization_id=tenant.organization_id,
                        api_key_id=tenant.api_key_id)  # fmt: skip
        projects = call(connection, "listVisibleProjects", user_id=tenant.user_id,
                        organization_id=tenant.organization_id)  # fmt: skip
    assert (caller["organization_slug"], caller["email"], caller["role"]) == (
        "acme", "Ada@acme.example", "admin",
    )  # fmt: skip
    assert [project["slug"] for project in projects] == ["default"]


ORGANIZATION_ROLES = ("admin", "developer", "viewer", None)
PROJECT_ROLES = ("owner", "contributor", "viewer", None)


def effective(role: str | None, visibility: str, member: str | None) -> str | None:
    """Return the role in a project that somebody has by what is written of them."""
    if role is None:
        return None
    if role == "admin":
        return "owner"
    own = member or (None if visibility == "private" else "contributor")
    return "viewer" if own and role == "viewer" else own


@pytest.mark.parametrize("visibility", ["private", "organization", "public"])
@pytest.mark.parametrize("member", PROJECT_ROLES)
@pytest.mark.parametrize("role", ORGANIZATION_ROLES)
def test_the_role_in_a_project_follows_from_what_is_written(
    connection: Connection, tenant: Tenant, role: str | None, member: str | None, visibility: str
) -> None:
    user, organization = uuid7(), tenant.organization_id
    with maintaining(connection):
        call(connection, "createUser", id=user, email="bob@acme.example", display_name="Bob",
             is_platform_admin=False, created_at=START)  # fmt: skip
        call(connection, "createMembership", organization_id=organization, id=uuid7(),
             user_id=user, role=role or "admin", created_at=START)  # fmt: skip
        if role is None:
            connection.execute(
                "update organization_memberships set deleted_at = now() where user_id = %s", [user]
            )
        if member is not None:
            call(connection, "createProjectMember", organization_id=organization, id=uuid7(),
                 project_id=tenant.project_id, user_id=user, role=member,
                 added_by=tenant.user_id,
                 created_at=START)  # fmt: skip
        connection.execute("update projects set visibility = %s", [visibility])
    expected = effective(role, visibility, member)
    caller = {"organization_id": organization, "user_id": user, "sees_all_projects": False}
    with acting(connection, tenant):
        [row] = call(connection, "getProjectRole", project_id=tenant.project_id, user_id=user)
        assert row == {"role?": expected}
        # What listings ask agrees with it.
        sees = expected is not None
        assert bool(call(connection, "listExperiments", before_id=None, page_size=10, name=None,
                         include_archived=False, **caller)) is sees  # fmt: skip
        assert bool(call(connection, "listVisibleProjects", organization_id=organization,
                         user_id=user)) is sees  # fmt: skip
    with maintaining(connection):
        connection.execute("update projects set deleted_at = now()")
    with acting(connection, tenant):
        [row] = call(connection, "getProjectRole", project_id=tenant.project_id, user_id=user)
        assert row == {"role?": None}


def test_another_organization_has_no_role_and_finds_nothing_s_project(
    connection: Connection, tenant: Tenant, rival: Tenant, run_id: uuid.UUID
) -> None:
    found = "select project_id from resource_projects where resource_id = any(%s)"
    things = [[run_id, tenant.experiment_id]]
    for asker, user in ((rival, tenant.user_id), (rival, rival.user_id), (None, tenant.user_id)):
        with acting(connection, asker):
            [row] = call(connection, "getProjectRole", project_id=tenant.project_id, user_id=user)
            assert row == {"role?": None}
            assert connection.execute(found, things).fetchall() == []
    with acting(connection, tenant):
        projects = connection.execute(found, things).fetchall()
    assert projects == [{"project_id": tenant.project_id}] * 2


def test_the_server_can_tell_a_role_that_row_security_does_not_bind(
    connection: Connection,
) -> None:
    [row] = call(connection, "describeSession")
    assert row["is_above_row_security"]
    with acting(connection, None):
        [row] = call(connection, "describeSession")
    assert (row["role"], row["is_above_row_security"]) == ("needletail_app", False)
