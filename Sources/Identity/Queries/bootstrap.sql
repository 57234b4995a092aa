-- What `needletail up` writes into an empty installation, as maintenance and in one transaction.

-- The first organization with its first project and its first administrator, if there is one.
-- name: findFirstAdministrator :optional
select
    organization.id as organization_id,
    organization.slug as organization_slug,
    membership.user_id,
    (
        select project.id
        from projects as project
        where project.organization_id = organization.id and project.deleted_at is null
        order by project.id
        limit 1
    ) as project_id
from organizations as organization
inner join organization_memberships as membership
    on organization.id = membership.organization_id
where
    organization.deleted_at is null
    and membership.deleted_at is null
    and membership.role = 'admin'
order by organization.id, membership.id
limit 1;

-- Lets one bootstrap at a time look and write, until the transaction ends.
-- name: lockInstallation :exec
select installation.id from installation for update;

-- Adds the organization of who installs it, whom no plan bounds.
-- name: createOrganization :exec
insert into organizations (
    id, name, slug, is_personal, billing_email, subscription_plan, created_at, updated_at
)
values (
    :id, :name, :slug, :is_personal, :billing_email, 'enterprise', :created_at, :created_at
);

-- Adds a person.
-- name: createUser :exec
insert into users (id, kind, email, display_name, is_platform_admin, created_at, updated_at)
values (
    :id, 'person', :email, :display_name, :is_platform_admin, :created_at, :created_at
);

-- Makes a user a member of an organization.
-- name: createMembership :exec
insert into organization_memberships (
    organization_id, id, user_id, role, joined_at, created_at, updated_at
)
values (:organization_id, :id, :user_id, :role, :created_at, :created_at, :created_at);
