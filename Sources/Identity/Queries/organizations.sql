-- The organization with the bounds of its plan, or its own.
-- name: getOrganization :optional
select
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
from organizations as organization
inner join tier_limits as tier on organization.subscription_plan = tier.tier
where organization.id = :organization_id and organization.deleted_at is null;

-- The same, and nobody else changes it until the transaction ends.
-- name: lockOrganization :optional
select
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
