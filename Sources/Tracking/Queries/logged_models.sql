-- Logs a model within a live experiment. Refuses EXPERIMENT_NOT_FOUND where the caller does not see
-- the project, and PERMISSION_MISSING where their role in it does not suffice.
-- name: createLoggedModel :exec
insert into logged_models (
    organization_id, id, experiment_id, project_id, name, model_type, status, source_run_id,
    created_by, created_at, updated_at
)
values (
    :organization_id,
    :id,
    :experiment_id,
    part('project_of_experiment'),
    :name,
    :model_type,
    :status,
    :source_run_id?,
    :user_id,
    :created_at,
    :created_at
);

-- One logged model that is live, as is its experiment, or `include_deleted`. Whether the caller may
-- look at its project, a cache knows.
-- name: getLoggedModel :optional
select
    -- part: logged_model_columns
    model.id,
    model.experiment_id,
    model.project_id,
    model.name,
    model.model_type,
    model.status,
    model.status_message,
    model.source_run_id,
    model.created_by,
    model.created_at,
    model.updated_at,
    model.revision,
    model.deleted_at,
    model.purge_after
    -- end of logged_model_columns
from logged_models as model
inner join experiments as experiment
    on
        model.organization_id = experiment.organization_id
        and model.experiment_id = experiment.id
where
    model.organization_id = :organization_id
    and model.id = :id
    and (:include_deleted or (model.deleted_at is null and experiment.deleted_at is null));

-- Lets nobody delete the experiment of a logged model until the transaction ends, and nobody else
-- change the model, nor its tags and parameters. What is read after it, in a statement of its own,
-- has seen every change before.
-- name: holdLoggedModel :exec
select model.id
from logged_models as model
inner join experiments as experiment
    on
        model.organization_id = experiment.organization_id
        and model.experiment_id = experiment.id
where model.organization_id = :organization_id and model.id = :id
for no key update of model
for key share of experiment;

-- A held model, deleted or not, with the caller's role in its project and whether its experiment is
-- live.
-- name: getHeldLoggedModel :optional
select
    part('logged_model_columns'),
    needletail_project_role(model.project_id, :user_id) as "role?",
    experiment.deleted_at is null as "has_experiment!"
from logged_models as model
inner join experiments as experiment
    on
        model.organization_id = experiment.organization_id
        and model.experiment_id = experiment.id
where model.organization_id = :organization_id and model.id = :id;

-- A held live model of a live experiment with the caller's role in its project, and what it has of
-- the tags and parameters that are to be written, by key.
-- name: getLoggedModelToDescribe :optional
select
    model.project_id,
    needletail_project_role(model.project_id, :user_id) as "role?",
    (
        select count(*)
        from logged_model_tags as tag
        where tag.organization_id = model.organization_id and tag.logged_model_id = model.id
    ) as "tag_count!",
    (
        select coalesce(sum(octet_length(tag.key) + octet_length(tag.value)), 0)::bigint
        from logged_model_tags as tag
        where tag.organization_id = model.organization_id and tag.logged_model_id = model.id
    ) as "tag_bytes!",
    (
        select count(*)
        from logged_model_parameters as parameter
        where
            parameter.organization_id = model.organization_id
            and parameter.logged_model_id = model.id
    ) as "parameter_count!",
    (
        select
            coalesce(
                sum(octet_length(parameter.key) + octet_length(parameter.value)), 0
            )::bigint
        from logged_model_parameters as parameter
        where
            parameter.organization_id = model.organization_id
            and parameter.logged_model_id = model.id
    ) as "parameter_bytes!",
    array(
        select tag.key
        from logged_model_tags as tag
        where
            tag.organization_id = model.organization_id
            and tag.logged_model_id = model.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_keys!",
    array(
        select tag.value
        from logged_model_tags as tag
        where
            tag.organization_id = model.organization_id
            and tag.logged_model_id = model.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_values!",
    array(
        select parameter.key
        from logged_model_parameters as parameter
        where
            parameter.organization_id = model.organization_id
            and parameter.logged_model_id = model.id
            and parameter.key = any(:parameter_keys::text[])
        order by parameter.key
    ) as "parameter_keys!",
    array(
        select parameter.value
        from logged_model_parameters as parameter
        where
            parameter.organization_id = model.organization_id
            and parameter.logged_model_id = model.id
            and parameter.key = any(:parameter_keys::text[])
        order by parameter.key
    ) as "parameter_values!"
from logged_models as model
inner join experiments as experiment
    on
        model.organization_id = experiment.organization_id
        and model.experiment_id = experiment.id
where
    model.organization_id = :organization_id
    and model.id = :id
    and model.deleted_at is null
    and experiment.deleted_at is null;

-- Changes what is given of a held model. The revision goes up by one.
-- name: updateLoggedModel :exec
update logged_models
set
    name = coalesce(:name?, name),
    model_type = coalesce(:model_type?, model_type),
    status = coalesce(:status?, status),
    status_message = coalesce(:status_message?, status_message),
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Deletes a held model, or brings it back.
-- name: setLoggedModelDeletion :exec
update logged_models
set deleted_at = :deleted_at?, purge_after = :purge_after?, updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Sets tags of a held model, or of a new one.
-- name: writeLoggedModelTags :exec
insert into logged_model_tags as tag (organization_id, logged_model_id, key, value)
select
    :organization_id,
    :logged_model_id,
    item.key,
    item.value
from unnest(:keys::text[], :tag_values::text[]) as item (key, value)
on conflict (organization_id, logged_model_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Removes tags of a held model.
-- name: deleteLoggedModelTags :exec
delete from logged_model_tags
where
    organization_id = :organization_id
    and logged_model_id = :logged_model_id
    and key = any(:keys::text[]);

-- Writes new parameters of a held model, or of a new one.
-- name: writeLoggedModelParameters :exec
insert into logged_model_parameters (organization_id, logged_model_id, key, value)
select
    :organization_id,
    :logged_model_id,
    item.key,
    item.value
from unnest(:keys::text[], :parameter_values::text[]) as item (key, value);

-- The tags of found models, as those of found runs.
-- name: listFoundLoggedModelTags :many
select
    found.logged_model_id as "logged_model_id!",
    part('found_pairs')
from (
    select
        asked.place,
        asked.logged_model_id,
        part('own_pairs')
    from unnest(:logged_model_ids::uuid[]) with ordinality as asked (logged_model_id, place)
    cross join lateral (
        select part('pairs')
        from (
            select
                tag.key,
                tag.value
            from logged_model_tags as tag
            where
                tag.organization_id = :organization_id
                and tag.logged_model_id = asked.logged_model_id
            order by tag.key
        ) as pair
    ) as own
    where own.bytes is not null
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;

-- The parameters of found models, as their tags.
-- name: listFoundLoggedModelParameters :many
select
    found.logged_model_id as "logged_model_id!",
    part('found_pairs')
from (
    select
        asked.place,
        asked.logged_model_id,
        part('own_pairs')
    from unnest(:logged_model_ids::uuid[]) with ordinality as asked (logged_model_id, place)
    cross join lateral (
        select part('pairs')
        from (
            select
                parameter.key,
                parameter.value
            from logged_model_parameters as parameter
            where
                parameter.organization_id = :organization_id
                and parameter.logged_model_id = asked.logged_model_id
            order by parameter.key
        ) as pair
    ) as own
    where own.bytes is not null
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;
