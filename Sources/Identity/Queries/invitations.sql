-- What a token opens, before the organization is known, and who is invited, where they have an
-- account; no row: nothing.
-- name: findInvitation :optional
select
    organization_id as "organization_id!",
    invitation_id as "invitation_id!",
    email as "email!",
    lower(email) as "email_folded!",
    is_accepted as "is_accepted!",
    user_id,
    coalesce(user_email, '') as "user_email!",
    password_hash,
    coalesce(is_user_active, false) as "is_user_active!",
    coalesce(display_name, '') as "display_name!",
    coalesce(first_name, '') as "first_name!",
    coalesce(last_name, '') as "last_name!",
    coalesce(avatar_url, '') as "avatar_url!",
    email_verified_at,
    last_login_at,
    coalesce(created_at, now()) as "created_at!",
    coalesce(updated_at, now()) as "updated_at!"
from needletail_invitation(:token_hash);

-- Lets one invitation be made or accepted at a time, until the transaction ends. What is read after
-- it, in a statement of its own, has seen every one before.
-- name: lockMembership :exec
select organization.id
from organizations as organization
where organization.id = :organization_id
for no key update of organization;

-- What an invitation depends on: what the caller is, whether the address is a member's, and how
-- many invitations of others are open, of which no more than `open_max` are counted. No row: the
-- caller is no active member.
-- name: prepareInvitation :optional
select
    caller.role,
    (
        select count(*)
        from (
            select from invitations as invitation
            where
                invitation.organization_id = caller.organization_id
                and invitation.email_folded <> lower(:email)
                and invitation.accepted_at is null
                and invitation.deleted_at is null
            order by invitation.email_folded
            limit :open_max::bigint
        ) as waiting
    ) as "open!",
    exists(
        select from organization_memberships as membership
        inner join users as member on membership.user_id = member.id
        where
            membership.organization_id = caller.organization_id
            and membership.deleted_at is null
            and member.email_folded = lower(:email)
            and member.deleted_at is null
    ) as "is_member!"
from organization_memberships as caller
where
    caller.organization_id = :organization_id
    and caller.user_id = :caller_id
    and caller.is_active
    and caller.deleted_at is null;

-- Takes back the open invitation of an address, if there is one.
-- name: supersedeInvitation :exec
update invitations
set deleted_at = :deleted_at::timestamptz, updated_at = :deleted_at
where
    organization_id = :organization_id
    and email_folded = lower(:email)
    and accepted_at is null
    and deleted_at is null;

-- Adds an invitation. Only the hash of its token is stored.
-- name: createInvitation :exec
insert into invitations (
    organization_id, id, email, role, token_hash, invited_by, expires_at, created_at, updated_at
)
values (
    :organization_id, :id, :email, :role, :token_hash, :invited_by, :expires_at, :created_at,
    :created_at
);

-- A page of the invitations that were neither accepted nor taken back, newest first, before
-- `before_id` (absent: from the newest).
-- name: listInvitations :many
select
    invitation.id,
    invitation.email,
    invitation.role,
    invitation.invited_by,
    invitation.created_at,
    invitation.expires_at
from invitations as invitation
where
    invitation.organization_id = :organization_id
    and invitation.id
    < coalesce((:before_id?)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and invitation.accepted_at is null
    and invitation.deleted_at is null
order by invitation.id desc
limit :page_size::bigint;

-- An open invitation that nobody accepts until the transaction ends, and what the caller is.
-- name: lockInvitation :optional
select
    invitation.email,
    invitation.role,
    (
        select caller.role
        from organization_memberships as caller
        where
            caller.organization_id = invitation.organization_id
            and caller.user_id = :caller_id
            and caller.is_active
            and caller.deleted_at is null
    ) as "caller_role?"
from invitations as invitation
where
    invitation.organization_id = :organization_id
    and invitation.id = :id
    and invitation.accepted_at is null
    and invitation.deleted_at is null
for no key update of invitation;

-- Takes a locked invitation back.
-- name: deleteInvitation :exec
update invitations
set deleted_at = :deleted_at::timestamptz, updated_at = :deleted_at
where organization_id = :organization_id and id = :id;

-- An open invitation as it is accepted: what its inviter is by now, and whether who accepts it is a
-- member already. No row: it is not open, or the organization is not.
-- name: lockAcceptance :optional
select
    invitation.email,
    invitation.role,
    invitation.invited_by,
    invitation.expires_at,
    organization.slug as organization_slug,
    (
        select inviter.role
        from organization_memberships as inviter
        inner join users as inviting on inviter.user_id = inviting.id
        where
            inviter.organization_id = invitation.organization_id
            and inviter.user_id = invitation.invited_by
            and inviter.is_active
            and inviter.deleted_at is null
            and inviting.is_active
            and inviting.deleted_at is null
    ) as "inviter_role?",
    exists(
        select from organization_memberships as membership
        where
            membership.organization_id = invitation.organization_id
            and membership.user_id = :user_id
            and membership.deleted_at is null
    ) as "is_member!"
from invitations as invitation
inner join organizations as organization on invitation.organization_id = organization.id
where
    invitation.organization_id = :organization_id
    and invitation.id = :id
    and invitation.accepted_at is null
    and invitation.deleted_at is null
    and organization.deleted_at is null
    and organization.subscription_status = 'active'
for no key update of invitation;

-- Adds a person with a password.
-- name: createPerson :exec
insert into users (id, kind, email, password_hash, display_name, created_at, updated_at)
values (:id, 'person', :email, :password_hash, :display_name, :created_at, :created_at);

-- Notes who has accepted a locked invitation.
-- name: acceptInvitation :exec
update invitations
set
    accepted_at = :accepted_at::timestamptz,
    accepted_by = :accepted_by,
    updated_at = :accepted_at
where organization_id = :organization_id and id = :id;
