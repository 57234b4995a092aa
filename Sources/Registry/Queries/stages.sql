-- Puts versions of a held model in a stage.
-- name: setStages :exec
update model_versions
set stage = :stage, updated_at = :updated_at
where organization_id = :organization_id and id = any(:ids::uuid[]);

-- Ends what stages versions of a held model are in.
-- name: endStages :exec
update model_version_stages
set ended_at = greatest(:ended_at, started_at)
where
    organization_id = :organization_id
    and model_version_id = any(:model_version_ids::uuid[])
    and ended_at is null;

-- Begins that versions of a held model are in a stage, which they came to from another, or, where
-- they are new, from none.
-- name: beginStages :exec
insert into model_version_stages (
    organization_id, id, model_version_id, from_stage, stage, comment, actor_id, started_at
)
select
    :organization_id,
    item.id,
    item.model_version_id,
    :from_stage?,
    :stage,
    :comment,
    :user_id,
    :started_at
from unnest(:ids::uuid[], :model_version_ids::uuid[]) as item (id, model_version_id);

-- A page of the stages of a version, newest first, before `before_id` (absent: from the newest).
-- name: listStages :many
select
    stay.id,
    stay.model_version_id,
    stay.from_stage,
    stay.stage,
    stay.comment,
    stay.actor_id,
    stay.started_at,
    stay.ended_at
from model_version_stages as stay
where
    stay.organization_id = :organization_id
    and stay.model_version_id = :model_version_id
    and (stay.id < :before_id?::uuid) is not false
order by stay.id desc
limit :page_size::bigint;
