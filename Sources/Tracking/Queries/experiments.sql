-- Creates an experiment in a live project. Refuses PROJECT_NOT_FOUND where the caller does not see
-- it, and PERMISSION_MISSING where their role in it does not suffice; a taken name fails with
-- idx_experiments_project_name.
-- name: createExperiment :exec
insert into experiments (
    organization_id, id, project_id, name, description, config, created_by, started_at,
    created_at, updated_at
)
values (
    :organization_id,
    :id,
    needletail_require_role(
        :project_id, :user_id, :sufficient_roles::text[], 'PROJECT_NOT_FOUND'
    ),
    :name,
    :description,
    (:config_json::text)::jsonb,
    :user_id,
    :created_at,
    :created_at,
    :created_at
);

-- One experiment that is not deleted, or `include_deleted`. Whether the caller may look at its
-- project, a cache knows.
-- name: getExperiment :optional
select
    -- part: experiment_columns
    experiment.id,
    experiment.project_id,
    experiment.name,
    experiment.description,
    experiment.config::text as "config_json!",
    experiment.created_by,
    experiment.created_at,
    experiment.updated_at,
    experiment.revision,
    experiment.archived_at,
    -- end of experiment_columns
    experiment.deleted_at,
    experiment.purge_after
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.id = :id
    and (:include_deleted or experiment.deleted_at is null);

-- A live experiment with the caller's role in its project; and nobody else changes it until the
-- transaction ends.
-- name: lockExperiment :optional
select
    part('experiment_columns'),
    needletail_project_role(experiment.project_id, :user_id) as "role?"
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.id = :id
    and experiment.deleted_at is null
for no key update of experiment;

-- Changes what is given of a locked experiment. The revision goes up by one.
-- name: updateExperiment :exec
update experiments
set
    name = coalesce(:name?, name),
    description = coalesce(:description?, description),
    config = coalesce((:config_json?::text)::jsonb, config),
    archived_at = :archived_at?,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- A page of the organization's experiments, newest first, before `before_id` (absent: from the
-- newest). `sees_all_projects`: administrators see whatever is not deleted, which is a shorter
-- look.
-- name: listExperiments :many
select part('experiment_columns')
from experiments as experiment
where
    experiment.organization_id = :organization_id
    -- part: experiment_page
    and experiment.id
    < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and experiment.name_folded = coalesce(lower(:name?::text), experiment.name_folded)
    and experiment.deleted_at is null
    and (:include_archived or experiment.archived_at is null)
    and case
        when :sees_all_projects
            then
                not exists (
                    select from deleted_projects as gone
                    where
                        gone.organization_id = experiment.organization_id
                        and gone.project_id = experiment.project_id
                )
        else needletail_sees_project(experiment.project_id, :user_id)
    end
    -- end of experiment_page
order by experiment.id desc
limit :page_size::bigint;

-- A page of one project's experiments, newest first.
-- name: listProjectExperiments :many
select part('experiment_columns')
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.project_id = :project_id
    and part('experiment_page')
order by experiment.id desc
limit :page_size::bigint;

-- A page of the organization's deleted experiments that can be brought back, newest first.
-- name: listDeletedExperiments :many
select
    part('experiment_columns'),
    experiment.deleted_at,
    experiment.purge_after
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.id
    < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and experiment.name_folded = coalesce(lower(:name?::text), experiment.name_folded)
    and experiment.project_id = coalesce(:project_id?::uuid, experiment.project_id)
    and experiment.deleted_at is not null
    and experiment.purge_after > :now
    and case
        when :sees_all_projects
            then
                not exists (
                    select from deleted_projects as gone
                    where
                        gone.organization_id = experiment.organization_id
                        and gone.project_id = experiment.project_id
                )
        else needletail_sees_project(experiment.project_id, :user_id)
    end
order by experiment.id desc
limit :page_size::bigint;

-- An experiment, deleted or not, with the caller's role in its project. Nobody else changes it, nor
-- puts a run in it, until the transaction ends.
-- name: lockExperimentWithRuns :optional
select
    part('experiment_columns'),
    experiment.deleted_at,
    experiment.purge_after,
    needletail_project_role(experiment.project_id, :user_id) as "role?"
from experiments as experiment
where
    experiment.organization_id = :organization_id
    and experiment.id = :id
for update of experiment;

-- Deletes a locked experiment, or brings it back. A name that was taken meanwhile fails with
-- idx_experiments_project_name.
-- name: setExperimentDeletion :exec
update experiments
set deleted_at = :deleted_at?, purge_after = :purge_after?, updated_at = :updated_at
where organization_id = :organization_id and id = :id;
