-- One person of the organization.
-- name: getMember :optional
select
    -- part: membership_columns
    membership.id as membership_id,
    membership.role,
    membership.is_active,
    membership.invited_by,
    membership.joined_at,
    membership.revision,
    -- end of membership_columns
    -- part: member_columns
    member.id as user_id,
    coalesce(member.email, '') as "email!",
    member.display_name,
    coalesce(member.first_name, '') as "first_name!",
    coalesce(member.last_name, '') as "last_name!",
    coalesce(member.avatar_url, '') as "avatar_url!",
    member.email_verified_at,
    member.last_login_at,
    member.created_at,
    member.updated_at
    -- end of member_columns
from organization_memberships as membership
inner join users as member on membership.user_id = member.id
where
    membership.organization_id = :organization_id
    and membership.user_id = :user_id
    and membership.deleted_at is null
    and member.kind = 'person';

-- A page of the organization's people, those who joined last first, before the membership
-- `before_id` (absent: from the newest).
-- name: listMembers :many
select
    part('membership_columns'),
    part('member_columns')
from organization_memberships as membership
inner join users as member on membership.user_id = member.id
where
    membership.organization_id = :organization_id
    and membership.id
    < coalesce((:before_id?)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and membership.deleted_at is null
    and member.kind = 'person'
order by membership.id desc
limit :page_size::bigint;

-- The member, the caller and every administrator, as they are once their locks are held until the
-- transaction ends. Always in one order, so that two calls never wait for each other, and a member
-- who was changed meanwhile comes as they are now; so does a person who just deleted themself.
-- name: lockMembers :many
select
    part('membership_columns'),
    member.kind,
    member.is_active and member.deleted_at is null as "is_user_active!",
    part('member_columns')
from organization_memberships as membership
inner join users as member on membership.user_id = member.id
where
    membership.organization_id = :organization_id
    and membership.deleted_at is null
    and (
        membership.user_id = :user_id
        or membership.user_id = :caller_id
        or membership.role = 'admin'
    )
order by membership.id
for no key update of membership
for share of member;

-- Changes what is given of a locked membership. The revision goes up by one.
-- name: updateMembership :exec
update organization_memberships
set
    role = coalesce(:role?, role),
    is_active = coalesce(:is_active?, is_active),
    updated_at = :updated_at
where organization_id = :organization_id and id = :membership_id;

-- Ends a locked membership, until it is purged.
-- name: endMembership :exec
update organization_memberships
set
    deleted_at = :ended_at::timestamptz,
    purge_after = :purge_after::timestamptz,
    updated_at = :ended_at
where organization_id = :organization_id and id = :membership_id;

-- Takes a user out of every project of the organization.
-- name: endProjectMemberships :exec
update project_members
set
    deleted_at = :ended_at::timestamptz,
    purge_after = :purge_after::timestamptz,
    updated_at = :ended_at
where organization_id = :organization_id and user_id = :user_id and deleted_at is null;

-- Lets nobody end a user's membership until the transaction ends; where none is left, nothing is
-- held. What is read after it, in a statement of its own, has seen its end.
-- name: holdMembership :exec
select membership.id
from organization_memberships as membership
where
    membership.organization_id = :organization_id
    and membership.user_id = :user_id
    and membership.deleted_at is null
for share of membership;

-- The same; refuses MEMBERSHIP_ENDED where no membership is left.
-- name: requireMembership :exec
select
    coalesce(
        (
            select membership.id
            from organization_memberships as membership
            where
                membership.organization_id = :organization_id
                and membership.user_id = :user_id
                and membership.deleted_at is null
            for share of membership
        ),
        needletail_refuse('MEMBERSHIP_ENDED', null, null::uuid)
    );

-- Lets nobody else change the live projects that a user owns, until the transaction ends.
-- name: lockOwnedProjects :exec
select project.id
from projects as project
inner join project_members as member
    on
        project.organization_id = member.organization_id
        and project.id = member.project_id
        and member.deleted_at is null
where
    project.organization_id = :organization_id
    and project.deleted_at is null
    and member.user_id = :user_id
    and member.role = 'owner'
order by project.id
for no key update of project;

-- Refuses LAST_OWNER where a live project, locked before, has no owner but this user.
-- name: requireOtherOwners :exec
select needletail_refuse('LAST_OWNER', jsonb_build_object('project_id', project.id), null::uuid)
from projects as project
inner join project_members as member
    on
        project.organization_id = member.organization_id
        and project.id = member.project_id
        and member.deleted_at is null
where
    project.organization_id = :organization_id
    and project.deleted_at is null
    and member.user_id = :user_id
    and member.role = 'owner'
    and not exists (
        select from project_members as owner
        inner join organization_memberships as membership
            on
                owner.organization_id = membership.organization_id
                and owner.user_id = membership.user_id
                and membership.deleted_at is null
        where
            owner.organization_id = project.organization_id
            and owner.project_id = project.id
            and owner.user_id <> :user_id
            and owner.role = 'owner'
            and owner.deleted_at is null
    )
order by project.id
limit 1;

-- Revokes every key that a user has in the organization.
-- name: revokeKeysOfUser :exec
update api_keys
set revoked_at = :revoked_at::timestamptz, revoked_by = :revoked_by, updated_at = :revoked_at
where organization_id = :organization_id and user_id = :user_id and revoked_at is null;
