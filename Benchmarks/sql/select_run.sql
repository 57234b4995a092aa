-- The row that GetRun reads, by its key: no tenant, no access, no round trip more.
select
    id,
    experiment_id,
    project_id,
    name,
    description,
    status,
    started_at,
    completed_at,
    duration_ms,
    created_by,
    created_at,
    updated_at,
    revision,
    parent_run_id,
    source,
    forked_from_run_id,
    forked_at_step,
    is_pinned,
    archived_at
from runs
where organization_id = :organization_id and id = :id;
