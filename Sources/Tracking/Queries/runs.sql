-- Creates a run of a live experiment, and returns its project. Refuses EXPERIMENT_NOT_FOUND where
-- the caller does not see the project, and PERMISSION_MISSING where their role in it does not
-- suffice.
-- name: createRun :one
insert into runs (
    organization_id, id, experiment_id, project_id, name, description, status, started_at,
    created_by, created_at, updated_at, parent_run_id, source, forked_from_run_id, forked_at_step
)
values (
    :organization_id,
    :id,
    :experiment_id,
    -- part: project_of_experiment
    coalesce(
        (
            select
                needletail_require_role(
                    experiment.project_id, :user_id, :sufficient_roles::text[],
                    'EXPERIMENT_NOT_FOUND'
                )
            from experiments as experiment
            where
                experiment.organization_id = :organization_id
                and experiment.id = :experiment_id
                and experiment.deleted_at is null
            -- Who deletes the experiment waits, and takes this run along.
            for key share of experiment
        ),
        needletail_refuse('EXPERIMENT_NOT_FOUND', null, null::uuid)
    ),
    -- end of project_of_experiment
    :name,
    :description,
    :status,
    :started_at?,
    :user_id,
    :created_at,
    :created_at,
    :parent_run_id?,
    (:source_json?::text)::jsonb,
    :forked_from_run_id?,
    :forked_at_step?
)
returning project_id;

-- Demands that a run of a project may be nested under another, at most `depth_max` deep in all.
-- Refuses RUN_NOT_FOUND, PARENT_RUN_INVALID and NESTING_TOO_DEEP.
-- name: requireParentRun :exec
select
    needletail_require_parent(
        :organization_id, :project_id, :id, :parent_run_id, :is_new, :depth_max::bigint
    ) as "id!";

-- Demands that the caller sees a run. Refuses RUN_NOT_FOUND.
-- name: requireVisibleRun :exec
select
    coalesce(
        (
            select run.id
            from runs as run
            where
                run.organization_id = :organization_id
                and run.id = :id
                and run.deleted_at is null
                and needletail_project_role(run.project_id, :user_id) is not null
        ),
        needletail_refuse('RUN_NOT_FOUND', jsonb_build_object('run_id', :id), null::uuid)
    ) as "id!";

-- Demands that a run may be forked: that it is at most `forks_max` - 1 forks away from the first.
-- Refuses FORKED_TOO_OFTEN.
-- name: requireForkable :exec
with recursive line as (
    select
        run.forked_from_run_id as id,
        1 as depth
    from runs as run
    where run.organization_id = :organization_id and run.id = :id
    union all
    select
        run.forked_from_run_id,
        line.depth + 1
    from line
    inner join runs as run
        on run.organization_id = :organization_id and line.id = run.id
    where line.depth < :forks_max::bigint
)

select
    case
        when max(line.depth) filter (where line.id is not null) = :forks_max::bigint
            then needletail_refuse('FORKED_TOO_OFTEN', null, :id::uuid)
    end as "id?"
from line;

-- What runs were forked from, each with the last step that the run has of it; the nearest first.
-- One that is deleted or gone has no project.
-- name: listForkSources :many
with recursive line as (
    select
        run.id as run_id,
        run.forked_from_run_id as id,
        run.forked_at_step as last_step,
        1 as depth
    from (select distinct item.id from unnest(:run_ids::uuid[]) as item (id)) as asked
    -- A look for each: a plan that was made while there were few runs would go through all of them.
    cross join
        lateral (
            select
                stored.id,
                stored.forked_from_run_id,
                stored.forked_at_step
            from runs as stored
            where
                stored.organization_id = :organization_id
                and stored.id = asked.id
                and stored.forked_at_step is not null
            limit 1  -- noqa: AM09
        ) as run
    union all
    select
        line.run_id,
        run.forked_from_run_id,
        least(line.last_step, run.forked_at_step),
        line.depth + 1
    from line
    cross join
        lateral (
            select
                stored.forked_from_run_id,
                stored.forked_at_step
            from runs as stored
            where
                stored.organization_id = :organization_id
                and stored.id = line.id
                and stored.forked_at_step is not null
            limit 1  -- noqa: AM09
        ) as run
    where line.depth < :forks_max::bigint
)

select
    line.run_id as "run_id!",
    line.id as "id?",
    line.last_step as "last_step!",
    (
        select run.project_id
        from runs as run
        where
            run.organization_id = :organization_id
            and run.id = line.id
            and run.deleted_at is null
    ) as "project_id?"
from line
order by line.run_id, line.depth;

-- Demands a live experiment of a project, which nobody deletes until the transaction ends. Refuses
-- EXPERIMENT_NOT_FOUND.
-- name: requireExperiment :exec
select
    coalesce(
        (
            select experiment.id
            from experiments as experiment
            where
                experiment.organization_id = :organization_id
                and experiment.id = :id
                and experiment.project_id = :project_id
                and experiment.deleted_at is null
            for key share of experiment
        ),
        needletail_refuse('EXPERIMENT_NOT_FOUND', null, null::uuid)
    ) as "id!";

-- One run that is not deleted, or `include_deleted`. Whether the caller may look at its project, a
-- cache knows.
-- name: getRun :optional
select
    -- part: run_columns
    run.id,
    run.experiment_id,
    run.project_id,
    run.name,
    run.description,
    run.status,
    run.started_at,
    run.completed_at,
    run.duration_ms,
    run.created_by,
    run.created_at,
    run.updated_at,
    run.revision,
    run.parent_run_id,
    needletail_source_texts(run.source) as "source?",
    run.forked_from_run_id,
    run.forked_at_step,
    run.is_pinned,
    run.archived_at,
    -- end of run_columns
    run.deleted_at,
    run.purge_after
from runs as run
where
    run.organization_id = :organization_id
    and run.id = :id
    and (:include_deleted or run.deleted_at is null);

-- A live run with the caller's role in its project; and nobody else changes it, nor appends to it,
-- until the transaction ends.
-- name: lockRun :optional
select
    part('run_columns'),
    needletail_project_role(run.project_id, :user_id) as "role?"
from runs as run
where
    run.organization_id = :organization_id
    and run.id = :id
    and run.deleted_at is null
for no key update of run;

-- Writes a locked run. The revision goes up by one.
-- name: updateRun :exec
update runs
set
    experiment_id = :experiment_id,
    name = :name,
    description = :description,
    status = :status,
    started_at = :started_at?,
    completed_at = :completed_at?,
    parent_run_id = :parent_run_id?,
    source = (:source_json?::text)::jsonb,
    is_pinned = :is_pinned,
    archived_at = :archived_at?,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Ends a locked run. Refuses RUN_FINISHED; an end before the start fails with
-- runs_completed_at_check.
-- name: finishRun :exec
update runs
set
    status
    = case
        when status in ('scheduled', 'running') then :status
        else needletail_refuse('RUN_FINISHED', null, status)
    end,
    started_at
    = case when :status = 'cancelled' then started_at else coalesce(started_at, :completed_at) end,
    completed_at = :completed_at,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;
