"""The shapes in which people read runs by SQL: one row a run, with JSON objects."""

from __future__ import annotations

import json
import math
import uuid
from typing import TYPE_CHECKING, Any

from tenants import Tenant, acting, create_run, create_tenant, maintaining, uuid7

if TYPE_CHECKING:
    from cluster import Connection

# As the design documents promise them, beside the tenant and the tags.
SHAPE = {
    "id": "uuid", "experiment_id": "uuid", "run_name": "text", "status": "text",
    "parameters": "jsonb", "metrics": "jsonb", "artifacts": "jsonb", "logs": "text",
    "started_at": "timestamptz", "completed_at": "timestamptz", "duration_seconds": "int4",
    "created_at": "timestamptz", "updated_at": "timestamptz",
    "organization_id": "uuid", "tags": "jsonb",
}  # fmt: skip


def fill(connection: Connection, tenant: Tenant) -> uuid.UUID:
    """Write a run that has everything, and ended after a second and a half."""
    run = create_run(connection, tenant)
    of = [tenant.organization_id, run]
    for key, value in (("loss", 0.5), ("nan", math.nan), ("inf", -math.inf)):
        connection.execute(
            "insert into run_metric_summaries values (%s, %s, %s, 2, 0, 7, 1000000, %s, %s, %s)",
            [*of, key, value, value, value],
        )
    connection.execute("insert into run_parameters values (%s, %s, 'lr', '0.1')", of)
    connection.execute("insert into run_tags values (%s, %s, 'team', 'vision')", of)
    for text in ("first", "second"):
        connection.execute(
            "insert into log_chunks (organization_id, id, run_id, rank, line_count, min_time_us,"
            " max_time_us, level_mask, times_us, levels, streams, texts)"
            " values (%s, %s, %s, 0, 1, 0, 0, 1, '{0}', '{0}', '{stdout}', array[%s])",
            [tenant.organization_id, uuid7(), run, text],
        )
    connection.execute(
        "insert into artifact_blobs values (%s, sha256('x'), 1, now())", [tenant.organization_id]
    )
    connection.execute(
        "insert into artifacts (organization_id, run_id, path, id, sha256, size_bytes, created_by)"
        " values (%s, %s, 'a/b', %s, sha256('x'), 1, %s)",
        [*of, uuid7(), tenant.user_id],
    )
    connection.execute(
        "update runs set status = 'completed', completed_at = started_at + interval '1.5 s'"
        " where organization_id = %s and id = %s",
        of,
    )
    return run


def test_a_run_is_a_row_of_the_promised_columns(connection: Connection) -> None:
    rows = connection.execute(
        "select column_name as name, udt_name as type from information_schema.columns"
        " where table_schema = 'public' and table_name = 'experiment_runs'"
    ).fetchall()
    assert {row["name"]: row["type"] for row in rows} == SHAPE


def test_what_a_run_has_is_json(connection: Connection, tenant: Tenant) -> None:
    run, bare = fill(connection, tenant), create_run(connection, tenant)
    with acting(connection, tenant):
        rows = connection.execute("select * from experiment_runs order by id").fetchall()
    found: dict[uuid.UUID, dict[str, Any]] = {row["id"]: row for row in rows}
    whole = found[run]
    assert whole["parameters"] == {"lr": "0.1"}
    assert whole["metrics"] == {"loss": 0.5, "nan": "NaN", "inf": "-Infinity"}
    assert json.dumps(whole["metrics"])
    assert whole["tags"] == {"team": "vision"}
    assert whole["artifacts"]["a/b"]["size_bytes"] == 1
    assert len(whole["artifacts"]["a/b"]["sha256"]) == 64
    assert whole["logs"] == "first\nsecond"
    assert (whole["status"], whole["duration_seconds"]) == ("completed", 1)
    empty = found[bare]
    for name in ("parameters", "metrics", "tags", "artifacts"):
        assert empty[name] == {}
    assert (empty["logs"], empty["duration_seconds"]) == (None, None)


def test_final_metrics_are_a_row_each(connection: Connection, tenant: Tenant) -> None:
    run = fill(connection, tenant)
    with acting(connection, tenant):
        rows = connection.execute(
            "select run_id, metric_name, value, step, extract(epoch from timestamp)::int as time"
            " from run_final_metrics where metric_name = 'loss'"
        ).fetchall()
    assert rows == [
        {"run_id": run, "metric_name": "loss", "value": 0.5, "step": 7, "time": 1}
    ]  # fmt: skip


def test_views_show_nobody_another_s_runs_nor_deleted_ones(
    connection: Connection, tenant: Tenant
) -> None:
    fill(connection, tenant)
    rival = create_tenant(connection, "rival")
    views = connection.execute(
        "select relname as name from pg_class where relkind = 'v'"
        " and relnamespace = 'public'::regnamespace"
    ).fetchall()
    assert {"experiment_runs", "run_final_metrics", "run_dataset_fields"} <= {
        view["name"] for view in views
    }
    without = connection.execute(
        "select relname from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace"
        " and not coalesce(reloptions @> '{security_invoker=true}', false)"
    ).fetchall()
    assert without == []
    for view in ("experiment_runs", "run_final_metrics"):
        for who, count in ((tenant, True), (rival, False), (None, False)):
            with acting(connection, who):
                row = connection.execute(f"select count(*) > 0 as some from {view}").fetchone()
            assert row == {"some": count}, (view, who)
    connection.execute("update runs set deleted_at = now()")
    with maintaining(connection):
        assert connection.execute("select from experiment_runs").fetchall() == []
