-- One service account of the organization.
-- name: getServiceAccount :optional
select
    -- part: account_columns
    membership.id as membership_id,
    membership.role,
    membership.is_active,
    membership.invited_by,
    membership.created_at,
    membership.updated_at,
    membership.revision,
    account.id as user_id,
    account.display_name
    -- end of account_columns
from organization_memberships as membership
inner join users as account on membership.user_id = account.id
where
    membership.organization_id = :organization_id
    and membership.user_id = :user_id
    and membership.deleted_at is null
    and account.kind = 'service_account';

-- A page of the organization's service accounts, newest first, before the membership `before_id`
-- (absent: from the newest).
-- name: listServiceAccounts :many
select part('account_columns')
from organization_memberships as membership
inner join users as account on membership.user_id = account.id
where
    membership.organization_id = :organization_id
    and membership.id
    < coalesce((:before_id?)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and membership.deleted_at is null
    and account.kind = 'service_account'
order by membership.id desc
limit :page_size::bigint;

-- Lets one new member at a time into the organization, until the transaction ends, and says what
-- the caller is in it. No row: the caller is no active member.
-- name: lockOrganizationForMember :optional
select caller.role
from organizations as organization
inner join organization_memberships as caller on organization.id = caller.organization_id
where
    organization.id = :organization_id
    and organization.deleted_at is null
    and caller.user_id = :caller_id
    and caller.is_active
    and caller.deleted_at is null
for no key update of organization;

-- Adds a user that is a program.
-- name: createServiceAccount :exec
insert into users (id, kind, display_name, created_at, updated_at)
values (:id, 'service_account', :display_name, :created_at, :created_at);

-- Makes a user a member of the locked organization. Refuses PLAN_LIMIT_REACHED where it has as
-- many members, active or not, as it may have. It is a statement of its own after the lock, so
-- that it counts those who joined while that was waited for.
-- name: addMember :exec
insert into organization_memberships (
    organization_id, id, user_id, role, invited_by, joined_at, created_at, updated_at
)
select
    organization.id,
    :membership_id,
    case
        when
            coalesce(organization.max_users, tier.max_users) <= (
                select count(*)
                from organization_memberships as membership
                where
                    membership.organization_id = organization.id
                    and membership.deleted_at is null
            )
            then
                needletail_refuse(
                    'PLAN_LIMIT_REACHED',
                    jsonb_build_object(
                        'max_users', coalesce(organization.max_users, tier.max_users)
                    ),
                    null::uuid
                )
        else :user_id
    end,
    :role,
    :invited_by,
    :created_at,
    :created_at,
    :created_at
from organizations as organization
inner join tier_limits as tier on organization.subscription_plan = tier.tier
where organization.id = :organization_id;

-- Renames a service account whose membership is locked.
-- name: renameServiceAccount :exec
update users
set display_name = :display_name, updated_at = :updated_at
where id = :id and kind = 'service_account';

-- Ends a service account whose membership is locked. Its name stays beside what it
-- made, until it is purged.
-- name: endServiceAccount :exec
update users
set
    deleted_at = :ended_at::timestamptz,
    purge_after = :purge_after::timestamptz,
    updated_at = :ended_at
where id = :id and kind = 'service_account';
