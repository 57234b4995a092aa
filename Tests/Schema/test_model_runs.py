"""The points of runs behind models in use stay when their time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tenants import Tenant, acting, maintaining, uuid7
from test_rollups import compact, cut, series, store

if TYPE_CHECKING:
    import uuid

    from cluster import Connection

# How a run comes to be behind a model in use, or does not: the version's stage, what becomes of the
# version, and whether an alias stands for it.
BEHIND = [
    ("production", "", False, True), ("staging", "", False, True), ("none", "", True, True),
    ("none", "", False, False), ("archived", "", False, False),
    ("production", "update model_versions set deleted_at = now()", False, False),
    ("production", "update models set deleted_at = now()", False, False),
    ("none", "update model_aliases set ended_at = now()", True, False),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "then", "is_aliased", "is_kept"), BEHIND)
def test_points_behind_a_model_in_use_are_kept(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, stage: str, then: str, *,
    is_aliased: bool, is_kept: bool,
) -> None:  # fmt: skip
    store(connection, tenant, run_id, *cut(series(3_000), 10))
    compact(connection)
    ids = {
        "owner": tenant.organization_id, "run": run_id, "stage": stage, "model": uuid7(),
        "version": uuid7(), "alias": uuid7(),
    }  # fmt: skip
    with acting(connection, tenant):
        connection.execute(
            "insert into models (organization_id, id, project_id, name, created_by)"
            " select %(owner)s, %(model)s, project_id, 'm', created_by from runs"
            " where id = %(run)s",
            ids,
        )
        connection.execute(
            "insert into model_versions (organization_id, id, model_id, ordinal, version, status,"
            " status_message, stage, source, source_run_id, source_run, run_link, logged_model,"
            " description, user_name, requirements, created_by) select %(owner)s, %(version)s,"
            " %(model)s, 1, '1.0.0', 'ready', '', %(stage)s, '', %(run)s, '', '', '', '', '', '',"
            " created_by from runs where id = %(run)s",
            ids,
        )
        if is_aliased:
            connection.execute(
                "insert into model_aliases (organization_id, id, model_id, alias,"
                " model_version_id, set_by, started_at) select %(owner)s, %(alias)s, %(model)s,"
                " 'champion', %(version)s, created_by, now() from runs where id = %(run)s",
                ids,
            )
        if then:
            connection.execute(then)
    with maintaining(connection):
        while connection.execute(
            "select needletail_expire_metrics(now() + '1 minute', now() + '1 minute', 1000) as n"
        ).fetchone() != {"n": 0}:
            pass
    for table in ("metric_chunks", "metric_rollups"):
        row = connection.execute(
            f"select count(*) as n from {table} where run_id = %s", [run_id]
        ).fetchone()
        assert row is not None
        assert (row["n"] > 0) == is_kept
