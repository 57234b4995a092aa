"""Every server removes for good what cannot be recovered any more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from estate import Estate
from estate_rows import rows_of, tables_of
from needletail import CallError
from needletail.identity import AuditLogFilter
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Connection, UpServer


# Deleted, in an order that leaves the users of ended memberships findable.
ENDING = ["users", "projects", "project_members", "organization_memberships"]
# Over for more than 30 days, too.
OVER = [
    (
        "update invitations set expires_at = now() - interval '31 days'"
        " where organization_id = %(organization)s"
    ),
    (
        "update api_keys set expires_at = now() - interval '31 days', is_from_login = true"
        " where organization_id = %(organization)s and id = %(key)s"
    ),
]


def purged(server: UpServer) -> int:
    """Read how many rows a server has removed."""
    _, page = server.page("/metrics")
    found = re.search(r"^needletail_purged_rows_total (\d+)$", page, re.MULTILINE)
    assert found
    return int(found[1])


def test_a_deleted_project_is_removed_by_the_server_in_its_time(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server(
        "--operations-port", "0", "--set", "housekeeping-interval=50ms", "--set",
        "purge-batch-rows=2",
    )  # fmt: skip
    server.start()
    with server.sql() as sql:
        doomed, other = (Estate(server, sql, name) for name in ("doomed", "other"))
        project = doomed.ids["project"]
        with doomed.client() as client:
            client.identity.delete_project(id=project)
            client.identity.remove_member(user_id=doomed.ids["user"])
            client.identity.delete_service_account(id=doomed.ids["service_account"])
        untouched = rows_of(sql, other.id)
        kept = rows_of(sql, doomed.id)["audit_logs"]
        assert purged(server) == 0
        conditions = tables_of(sql)
        for table in ENDING:
            # Each was given its 30 days when it was deleted.
            days = sql.execute(
                f"update {table} set purge_after = purge_after - interval '31 days' where"
                f" {conditions[table]} and deleted_at is not null"
                " returning purge_after + interval '31 days' - deleted_at = interval '30 days'"
                " as is_month",
                {"organization": doomed.id},
            ).fetchall()
            assert days
            assert all(row["is_month"] for row in days)
        for statement in OVER:
            sql.execute(statement, {"organization": doomed.id, "key": doomed.ids["api_key"]})

        def left() -> int:
            row = sql.execute(
                "select (select count(*) from projects where purge_after < now())"
                " + (select count(*) from users where purge_after < now())"
                " + (select count(*) from invitations where expires_at < now()"
                " and deleted_at is null)"
                " + (select count(*) from api_keys where expires_at < now()) as n"
            ).fetchone()
            assert row is not None
            return int(row["n"])

        wait_until("everything is removed", lambda: left() == 0)
        with doomed.client() as client, pytest.raises(CallError) as caught:
            client.identity.undelete_project(id=project)
        assert caught.value.reason == "PROJECT_NOT_FOUND"
        wait_until("the rows are counted", lambda: purged(server) > 10)
        assert rows_of(sql, other.id) == untouched
        rows = rows_of(sql, doomed.id)
        assert (rows["runs"][0], rows["metric_chunks"][0]) == (0, 0)
        purges = sql.execute(
            "select action, resource_id::text as id from audit_logs where organization_id = %s"
            " and actor_type = 'system' and action like '%%.purge'",
            [doomed.id],
        ).fetchall()
        assert {(row["action"], row["id"]) for row in purges} == {
            ("project.purge", project),
            ("project.purge", doomed.ids["deleted_project"]),
            # They had been deleted before their project was.
            ("experiment.purge", doomed.ids["deleted_experiment"]),
            ("run.purge", doomed.ids["deleted_run"]),
            ("model.purge", doomed.ids["deleted_model"]),
            ("logged_model.purge", doomed.ids["deleted_logged_model"]),
            ("service_account.purge", doomed.ids["service_account"]),
            ("user.purge", doomed.ids["deleted_user"]),
        }
        assert rows["audit_logs"][0] == kept[0] + len(purges)
        with doomed.client() as client:
            [entry] = client.identity.list_audit_logs(
                filter=AuditLogFilter(action="user.purge")
            ).audit_logs
        assert (entry.actor_type, entry.actor_label) == ("system", "housekeeping")
    assert server.stop() == 0


def test_after_30_days_a_project_is_not_brought_back_even_if_it_is_still_there(
    served: UpServer, sql: Connection
) -> None:
    estate = Estate(served, sql, "late")
    project = estate.ids["deleted_project"]
    sql.execute("update projects set purge_after = now() where id = %s", [project])
    before = rows_of(sql, estate.id)
    with estate.client() as client:
        with pytest.raises(CallError) as caught:
            client.identity.undelete_project(id=project)
        listed = client.identity.list_projects(deleted=True).projects
    assert caught.value.reason == "RECOVERY_OVER"
    assert listed == ()
    assert rows_of(sql, estate.id) == before
