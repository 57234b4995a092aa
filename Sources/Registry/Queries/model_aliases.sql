-- A held model with the caller's role in its project, what an alias of it stands for, and the
-- version that it may come to stand for.
-- name: getModelToAlias :optional
select
    model.id,
    model.project_id,
    needletail_project_role(model.project_id, :user_id) as "role?",
    (
        select count(*)
        from model_aliases as assignment
        where
            assignment.organization_id = model.organization_id
            and assignment.model_id = model.id
            and assignment.ended_at is null
    ) as "alias_count!",
    target.id as "version_id?",
    current_one.id as "alias_id?",
    current_one.model_version_id as "alias_version_id?",
    current_one.started_at as "alias_started_at?",
    current_one.set_by as "alias_set_by?"
from models as model
left join model_aliases as current_one
    on
        model.organization_id = current_one.organization_id
        and model.id = current_one.model_id
        and current_one.alias = :alias
        and current_one.ended_at is null
left join model_versions as target
    on
        model.organization_id = target.organization_id
        and model.id = target.model_id
        and target.deleted_at is null
        and target.ordinal = :ordinal?
where
    model.organization_id = :organization_id
    and model.id = public.needletail_model_id(
        :organization_id, :model_id?, :project_id?, :name?
    );

-- Ends what an alias of a held model stands for.
-- name: endAlias :exec
update model_aliases
set ended_at = greatest(:ended_at, started_at)
where
    organization_id = :organization_id
    and model_id = :model_id
    and alias = :alias
    and ended_at is null;

-- Ends the aliases that stand for a version of a held model.
-- name: endAliasesOfVersion :exec
update model_aliases
set ended_at = greatest(:ended_at, started_at)
where
    organization_id = :organization_id
    and model_version_id = :model_version_id
    and ended_at is null;

-- Begins that an alias of a held model stands for a version.
-- name: beginAlias :exec
insert into model_aliases (
    organization_id, id, model_id, alias, model_version_id, set_by, started_at
)
values (
    :organization_id, :id, :model_id, :alias, :model_version_id, :user_id, :started_at
);

-- A page of a model's aliases, the newest assignment first, before `before_id` (absent: from the
-- newest).
-- name: listAliases :many
select
    assignment.id,
    assignment.alias,
    assignment.model_version_id,
    version.ordinal,
    assignment.set_by,
    assignment.started_at,
    assignment.ended_at
from model_aliases as assignment
inner join model_versions as version
    on
        assignment.organization_id = version.organization_id
        and assignment.model_version_id = version.id
where
    assignment.organization_id = :organization_id
    and assignment.model_id = :model_id
    and (assignment.id < :before_id?::uuid) is not false
    and (assignment.alias = :alias?::text) is not false
    and (:include_ended or assignment.ended_at is null)
order by assignment.id desc
limit :page_size::bigint;

-- The aliases of found models that stand for a version now, by name.
-- name: listFoundAliases :many
select
    assignment.model_id,
    assignment.id,
    assignment.alias,
    assignment.model_version_id,
    version.ordinal,
    assignment.set_by,
    assignment.started_at
from model_aliases as assignment
inner join model_versions as version
    on
        assignment.organization_id = version.organization_id
        and assignment.model_version_id = version.id
where
    assignment.organization_id = :organization_id
    and assignment.model_id = any(:model_ids::uuid[])
    and assignment.ended_at is null
order by assignment.model_id, assignment.alias;
