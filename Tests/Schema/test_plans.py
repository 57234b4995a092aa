"""Under row-level security, with plans made once for all parameters, hot statements use indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from statements import statements
from tenants import Tenant, acting, create_tenant, uuid7

if TYPE_CHECKING:
    from cluster import Cluster, Connection

# Ids in the order of time, as a server makes them. A run that logs has several metrics, so that the
# planner knows what their keys are worth; what it plans for tables without rows tells nothing.
FILL = """
    create function pg_temp.uuid7(moment timestamptz) returns uuid language sql volatile return (
        left(needletail_uuid_floor(moment)::text, 13) || right(gen_random_uuid()::text, 23)
    )::uuid;
    insert into experiments (organization_id, id, project_id, name, created_by)
    select organization_id, pg_temp.uuid7(now() + n * interval '1 second'), project_id, 'e' || n,
        created_by
    from experiments, generate_series(1, 1000) as n order by n;
    insert into runs (organization_id, id, experiment_id, project_id, name, status, started_at,
        completed_at, created_by)
    select organization_id, pg_temp.uuid7(created_at + n * interval '1 second'), id, project_id,
        'run', s.status, now(), case when s.status <> 'running' then now() end, created_by
    from experiments, generate_series(1, 20) as n,
        lateral (values ((array['completed', 'failed', 'running'])[1 + n % 3])) as s (status)
    order by n;
    insert into metric_chunks (organization_id, id, run_id, key, point_count, min_step, max_step,
        first_step, step_stride, first_time_us, time_stride_us, min_value, max_value, point_values)
    select organization_id, pg_temp.uuid7(now() + make_interval(months => n % 3)),
        id, 'key ' || n / 3, 1, n, n, n, 0, 0, 0, 0, 0, '{0}'
    from runs, generate_series(1, 48) as n where id::text like '%0';
    insert into metric_rollups (organization_id, id, exponent, run_id, key, epoch, merged_xid,
        min_step, max_step, cells, point_counts, nan_counts, min_values, min_steps, max_values,
        max_steps, sums, first_steps, first_times_us, first_values, last_steps, last_times_us,
        last_values)
    select organization_id, id, 4, run_id, key, 0, '3', 0, 0, '{0}', '{1}', '{0}', '{0}', '{0}',
        '{0}', '{0}', '{0}', '{0}', '{0}', '{0}', '{0}', '{0}', '{0}'
    from metric_chunks;
    insert into log_chunks (organization_id, id, run_id, rank, line_count, min_time_us, max_time_us,
        level_mask, times_us, levels, streams, texts)
    select organization_id, pg_temp.uuid7(now() + make_interval(months => n % 3)),
        id, 0, 1, 0, 0, 1, '{0}', '{0}', '{stdout}', '{line}'
    from runs, generate_series(1, 3) as n;
    insert into run_metric_summaries
    select organization_id, id, 'key ' || n, 1, n, n, 0, n, n, n
    from runs, generate_series(1, 3) as n;
    insert into run_epochs (organization_id, run_id, epoch, from_step, writer_id)
    select organization_id, id, n, n, gen_random_uuid() from runs, generate_series(1, 2) as n;
    insert into run_metric_definitions
    select organization_id, id, 'key ' || n, 'minimize', 'best', '', false
    from runs, generate_series(1, 3) as n;
    insert into run_tags (organization_id, run_id, key, value)
    select organization_id, id, 'key', 'value' from runs;
    insert into run_parameters (organization_id, run_id, key, value)
    select organization_id, id, 'key', 'value' from runs;
    insert into traces (organization_id, id, project_id, experiment_id, public_id, state,
        request_time_ms, is_told)
    select organization_id, pg_temp.uuid7(created_at), project_id, experiment_id, id::text, 'ok',
        1, true
    from runs order by id limit 5000;
    insert into logged_models (organization_id, id, project_id, experiment_id, name, created_by)
    select organization_id, pg_temp.uuid7(created_at), project_id, experiment_id, 'model',
        created_by
    from runs order by id limit 5000;
    insert into artifact_blobs select id, sha256('x'), 1, now() from organizations;
    insert into artifacts (organization_id, run_id, path, id, sha256, size_bytes, created_by)
    select organization_id, id, 'file', gen_random_uuid(), sha256('x'), 1, created_by from runs;
    insert into artifacts (organization_id, trace_id, path, id, sha256, size_bytes, created_by)
    select trace.organization_id, trace.id, 'file', gen_random_uuid(), sha256('x'), 1, created_by
    from traces as trace inner join projects on projects.id = trace.project_id;
    insert into artifacts (organization_id, logged_model_id, path, id, sha256, size_bytes,
        created_by)
    select organization_id, id, 'file', gen_random_uuid(), sha256('x'), 1, created_by
    from logged_models;
    insert into artifact_uploads (organization_id, id, run_id, path)
    select organization_id, gen_random_uuid(), id, 'file' from runs;
"""


@pytest.fixture(scope="module")
def filled(cluster: Cluster, template: str) -> tuple[str, Tenant]:
    database = cluster.create_database(template)
    with cluster.connect(database) as connection:
        tenant = create_tenant(connection, "acme")
        create_tenant(connection, "rival")
        connection.execute(FILL)
        connection.execute("analyze")
    return database, tenant


def walk(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in walk(child))]


HOT = {
    "getRun": {"runs_pkey"},
    "lockRun": {"runs_pkey"},
    "getExperiment": {"experiments_*key"},
    "listExperiments": {"experiments_pkey"},
    "listProjectExperiments": {"idx_experiments_project"},
    "getWriter": {"writers_pkey"},
    "advanceWriter": {"writers_pkey"},
    "requireRunningRuns": {"runs_pkey"},
    "listEpochs": {"run_epochs_pkey"},
    "listEpochsSeen": {"run_epochs_pkey"},
    "getCurrentEpoch": {"run_epochs_pkey"},
    "listMetricSummaries": {"run_metric_summaries_pkey"},
    "listMetricDefinitions": {"run_metric_definitions_pkey"},
    "getRunToDefineMetrics": {"runs_pkey", "run_metric_definitions_pkey"},
    "getIdempotencyRecord": {"idempotency_records_pkey"},
    "getCaller": {"api_keys_pkey"},
    "getRunChange": {"runs_pkey"},
    "holdRun": {"runs_pkey"},
    "getRunToDescribe": {"runs_pkey", "run_tags_pkey", "run_parameters_pkey"},
    "listDeletedRuns": {"idx_runs_deleted"},
    "listChunksByStep": {"metric_chunks_*_organization_id_run_id_key_min_step_i*"},
    "listLogLines": {"log_chunks_*_organization_id_run_id_id_idx"},
    "listLogLinesBackwards": {"log_chunks_*_organization_id_run_id_id_idx"},
    "listLogLinesBetween": {"log_chunks_*_organization_id_run_id_xid_id_idx"},
    "listChunksBetween": {"metric_chunks_*_organization_id_run_id_xid_id_idx"},
    "listChunksOfRuns": {"metric_chunks_*_organization_id_run_id_xid_id_idx"},
    "listEpochsOfRuns": {"run_epochs_pkey"},
    "planBuckets": {
        "metric_chunks_*_organization_id_run_id_key_min_step_*",
        "metric_rollups_*_organization_id_run_id_key_by*",
    },
    "planBucketsByTime": {
        "metric_chunks_*_organization_id_run_id_key_min_step_*",
        "metric_rollups_*_organization_id_run_id_key_by*",
    },
    "getTimeExtent": {
        "metric_chunks_*_organization_id_run_id_key_min_step_*",
        "metric_rollups_*_organization_id_run_id_key_by*",
    },
    "listRollups": {"metric_rollups_*pkey"},
    "listChunksByID": {"metric_chunks_*pkey"},
    "getArtifact": {"artifacts_pkey"},
    "getUploadedArtifact": {"artifacts_organization_id_id_key"},
    "listArtifactFolder": {"artifacts_pkey"},
    "listArtifactsBelow": {"artifacts_pkey"},
    "getTraceWithFiles": {"idx_traces_public_id"},
    "getArtifactOwner": {"runs_pkey", "logged_models_pkey", "traces_pkey"},
    "getArtifactPlace": {"artifacts_pkey", "runs_pkey", "logged_models_pkey", "traces_pkey"},
    "createUpload": {"runs_pkey", "logged_models_pkey", "traces_pkey"},
    "getUpload": {"artifact_uploads_pkey"},
    "resumeUpload": {"artifact_uploads_pkey", "runs_pkey", "logged_models_pkey", "traces_pkey"},
}

# With nothing to compare to, every partition would be passed over.
ARGUMENTS = {
    "after_id": "'00000000-0000-0000-0000-000000000000'",
    "before_id": "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
}


def plan_of(connection: Connection, tenant: Tenant, name: str) -> list[dict[str, Any]]:
    text, names = statements()[name].positional
    arguments = ", ".join(ARGUMENTS.get(name, "null") for name in names)
    with acting(connection, tenant):
        connection.execute("set local plan_cache_mode = force_generic_plan")
        connection.execute("set local jit = off")
        connection.execute(f"prepare hot as {text}")
        try:
            row = connection.execute(
                f"explain (format json, costs off) execute hot ({arguments})"
            ).fetchone()
        finally:
            connection.execute("deallocate hot")
    assert row is not None
    return walk(row["QUERY PLAN"][0]["Plan"])


# Small tables, which the planner may well read whole.
SMALL = {"projects", "organization_memberships", "project_members", "organizations", "users",
         "api_keys", "writers", "run_metric_summaries", "idempotency_records"}  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_reads_by_index(
    cluster: Cluster, filled: tuple[str, Tenant], name: str
) -> None:
    database, tenant = filled
    with cluster.connect(database) as connection:
        if name in ("getCaller", "getWriter", "advanceWriter", "listMetricSummaries",
                    "getIdempotencyRecord"):  # fmt: skip
            connection.execute("set enable_seqscan = off")
        nodes = plan_of(connection, tenant, name)
        scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
        # Partitions that hold nothing here may be read whole.
        full = connection.execute(
            "select relname from pg_class where relname = any(%s) and reltuples > 0",
            [list(scanned - SMALL)],
        ).fetchall()
    assert full == []
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    for expected in HOT[name]:
        head, _, tail = expected.partition("*")
        tail = tail.strip("*")
        assert any(index.startswith(head) and tail in index for index in used), used
    for node in nodes:
        if node.get("Index Name") in HOT[name]:
            assert "organization_id = " in node["Index Cond"], node


def test_rollups_are_read_one_by_one(cluster: Cluster, filled: tuple[str, Tenant]) -> None:
    database, tenant = filled
    with cluster.connect(database) as connection:
        plans = {name: plan_of(connection, tenant, name) for name in ("planBuckets", "listRollups")}
    for name, index, columns in (
        ("planBuckets", "metric_chunks_", ("organization_id", "run_id", "key", "min_step <=")),
        ("planBuckets", "metric_rollups_", ("organization_id", "run_id", "key", "by_time")),
        ("listRollups", "metric_rollups_", ("organization_id", "id", "by_time", "exponent")),
    ):
        conditions = [
            node["Index Cond"] for node in plans[name]
            if node.get("Index Name", "").startswith(index)
        ]  # fmt: skip
        # A partition each of three months.
        assert len(conditions) == 3, (name, index)
        for column in columns:
            assert all(f"({column} " in condition for condition in conditions), conditions


@pytest.mark.parametrize(
    "name", ["requireRunningRuns", "openEpochs", "listProjectsOfRuns", "listForkSources"]
)
def test_a_plan_from_before_there_were_runs_looks_at_each_by_its_key(
    connection: Connection, tenant: Tenant, name: str
) -> None:
    text, names = statements()[name].positional
    first, second, writer = (uuid7() for _ in range(3))
    epochs = "{1,1}" if name == "openEpochs" else "{0,0}"
    arguments: dict[str, object] = {
        "run_ids": f"{{{first},{second}}}", "epochs": epochs, "from_steps": "{0,0}",
        "organization_id": tenant.organization_id, "user_id": tenant.user_id,
        "sufficient_roles": "{contributor,owner}", "writer_id": writer,
        "include_deleted": "false", "forks_max": 9,
    }  # fmt: skip
    values = ", ".join(f"'{arguments[one]}'" for one in names)
    with acting(connection, tenant):
        connection.execute("set local plan_cache_mode = force_generic_plan")
        connection.execute("set local jit = off")
        connection.execute(f"prepare early as {text}")
        # The plan that is kept.
        connection.execute(f"explain execute early ({values})")
        connection.execute(
            "insert into runs (organization_id, id, experiment_id, project_id, name, status,"
            " started_at, created_by, forked_from_run_id, forked_at_step)"
            " select %s, id, %s, %s, 'run', 'running', now(), %s, %s, 5"
            " from (select unnest(%s::uuid[]) as id union all"
            " select gen_random_uuid() from generate_series(1, 300)) as made",
            [tenant.organization_id, tenant.experiment_id, tenant.project_id, tenant.user_id,
             first, [first, second]],
        )  # fmt: skip
        row = connection.execute(
            f"explain (analyze, format json, costs off, timing off) execute early ({values})"
        ).fetchone()
        connection.execute("deallocate early")
    assert row is not None
    looks = [
        node for node in walk(row["QUERY PLAN"][0]["Plan"]) if node.get("Relation Name") == "runs"
    ]
    assert looks
    for node in looks:
        assert "(organization_id = " in node["Index Cond"], node
        assert "(id = " in node["Index Cond"], node
        assert node["Actual Rows"] <= 1, node
        assert node.get("Rows Removed by Filter", 0) <= 1, node


def test_no_other_index_is_taken_for_the_key_of_runs(connection: Connection) -> None:
    # Without statistics all that begin with the organization and have the id cost the same, and
    # the planner takes any: a look at one run would read through those of its organization.
    rows = connection.execute(
        "select indexrelid::regclass::text as name from pg_index "
        "where indrelid = 'runs'::regclass and not indisprimary and indpred is null "
        "and pg_get_indexdef(indexrelid, 1, true) = 'organization_id'"
    ).fetchall()
    assert rows == []


def test_history_reads_no_more_than_its_page(cluster: Cluster, filled: tuple[str, Tenant]) -> None:
    database, tenant = filled
    with cluster.connect(database) as connection:
        nodes = plan_of(connection, tenant, "listChunksByStep")
    conditions = [
        node["Index Cond"] for node in nodes if "key_min_step" in node.get("Index Name", "")
    ]
    assert conditions
    for part in ("organization_id", "run_id", "key =", "ROW(min_step, id) >"):
        assert all(part in condition for condition in conditions), conditions
