-- Creates a model in a live project. Refuses MODEL_PROJECT_NOT_FOUND where the caller does not see
-- it, and PERMISSION_MISSING where their role in it does not suffice; a taken name fails with
-- idx_models_project_name.
-- name: createModel :exec
insert into models (
    organization_id, id, project_id, name, description, metadata, model_type, framework,
    task_type, created_by, created_at, updated_at
)
values (
    :organization_id,
    :id,
    needletail_require_role(
        :project_id, :user_id, :sufficient_roles::text[], 'MODEL_PROJECT_NOT_FOUND'
    ),
    :name,
    :description,
    (:metadata_json::text)::jsonb,
    :model_type,
    :framework,
    :task_type,
    :user_id,
    :created_at,
    :created_at
);

-- Holds the organization where its plan bounds its models, until the transaction ends, so that
-- requireModelRoom counts those that others create.
-- name: lockModelRoom :exec
select organization.id
from organizations as organization
inner join tier_limits as tier on organization.subscription_plan = tier.tier
where
    organization.id = :organization_id
    and coalesce(organization.max_models, tier.max_models) is not null
for no key update of organization;

-- Refuses MODEL_LIMIT_REACHED (details.max_models) where the organization has as many live models
-- as its plan allows. It is a statement of its own after lockModelRoom.
-- name: requireModelRoom :exec
select
    case
        when
            bound.max_models <= (
                select count(*)
                from models as model
                where model.organization_id = :organization_id and model.deleted_at is null
            )
            then
                needletail_refuse(
                    'MODEL_LIMIT_REACHED', jsonb_build_object('max_models', bound.max_models), false
                )
        else true
    end as "has_room!"
from (
    select coalesce(organization.max_models, tier.max_models) as max_models
    from organizations as organization
    inner join tier_limits as tier on organization.subscription_plan = tier.tier
    where organization.id = :organization_id
) as bound
where bound.max_models is not null;

-- One live model, by its id or its name in a project. Whether the caller may look at its project, a
-- cache knows.
-- name: getModel :optional
select
    -- part: model_columns
    model.id,
    model.project_id,
    model.name,
    model.description,
    model.metadata::text as "metadata_json!",
    model.model_type,
    model.framework,
    model.task_type,
    model.last_ordinal,
    model.created_by,
    model.created_at,
    model.updated_at,
    model.revision
    -- end of model_columns
from models as model
where
    model.organization_id = :organization_id
    and model.id = public.needletail_model_id(
        :organization_id, :id?, :project_id?, :name?
    );

-- The same with the caller's role in its project; and nobody else changes it, nor a version of it,
-- until the transaction ends.
-- name: lockModel :optional
select
    part('model_columns'),
    needletail_project_role(model.project_id, :user_id) as "role?"
from models as model
where
    model.organization_id = :organization_id
    and model.id = public.needletail_model_id(
        :organization_id, :id?, :project_id?, :name?
    )
    and model.deleted_at is null
for no key update of model;

-- A model, deleted or not, with the caller's role in its project. Nobody else changes it until the
-- transaction ends.
-- name: lockAnyModel :optional
select
    part('model_columns'),
    model.deleted_at,
    model.purge_after,
    needletail_project_role(model.project_id, :user_id) as "role?"
from models as model
where model.organization_id = :organization_id and model.id = :id
for no key update of model;

-- Changes what is given of a locked model. The revision goes up by one.
-- name: updateModel :exec
update models
set
    name = coalesce(:name?, name),
    description = coalesce(:description?, description),
    metadata = coalesce((:metadata_json?::text)::jsonb, metadata),
    model_type = coalesce(:model_type?, model_type),
    framework = coalesce(:framework?, framework),
    task_type = coalesce(:task_type?, task_type),
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Notes that what belongs to a locked model has changed.
-- name: touchModel :exec
update models
set last_ordinal = greatest(last_ordinal, :ordinal), updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Deletes a locked model, or brings it back. A name that was taken meanwhile fails with
-- idx_models_project_name.
-- name: setModelDeletion :exec
update models
set deleted_at = :deleted_at?, purge_after = :purge_after?, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- A page of the organization's deleted models that can be brought back, newest first.
-- name: listDeletedModels :many
select
    part('model_columns'),
    model.deleted_at,
    model.purge_after
from models as model
where
    model.organization_id = :organization_id
    and model.id < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and model.project_id = coalesce(:project_id?::uuid, model.project_id)
    and model.deleted_at is not null
    and model.purge_after > :now
    and case
        when :sees_all_projects
            then
                not exists (
                    select from deleted_projects as gone
                    where
                        gone.organization_id = model.organization_id
                        and gone.project_id = model.project_id
                )
        else needletail_sees_project(model.project_id, :user_id)
    end
order by model.id desc
limit :page_size::bigint;
