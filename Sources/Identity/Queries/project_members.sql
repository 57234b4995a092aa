-- Makes a user a member of a project.
-- name: createProjectMember :exec
insert into project_members (
    organization_id, id, project_id, user_id, role, added_by, created_at, updated_at
)
values (
    :organization_id, :id, :project_id, :user_id, :role, :added_by, :created_at, :created_at
);

-- What decides whether the caller may change a user's role in a project, and what that role is:
-- without member_id they have none. Owners who have left the organization do not count.
-- name: getProjectMemberToChange :optional
select
    project.deleted_at is not null as "is_deleted!",
    needletail_sees_project(project.id, :caller_id) as "is_visible!",
    caller.role as "caller_role?",
    membership.id as "membership_id?",
    coalesce(person.display_name, '') as "display_name!",
    coalesce(person.email, '') as "email!",
    target.id as "member_id?",
    target.role as "role?",
    target.added_by as "added_by?",
    target.created_at as "created_at?",
    target.revision as "revision?",
    (
        select count(*)
        from project_members as owner
        inner join organization_memberships as owner_membership
            on
                owner.organization_id = owner_membership.organization_id
                and owner.user_id = owner_membership.user_id
                and owner_membership.deleted_at is null
        where
            owner.organization_id = project.organization_id
            and owner.project_id = project.id
            and owner.user_id <> :user_id
            and owner.role = 'owner'
            and owner.deleted_at is null
    ) as "other_owners!"
from projects as project
left join project_members as caller
    on
        project.organization_id = caller.organization_id
        and project.id = caller.project_id
        and caller.user_id = :caller_id
        and caller.deleted_at is null
left join project_members as target
    on
        project.organization_id = target.organization_id
        and project.id = target.project_id
        and target.user_id = :user_id
        and target.deleted_at is null
left join organization_memberships as membership
    on
        project.organization_id = membership.organization_id
        and membership.user_id = :user_id
        and membership.deleted_at is null
left join users as person on membership.user_id = person.id
where project.organization_id = :organization_id and project.id = :project_id;

-- Gives a member of a locked project another role. The revision goes up by one.
-- name: updateProjectMember :exec
update project_members
set
    role = :role,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Takes a member out of a locked project.
-- name: removeProjectMember :exec
update project_members
set
    deleted_at = :deleted_at,
    purge_after = :purge_after,
    updated_at = :deleted_at
where organization_id = :organization_id and id = :id;

-- A page of the members of a project, newest first, before `before_id`.
-- Who has left the organization is none of them.
-- name: listProjectMembers :many
select
    member.id,
    member.user_id,
    person.display_name,
    coalesce(person.email, '') as "email!",
    member.role,
    member.added_by,
    member.created_at,
    member.revision
from project_members as member
inner join organization_memberships as membership
    on
        member.organization_id = membership.organization_id
        and member.user_id = membership.user_id
        and membership.deleted_at is null
inner join users as person on member.user_id = person.id
where
    member.organization_id = :organization_id
    and member.project_id = :project_id
    and member.id < :before_id
    and member.deleted_at is null
order by member.id desc
limit :page_size::bigint;
