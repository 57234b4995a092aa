-- The caller as it stands now: key, user, organization and role.
-- name: getCaller :optional
select
    organization.id as organization_id,
    organization.slug as organization_slug,
    organization.name as organization_name,
    principal.id as user_id,
    principal.kind as user_kind,
    coalesce(principal.email, '') as "email!",
    principal.display_name,
    membership.role,
    api_key.id as api_key_id,
    api_key.key_prefix as api_key_prefix,
    api_key.expires_at as api_key_expires_at,
    api_key.scopes
from api_keys as api_key
inner join organizations as organization on api_key.organization_id = organization.id
inner join users as principal on api_key.user_id = principal.id
inner join organization_memberships as membership
    on
        api_key.organization_id = membership.organization_id
        and api_key.user_id = membership.user_id
        and membership.deleted_at is null
where api_key.organization_id = :organization_id and api_key.id = :api_key_id;

-- The projects a user may see, by name; at most 100.
-- name: listVisibleProjects :many
select
    project.id,
    project.slug,
    project.name
from projects as project
inner join visible_projects as visible
    on
        project.organization_id = visible.organization_id
        and project.id = visible.project_id
where project.organization_id = :organization_id and visible.user_id = :user_id
order by project.name, project.id
limit 100;
