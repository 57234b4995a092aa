"""The audit log is read by index, whatever is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row
from statements import statements
from tenants import START, Tenant, acting, create_tenant, uuid7

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cluster import Cluster

ZERO = "00000000-0000-0000-0000-000000000000"
GREATEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
ACTOR, KEY, RESOURCE = (uuid7() for _ in range(3))

# 100,000 entries over three months; what is looked for is rare in them.
FILL = """
    insert into audit_logs (organization_id, id, actor_type, actor_id, actor_label, api_key_id,
        action, outcome, resource_type, resource_id, created_at)
    select
        %(organization)s,
        (left(needletail_uuid_floor(moment)::text, 13)
            || right(md5(n::text)::uuid::text, 23))::uuid,
        'user', case when n %% 997 = 0 then %(actor)s else md5((n %% 50)::text)::uuid end, 'Ada',
        case when n %% 499 = 0 then %(key)s else md5((n %% 70)::text)::uuid end,
        case when n %% 1009 = 0 then 'project.' || (array['create', 'update'])[1 + n %% 2]
            else (array['run', 'experiment'])[1 + n %% 2] || '.create' end,
        case when n %% 503 = 0 then 'denied' else 'success' end,
        case when n %% 1009 = 0 then 'project' else (array['run', 'experiment'])[1 + n %% 2] end,
        case when n %% 5003 = 0 then %(resource)s else md5(n::text)::uuid end, moment
    from generate_series(1, %(count)s) as n,
        lateral (select %(start)s::timestamptz + n * (interval '90 days' / %(count)s)) as t (moment)
"""


@dataclass(frozen=True)
class Filled:
    """A database whose audit log is long."""

    cluster: Cluster
    database: str
    tenant: Tenant


@pytest.fixture(scope="module")
def filled(cluster: Cluster, template: str) -> Filled:
    database = cluster.create_database(template)
    with cluster.connect(database) as connection:
        tenant = create_tenant(connection, "acme")
        rival = create_tenant(connection, "rival")
        for organization, count in [(tenant, 100_000), (rival, 10_000)]:
            values = {"organization": organization.organization_id, "count": count, "start": START,
                      "actor": ACTOR, "key": KEY, "resource": RESOURCE}  # fmt: skip
            connection.execute(FILL, values)
        connection.execute("analyze")
    return Filled(cluster, database, tenant)


def parameters(tenant: Tenant, names: Sequence[str], **given: Any) -> dict[str, Any]:
    bounds = {"after_id": ZERO, "before_id": GREATEST, "page_size": 101, "bytes_max": 4 << 20}
    return dict.fromkeys(names) | bounds | {
        "organization_id": tenant.organization_id, **given,
    }  # fmt: skip


def run(filled: Filled, name: str, prefix: str = "", **given: Any) -> list[dict[str, Any]]:
    """Run a statement as the server does: prepared, and planned for its values."""
    text, names = statements()[name].positional
    values = parameters(filled.tenant, names, **given)
    with filled.cluster.connect(filled.database) as connection, acting(connection, filled.tenant):
        connection.execute("set local plan_cache_mode = force_generic_plan")
        connection.execute(statements()["planForValues"].text)
        connection.execute(f"prepare listing as {text}".encode())
        literals = ", ".join(["%s"] * len(names))
        cursor = psycopg.ClientCursor(connection, row_factory=dict_row)
        cursor.execute(
            f"{prefix} execute listing ({literals})".encode(), [values[name] for name in names]
        )
        return [{name.rstrip("!?"): row[name] for name in row} for row in cursor.fetchall()]


def plan(filled: Filled, name: str, **given: Any) -> list[dict[str, Any]]:
    return walk_plan(
        run(filled, name, "explain (analyze, timing off, format json)", **given)[0]["QUERY PLAN"]
    )


def walk_plan(plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    nodes = [plans[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    return nodes


FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "_pkey"),
    "success": ({"outcome": "success"}, "_pkey"),
    "denied": ({"outcome": "denied"}, "organization_id_id_idx"),
    "actor": ({"actor_id": ACTOR}, "actor_id"),
    "key": ({"api_key_id": KEY}, "api_key_id"),
    "action": ({"action": "project.create"}, "action"),
    "pattern": ({"action_from": "project.", "action_before": "project/"}, "action"),
    "type": ({"resource_type": "project"}, "resource_type"),
    "resource": ({"resource_id": RESOURCE}, "resource_id"),
    "typed resource": ({"resource_type": "run", "resource_id": RESOURCE}, "resource_id"),
    "actor, denied": ({"actor_id": ACTOR, "outcome": "denied"}, ""),
    "key, pattern": (
        {"api_key_id": KEY, "action_from": "project.", "action_before": "project/"}, "",
    ),
    "all": (
        {"actor_id": ACTOR, "api_key_id": KEY, "action": "run.create", "resource_type": "run",
         "resource_id": RESOURCE, "outcome": "success"}, "resource_id",
    ),
}  # fmt: skip


@pytest.mark.parametrize("statement", ["listAuditLogs", "exportAuditLogs"])
@pytest.mark.parametrize("case", FILTERS)
def test_every_filter_reads_little_more_than_it_returns(
    filled: Filled, statement: str, case: str
) -> None:
    given, index = FILTERS[case]
    most = 500
    if statement == "listAuditLogs" and "action_from" in given:
        # Lists read each of the pattern's two actions by itself.
        statement = "listAuditLogsOfActions"
        most *= 2
    nodes = plan(filled, statement, **given)
    scans = [node for node in nodes if "Relation Name" in node and node["Actual Loops"]]
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
        if "Scan" in node["Node Type"] and "audit_logs" in node.get("Relation Name", "")
    )
    assert read <= most, (case, read, nodes)
    for node in scans:
        if not node["Relation Name"].endswith("_default"):
            assert node["Node Type"] != "Seq Scan", node
    used = [node["Index Name"] for node in nodes if "Index Name" in node]
    assert any(index in name for name in used), used


@pytest.mark.parametrize("statement", ["listAuditLogs", "exportAuditLogs"])
def test_a_time_is_looked_for_in_its_own_partition(filled: Filled, statement: str) -> None:
    moment = START + timedelta(days=45)
    bounds: dict[str, Any] = {
        "after_id": uuid7(moment), "before_id": uuid7(moment + timedelta(hours=2)),
    }  # fmt: skip
    nodes = plan(filled, statement, from_time=moment, until_time=moment + timedelta(hours=1),
                 **bounds)  # fmt: skip
    tables = {node["Relation Name"] for node in nodes if "Relation Name" in node}
    assert tables <= {f"audit_logs_y{moment:%Y}m{moment:%m}", "audit_logs_default"}
    rows = run(filled, statement, from_time=moment, until_time=moment + timedelta(hours=1),
               **bounds)  # fmt: skip
    assert rows
    assert all(moment <= row["created_at"] < moment + timedelta(hours=1) for row in rows)


def test_a_page_and_a_batch_are_in_order_and_only_of_the_organization(filled: Filled) -> None:
    newest = [row["id"] for row in run(filled, "listAuditLogs", page_size=1_000)]
    oldest = [row["id"] for row in run(filled, "exportAuditLogs", page_size=1_000)]
    assert len(newest) == len(oldest) == 1_000
    assert newest == sorted(newest, reverse=True)
    assert oldest == sorted(oldest)
    with filled.cluster.connect(filled.database) as connection:
        rows = connection.execute(
            "select id from audit_logs where organization_id = %s order by id desc limit 1000",
            [filled.tenant.organization_id],
        ).fetchall()
    assert [row["id"] for row in rows] == newest


def test_a_batch_ends_before_its_bytes_are_passed_but_has_an_entry(filled: Filled) -> None:
    rows = run(filled, "exportAuditLogs", page_size=500, bytes_max=10 * 600)
    assert 9 <= len(rows) <= 12
    assert {row["rows_read"] for row in rows} == {500}
    assert len(run(filled, "exportAuditLogs", page_size=500, bytes_max=1)) == 1
