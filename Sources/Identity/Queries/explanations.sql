-- What decides whether a user, who is or was a member of the organization, may call anything: by
-- themselves or with a key of theirs.
-- name: getPrincipalAccess :optional
select
    organization.subscription_status,
    organization.deleted_at is null as "is_organization_there!",
    coalesce(principal.email, principal.display_name) as "label!",
    principal.is_active and principal.deleted_at is null as "is_user_active!",
    membership.role as "role?",
    coalesce(membership.is_active, false) as "is_member_active!",
    api_key.id as "api_key_id?",
    coalesce(api_key.scopes, '{}') as "scopes!",
    api_key.expires_at as "expires_at?",
    api_key.revoked_at is not null or api_key.deleted_at is not null as "is_revoked!"
from users as principal
inner join organizations as organization on organization.id = :organization_id
left join organization_memberships as membership
    on
        organization.id = membership.organization_id
        and principal.id = membership.user_id
        and membership.deleted_at is null
left join api_keys as api_key
    on
        organization.id = api_key.organization_id
        and principal.id = api_key.user_id
        and api_key.id = :api_key_id?
where principal.id = :principal_id;

-- The project that is meant by its own id or by that of something in it, deleted or not, with what
-- decides what a user may do there.
-- name: getProjectAccess :optional
select
    project.name,
    project.visibility,
    project.deleted_at is not null as "is_deleted!",
    member.role as "member_role?",
    needletail_project_role(project.id, :user_id) as "role?"
from projects as project
left join project_members as member
    on
        project.organization_id = member.organization_id
        and project.id = member.project_id
        and member.user_id = :user_id
        and member.deleted_at is null
where
    project.organization_id = :organization_id
    and project.id = coalesce(
        (
            select thing.project_id
            from resource_projects as thing
            where
                thing.organization_id = :organization_id
                and thing.resource_id = :resource_id
            order by thing.resource_type
            limit 1
        ),
        :resource_id
    );
