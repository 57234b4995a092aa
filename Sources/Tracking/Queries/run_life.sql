-- Makes a locked run that has ended run again.
-- name: reopenRun :exec
update runs
set
    status = 'running', started_at = :started_at, completed_at = null, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Lets nobody delete the experiment of a run until the transaction ends.
-- name: holdExperimentOfRun :exec
select experiment.id
from experiments as experiment
inner join runs as run
    on
        experiment.organization_id = run.organization_id
        and experiment.id = run.experiment_id
where run.organization_id = :organization_id and run.id = :id
for key share of experiment;

-- A run, deleted or not, with the caller's role in its project and whether its experiment is live.
-- Nobody else changes it until the transaction ends.
-- name: lockRunToRecover :optional
select
    part('run_columns'),
    run.deleted_at,
    run.purge_after,
    needletail_project_role(run.project_id, :user_id) as "role?",
    exists(
        select from experiments as experiment
        where
            experiment.organization_id = run.organization_id
            and experiment.id = run.experiment_id
            and experiment.deleted_at is null
    ) as "has_experiment!"
from runs as run
where run.organization_id = :organization_id and run.id = :id
for no key update of run;

-- Deletes a locked run, or brings it back.
-- name: setRunDeletion :exec
update runs
set deleted_at = :deleted_at?, purge_after = :purge_after?, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Deletes what is left of a locked experiment's runs with it. In the order of their ids, as
-- appenders hold them.
-- name: deleteExperimentRuns :exec
with held as (
    select run.id
    from runs as run
    where
        run.organization_id = :organization_id
        and run.experiment_id = :experiment_id
        and run.deleted_at is null
    order by run.id
    for no key update of run
)

update runs as run
set deleted_at = :deleted_at, is_deleted_with_experiment = true, updated_at = :deleted_at
from held
where run.organization_id = :organization_id and run.id = held.id;

-- Brings back what was deleted with a locked experiment.
-- name: undeleteExperimentRuns :exec
update runs
set deleted_at = null, is_deleted_with_experiment = false, updated_at = :updated_at
where
    organization_id = :organization_id
    and experiment_id = :experiment_id
    and is_deleted_with_experiment;

-- A page of the organization's deleted runs that can be brought back, newest first.
-- name: listDeletedRuns :many
select
    part('run_columns'),
    run.deleted_at,
    run.purge_after
from runs as run
where
    run.organization_id = :organization_id
    and run.id < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and run.experiment_id = coalesce(:experiment_id?::uuid, run.experiment_id)
    and run.project_id = coalesce(:project_id?::uuid, run.project_id)
    and run.status = coalesce(:status?::text, run.status)
    and run.deleted_at is not null
    and run.purge_after > :now
    and case
        when :sees_all_projects
            then
                not exists (
                    select from deleted_projects as gone
                    where
                        gone.organization_id = run.organization_id
                        and gone.project_id = run.project_id
                )
        else needletail_sees_project(run.project_id, :user_id)
    end
order by run.id desc
limit :page_size::bigint;
