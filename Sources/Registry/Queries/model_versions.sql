-- What the next version of a model needs: the locked model with the caller's role in its project,
-- and the run that made the version where the caller can see it. Nobody else creates one until the
-- transaction ends.
-- name: lockModelForVersion :optional
select
    model.id,
    model.project_id,
    model.name,
    model.last_ordinal,
    needletail_project_role(model.project_id, :user_id) as "role?",
    (
        select thing.resource_id
        from resource_projects as thing
        where
            thing.organization_id = :organization_id
            and thing.resource_type = 'run'
            and thing.resource_id = :run_id?
            and needletail_sees_project(thing.project_id, :user_id)
    ) as "source_run_id?"
from models as model
where
    model.organization_id = :organization_id
    and model.id = public.needletail_model_id(
        :organization_id, :model_id?, :project_id?, :name?
    )
    and model.deleted_at is null
for no key update of model;

-- Creates a version of a locked model. A semantic version that another has fails with
-- idx_model_versions_model_version.
-- name: createVersion :exec
insert into model_versions (
    organization_id, id, model_id, ordinal, version, status, status_message, source,
    source_run_id, source_run, run_link, logged_model, description, user_name, requirements,
    input_schema, output_schema, performance_metrics, training_metrics, hyperparameters,
    created_by, created_at, updated_at
)
values (
    :organization_id,
    :id,
    :model_id,
    :ordinal,
    :version,
    :status,
    :status_message,
    :source,
    :source_run_id?,
    :source_run,
    :run_link,
    :logged_model,
    :description,
    :user_name,
    :requirements,
    (:input_schema_json?::text)::jsonb,
    (:output_schema_json?::text)::jsonb,
    (:performance_metrics_json?::text)::jsonb,
    (:training_metrics_json?::text)::jsonb,
    (:hyperparameters_json?::text)::jsonb,
    :user_id,
    :created_at,
    :created_at
);

-- One version of a live model: by its id or its ordinal, by what an alias stands for now or, as of
-- a time, stood for then, deleted since or not, or the newest in a stage.
-- name: getVersion :optional
select
    -- part: version_columns
    version.id as "id!",
    version.model_id as "model_id!",
    version.model_name as "model_name!",
    version.project_id as "project_id!",
    version.ordinal as "ordinal!",
    version.version as "version!",
    version.status as "status!",
    version.status_message as "status_message!",
    version.stage as "stage!",
    version.source as "source!",
    version.source_run_id as "source_run_id?",
    version.source_run as "source_run!",
    version.run_link as "run_link!",
    version.logged_model as "logged_model!",
    version.description as "description!",
    version.user_name as "user_name!",
    version.requirements as "requirements!",
    version.input_schema_text as "input_schema_json?",
    version.output_schema_text as "output_schema_json?",
    version.performance_metrics_text as "performance_metrics_json?",
    version.training_metrics_text as "training_metrics_json?",
    version.hyperparameters_text as "hyperparameters_json?",
    version.created_by as "created_by!",
    version.created_at as "created_at!",
    version.updated_at as "updated_at!",
    version.revision as "revision!",
    version.deleted_at as "deleted_at?",
    version.aliases as "aliases!"
    -- end of version_columns
from registered_model_versions as version
where
    version.organization_id = :organization_id
    and version.id
= case
        when :alias?::text is not null
            then
                (
                    select assignment.model_version_id
                    from model_aliases as assignment
                    where
                        assignment.organization_id = :organization_id
                        and assignment.model_id = public.needletail_model_id(
                            :organization_id, :model_id?, :project_id?, :name?
                        )
                        and assignment.alias = :alias?
                        and (
                            :as_of?::timestamptz is null and assignment.ended_at is null
                            or assignment.started_at <= :as_of?
                            and coalesce(assignment.ended_at, 'infinity') > :as_of?
                        )
                    order by assignment.started_at desc
                    limit 1
                )
        when :stage?::text is not null
            then
                (
                    select newest.id
                    from model_versions as newest
                    where
                        newest.organization_id = :organization_id
                        and newest.model_id = public.needletail_model_id(
                            :organization_id, :model_id?, :project_id?, :name?
                        )
                        and newest.stage = :stage?
                        and newest.deleted_at is null
                    order by newest.ordinal desc
                    limit 1
                )
        else public.needletail_model_version_id(
            :organization_id, :id?, :model_id?, :project_id?, :name?, :ordinal?
        )
    end;

-- A live version of a held model with the caller's role in its project, and the other versions of
-- the model that are in a stage, where one is given.
-- name: getVersionToChange :optional
select
    part('version_columns'),
    needletail_project_role(version.project_id, :user_id) as "role?",
    array(
        select other.id
        from model_versions as other
        where
            other.organization_id = version.organization_id
            and other.model_id = version.model_id
            and other.id <> version.id
            and other.stage = :others_stage?
            and other.deleted_at is null
        order by other.ordinal
    ) as "other_ids!"
from registered_model_versions as version
where
    version.organization_id = :organization_id
    and version.id = public.needletail_model_version_id(
        :organization_id, :id?, :model_id?, :project_id?, :name?, :ordinal?
    );

-- Changes what is given of a version of a held model. Its JSON objects
-- are written as they are given.
-- name: updateVersion :exec
update model_versions
set
    status = coalesce(:status?, status),
    status_message = coalesce(:status_message?, status_message),
    description = coalesce(:description?, description),
    requirements = coalesce(:requirements?, requirements),
    input_schema = (:input_schema_json?::text)::jsonb,
    output_schema = (:output_schema_json?::text)::jsonb,
    performance_metrics = (:performance_metrics_json?::text)::jsonb,
    training_metrics = (:training_metrics_json?::text)::jsonb,
    hyperparameters = (:hyperparameters_json?::text)::jsonb,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Notes that what belongs to versions of a held model has changed.
-- name: touchVersions :exec
update model_versions
set updated_at = :updated_at
where organization_id = :organization_id and id = any(:ids::uuid[]);

-- Deletes a version of a held model.
-- name: deleteVersion :exec
update model_versions
set deleted_at = :deleted_at, purge_after = :purge_after, updated_at = :deleted_at
where organization_id = :organization_id and id = :id;

-- The newest live version in each stage of found models, in the order of those and the ordinals, up
-- to the one with which their longest texts are more than `bytes_max` bytes together.
-- name: listLatestVersions :many
select
    part('version_columns'),
    found.bytes as "bytes!"
from (
    select
        latest.id,
        latest.text_bytes,
        asked.place,
        sum(latest.text_bytes) over (order by asked.place, latest.ordinal)::bigint as bytes
    from unnest(:model_ids::uuid[]) with ordinality as asked (model_id, place)
    cross join (values ('none'), ('staging'), ('production'), ('archived')) as wanted (stage)
    cross join lateral (
        select
            newest.id,
            newest.ordinal,
            newest.text_bytes
        from model_versions as newest
        where
            newest.organization_id = :organization_id
            and newest.model_id = asked.model_id
            and newest.stage = wanted.stage
            and newest.deleted_at is null
        order by newest.ordinal desc
        limit 1
    ) as latest
) as found
inner join registered_model_versions as version
    on version.organization_id = :organization_id and found.id = version.id
where found.bytes - found.text_bytes <= :bytes_max::bigint
order by found.place, version.ordinal;
