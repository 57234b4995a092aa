-- Holds a live model until the transaction ends: who changes it, or a version, a tag or an alias of
-- it, waits. What is read after it, in a statement of its own, has seen every change before.
-- name: holdModel :exec
select model.id
from models as model
where
    model.organization_id = :organization_id
    and model.id = public.needletail_model_id(
        :organization_id, :id?, :project_id?, :name?
    )
    and model.deleted_at is null
for no key update of model;

-- The same by one of its versions.
-- name: holdModelOfVersion :exec
select model.id
from models as model
where
    model.organization_id = :organization_id
    and model.id = (
        select version.model_id
        from model_versions as version
        where
            version.organization_id = :organization_id
            and version.id = public.needletail_model_version_id(
                :organization_id, :id?, :model_id?, :project_id?, :name?, :ordinal?
            )
    )
    and model.deleted_at is null
for no key update of model;

-- A held model with the caller's role in its project, and what it has of the tags that are to be
-- written, by key.
-- name: getModelToDescribe :optional
select
    model.id,
    model.project_id,
    needletail_project_role(model.project_id, :user_id) as "role?",
    (
        select count(*)
        from model_tags as tag
        where tag.organization_id = model.organization_id and tag.model_id = model.id
    ) as "tag_count!",
    (
        select coalesce(sum(octet_length(tag.key) + octet_length(tag.value)), 0)::bigint
        from model_tags as tag
        where tag.organization_id = model.organization_id and tag.model_id = model.id
    ) as "tag_bytes!",
    array(
        select tag.key
        from model_tags as tag
        where
            tag.organization_id = model.organization_id
            and tag.model_id = model.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_keys!",
    array(
        select tag.value
        from model_tags as tag
        where
            tag.organization_id = model.organization_id
            and tag.model_id = model.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_values!"
from models as model
where
    model.organization_id = :organization_id
    and model.id = public.needletail_model_id(
        :organization_id, :id?, :project_id?, :name?
    );

-- Sets tags of a held model, or of a new one.
-- name: writeModelTags :exec
insert into model_tags as tag (organization_id, model_id, key, value)
select
    :organization_id,
    :model_id,
    item.key,
    item.value
from unnest(:keys::text[], :tag_values::text[]) as item (key, value)
on conflict (organization_id, model_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Removes tags of a held model.
-- name: deleteModelTags :exec
delete from model_tags
where
    organization_id = :organization_id
    and model_id = :model_id
    and key = any(:keys::text[]);

-- The tags of found models, in the order of those and the keys, up to the one with which they
-- are more than `bytes_max` bytes together.
-- name: listFoundModelTags :many
select
    found.owner_id as "owner_id!",
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        tag.model_id as owner_id,
        tag.key,
        tag.value,
        sum(octet_length(tag.key) + octet_length(tag.value))
            over (order by asked.place, tag.key) as bytes,
        octet_length(tag.key) + octet_length(tag.value) as own_bytes
    from unnest(:owner_ids::uuid[]) with ordinality as asked (owner_id, place)
    inner join model_tags as tag
        on tag.organization_id = :organization_id and asked.owner_id = tag.model_id
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.key;

-- A version of a held model as getModelToDescribe has models.
-- name: getVersionToDescribe :optional
select
    version.id as "id!",
    version.model_id as "model_id!",
    version.project_id as "project_id!",
    needletail_project_role(version.project_id, :user_id) as "role?",
    (
        select count(*)
        from model_version_tags as tag
        where tag.organization_id = version.organization_id and tag.model_version_id = version.id
    ) as "tag_count!",
    (
        select coalesce(sum(octet_length(tag.key) + octet_length(tag.value)), 0)::bigint
        from model_version_tags as tag
        where tag.organization_id = version.organization_id and tag.model_version_id = version.id
    ) as "tag_bytes!",
    array(
        select tag.key
        from model_version_tags as tag
        where
            tag.organization_id = version.organization_id
            and tag.model_version_id = version.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_keys!",
    array(
        select tag.value
        from model_version_tags as tag
        where
            tag.organization_id = version.organization_id
            and tag.model_version_id = version.id
            and tag.key = any(:tag_keys::text[])
        order by tag.key
    ) as "tag_values!"
from registered_model_versions as version
where
    version.organization_id = :organization_id
    and version.id = public.needletail_model_version_id(
        :organization_id, :id?, :model_id?, :project_id?, :name?, :ordinal?
    );

-- Sets tags of a held version, or of a new one.
-- name: writeVersionTags :exec
insert into model_version_tags as tag (organization_id, model_version_id, key, value)
select
    :organization_id,
    :model_version_id,
    item.key,
    item.value
from unnest(:keys::text[], :tag_values::text[]) as item (key, value)
on conflict (organization_id, model_version_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Removes tags of a held version.
-- name: deleteVersionTags :exec
delete from model_version_tags
where
    organization_id = :organization_id
    and model_version_id = :model_version_id
    and key = any(:keys::text[]);

-- The tags of found versions, in the order of those and the keys, up to the one with which they
-- are more than `bytes_max` bytes together.
-- name: listFoundVersionTags :many
select
    found.owner_id as "owner_id!",
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        tag.model_version_id as owner_id,
        tag.key,
        tag.value,
        sum(octet_length(tag.key) + octet_length(tag.value))
            over (order by asked.place, tag.key) as bytes,
        octet_length(tag.key) + octet_length(tag.value) as own_bytes
    from unnest(:owner_ids::uuid[]) with ordinality as asked (owner_id, place)
    inner join model_version_tags as tag
        on tag.organization_id = :organization_id and asked.owner_id = tag.model_version_id
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.key;
