-- The organization with the bounds of its plan, or its own.
-- name: getOrganization :optional
select
    -- part: organization_columns
    organization.id,
    organization.name,
    organization.slug,
    organization.is_personal,
    organization.billing_email,
    organization.subscription_plan as plan,
    organization.subscription_status as status,
    coalesce(organization.max_users, tier.max_users, 0) as "max_users!",
    coalesce(organization.max_models, tier.max_models, 0) as "max_models!",
    organization.settings::text as "settings_json!",
    organization.created_at,
    organization.updated_at,
    organization.revision
    -- end of organization_columns
from organizations as organization
inner join tier_limits as tier on organization.subscription_plan = tier.tier
where organization.id = :organization_id and organization.deleted_at is null;

-- The same, and nobody else changes it until the transaction ends.
-- name: lockOrganization :optional
select part('organization_columns')
from organizations as organization
inner join tier_limits as tier on organization.subscription_plan = tier.tier
where organization.id = :organization_id and organization.deleted_at is null
for no key update of organization;

-- Changes what is given of the locked organization. The revision goes up by one; a slug that is
-- taken fails with idx_organizations_slug.
-- name: updateOrganization :exec
update organizations
set
    name = coalesce(:name?, name),
    slug = coalesce(:slug?, slug),
    billing_email = coalesce(:billing_email?, billing_email),
    settings = coalesce((:settings_json?::text)::jsonb, settings),
    updated_at = :updated_at
where id = :organization_id;

-- The caller who makes an organization, and the bounds of its plan; no row: they are no active
-- member of their own.
-- name: getFounder :optional
select
    caller.kind,
    caller.is_platform_admin,
    coalesce(caller.email, '') as "email!",
    coalesce(tier.max_users, 0) as "max_users!",
    coalesce(tier.max_models, 0) as "max_models!"
from organization_memberships as membership
inner join users as caller on membership.user_id = caller.id
inner join tier_limits as tier on tier.tier = :plan
where
    membership.organization_id = :organization_id
    and membership.user_id = :caller_id
    and membership.is_active
    and membership.deleted_at is null
    and caller.is_active
    and caller.deleted_at is null;

-- Adds the organization that the transaction acts for. A slug that is taken fails with
-- idx_organizations_slug.
-- name: foundOrganization :exec
insert into organizations (
    id, name, slug, billing_email, subscription_plan, settings, created_at, updated_at
)
values (
    :id, :name, :slug, :billing_email, :plan, (:settings_json::text)::jsonb, :created_at,
    :created_at
);

-- The organizations that the caller is an active member of, by slug.
-- name: listOwnOrganizations :many
select
    organization_id as "organization_id!",
    slug as "slug!",
    name as "name!",
    role as "role!"
from needletail_organizations_of(:user_id)
order by slug
limit 1000;

-- The organization with what the caller is in it, and nobody else changes it until the transaction
-- ends. No row: it was deleted.
-- name: lockOrganizationToDelete :optional
select
    organization.slug,
    organization.name,
    -- part: caller_role
    (
        select caller.role
        from organization_memberships as caller
        where
            caller.organization_id = organization.id
            and caller.user_id = :caller_id
            and caller.is_active
            and caller.deleted_at is null
    ) as "caller_role?"
    -- end of caller_role
from organizations as organization
where organization.id = :organization_id and organization.deleted_at is null
for no key update of organization;

-- Deletes a locked organization until `purge_after`, or, without the two times, brings it back;
-- then a slug that was taken meanwhile fails with idx_organizations_slug.
-- name: setOrganizationDeletion :exec
update organizations
set
    deleted_at = :deleted_at?::timestamptz,
    purge_after = :purge_after?::timestamptz,
    updated_at = :updated_at
where id = :organization_id;

-- The organization that an administrator wants back, before it is known: by its slug and their
-- address, with the form in which that is compared. No organization: there is none, or they are
-- no administrator of it.
-- name: findRecoverableOrganization :one
select
    given.email_folded as "email_folded!",
    found.organization_id as "organization_id?",
    found.user_id as "user_id?",
    found.user_email as "user_email?",
    found.password_hash
from (select lower(:email) as email_folded) as given
left join needletail_recoverable_organization(:slug, :email) as found on true;

-- The organization, deleted or not, and nobody else changes it until the transaction ends; with
-- what the caller is in it.
-- name: lockDeletedOrganization :optional
select
    part('organization_columns'),
    organization.deleted_at,
    organization.purge_after,
    part('caller_role')
from organizations as organization
inner join tier_limits as tier on organization.subscription_plan = tier.tier
where organization.id = :organization_id
for no key update of organization;
