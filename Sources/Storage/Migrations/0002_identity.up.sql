-- Organizations, users, projects and keys.
set local role needletail_owner;

-- The tenants. A user alone has a personal one.
create table organizations (
    id uuid not null,
    name text not null,
    slug text not null,
    is_personal boolean not null default false,
    billing_email text not null,
    subscription_plan text not null default 'starter',
    subscription_status text not null default 'active',
    max_users bigint,
    max_models bigint,
    settings jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint organizations_pkey primary key (id),
    constraint organizations_name_check check (octet_length(name) between 1 and 500),
    constraint organizations_slug_check
    check (octet_length(slug) <= 100 and slug ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'),
    constraint organizations_billing_email_check
    check (octet_length(billing_email) between 3 and 320),
    constraint organizations_subscription_plan_fkey
    foreign key (subscription_plan) references tier_limits (tier) on delete restrict,
    constraint organizations_subscription_status_check
    check (subscription_status in ('active', 'inactive', 'suspended')),
    constraint organizations_max_users_check check (max_users > 0),
    constraint organizations_max_models_check check (max_models > 0),
    constraint organizations_settings_check check (jsonb_typeof(settings) = 'object')
);
create unique index idx_organizations_slug on organizations (slug) where deleted_at is null;
create index idx_organizations_subscription_plan on organizations (subscription_plan);
create index idx_organizations_purge_after on organizations (purge_after)
where purge_after is not null;
create trigger organizations_touch before update on organizations
for each row execute function needletail_touch();

-- Who acts: people, who may belong to many organizations, and service accounts, who have
-- neither e-mail nor password and belong to one.
create table users (
    id uuid not null,
    kind text not null default 'person',
    email text,
    email_folded text generated always as (lower(email)) stored,
    password_hash text,
    display_name text not null,
    first_name text,
    last_name text,
    avatar_url text,
    is_active boolean not null default true,
    is_platform_admin boolean not null default false,
    email_verified_at timestamptz,
    last_login_at timestamptz,
    settings jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint users_pkey primary key (id),
    constraint users_kind_check check (kind in ('person', 'service_account')),
    constraint users_email_check
    check (
        case kind
            when 'person'
                then
                    email is not null and octet_length(email) between 3 and 320
                    and email like '%_@_%'
            else email is null
        end
    ),
    constraint users_password_hash_check
    check (kind = 'person' or password_hash is null),
    constraint users_is_platform_admin_check check (kind = 'person' or not is_platform_admin),
    constraint users_display_name_check check (octet_length(display_name) between 1 and 500),
    constraint users_first_name_check check (octet_length(first_name) <= 200),
    constraint users_last_name_check check (octet_length(last_name) <= 200),
    constraint users_avatar_url_check check (octet_length(avatar_url) <= 2000),
    constraint users_settings_check check (jsonb_typeof(settings) = 'object')
);
create unique index idx_users_email on users (email_folded) where deleted_at is null;
create index idx_users_purge_after on users (purge_after) where purge_after is not null;
create trigger users_touch before update on users
for each row when (old.last_login_at is not distinct from new.last_login_at)
execute function needletail_touch();

-- How a person logs in elsewhere (OpenID Connect).
create table user_identities (
    provider text not null,
    subject text not null,
    user_id uuid not null,
    created_at timestamptz not null default now(),
    constraint user_identities_pkey primary key (provider, subject),
    constraint user_identities_user_id_fkey
    foreign key (user_id) references users (id) on delete cascade,
    constraint user_identities_provider_check check (octet_length(provider) between 1 and 100),
    constraint user_identities_subject_check check (octet_length(subject) between 1 and 255)
);
create index idx_user_identities_user on user_identities (user_id);

-- Who belongs to an organization, and as what. A role without a row is no role.
create table organization_memberships (
    organization_id uuid not null,
    id uuid not null,
    user_id uuid not null,
    role text not null default 'viewer',
    invited_by uuid,
    joined_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint organization_memberships_pkey primary key (organization_id, id),
    constraint organization_memberships_organization_id_fkey
    foreign key (organization_id) references organizations (id) on delete cascade,
    constraint organization_memberships_user_id_fkey
    foreign key (user_id) references users (id) on delete restrict,
    constraint organization_memberships_invited_by_fkey
    foreign key (invited_by) references users (id) on delete restrict,
    constraint organization_memberships_role_check
    check (role in ('admin', 'developer', 'viewer'))
);
create unique index idx_organization_memberships_org_user
on organization_memberships (organization_id, user_id) where deleted_at is null;
create index idx_organization_memberships_user on organization_memberships (user_id);
create index idx_organization_memberships_invited_by on organization_memberships (invited_by);
create trigger organization_memberships_touch before update on organization_memberships
for each row execute function needletail_touch();

-- What groups models, experiments and deployments inside an organization.
create table projects (
    organization_id uuid not null,
    id uuid not null,
    name text not null,
    description text not null default '',
    slug text not null,
    visibility text not null default 'private',
    settings jsonb not null default '{}',
    created_by uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint projects_pkey primary key (organization_id, id),
    constraint projects_organization_id_fkey
    foreign key (organization_id) references organizations (id) on delete restrict,
    constraint projects_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint projects_name_check check (octet_length(name) between 1 and 500),
    constraint projects_description_check check (octet_length(description) <= 16384),
    constraint projects_slug_check
    check (octet_length(slug) <= 100 and slug ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'),
    constraint projects_visibility_check
    check (visibility in ('private', 'organization', 'public')),
    constraint projects_settings_check check (jsonb_typeof(settings) = 'object')
);
create unique index idx_projects_slug on projects (organization_id, slug) where deleted_at is null;
create index idx_projects_created_by on projects (created_by);
create index idx_projects_purge_after on projects (purge_after) where purge_after is not null;
create trigger projects_touch before update on projects
for each row execute function needletail_touch();

-- Who may do more in one project than in the whole organization.
create table project_members (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    user_id uuid not null,
    role text not null default 'contributor',
    added_by uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint project_members_pkey primary key (organization_id, id),
    constraint project_members_project_id_fkey
    foreign key (organization_id, project_id)
    references projects (organization_id, id) on delete cascade,
    constraint project_members_user_id_fkey
    foreign key (user_id) references users (id) on delete restrict,
    constraint project_members_added_by_fkey
    foreign key (added_by) references users (id) on delete restrict,
    constraint project_members_role_check check (role in ('owner', 'contributor', 'viewer'))
);
create unique index idx_project_members_project_user
on project_members (organization_id, project_id, user_id) where deleted_at is null;
create index idx_project_members_project on project_members (organization_id, project_id);
create index idx_project_members_user on project_members (user_id);
create index idx_project_members_added_by on project_members (added_by);
create trigger project_members_touch before update on project_members
for each row execute function needletail_touch();

-- Keys of `ntl_<key_id>_<secret><checksum>`. Only the SHA-256 of the whole key is kept. A key
-- permits what its scopes and its user's role both permit: without scopes, nothing.
create table api_keys (
    organization_id uuid not null,
    id uuid not null,
    user_id uuid not null,
    name text not null,
    key_id text collate "C" not null,
    key_prefix text not null,
    secret_hash bytea not null,
    scopes text[] not null default '{}',
    allowed_cidrs cidr[] not null default '{}',
    created_by uuid not null,
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_by uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint api_keys_pkey primary key (organization_id, id),
    constraint api_keys_key_id_key unique (key_id),
    constraint api_keys_organization_id_fkey
    foreign key (organization_id) references organizations (id) on delete cascade,
    constraint api_keys_user_id_fkey
    foreign key (user_id) references users (id) on delete restrict,
    constraint api_keys_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint api_keys_revoked_by_fkey
    foreign key (revoked_by) references users (id) on delete restrict,
    constraint api_keys_name_check check (octet_length(name) between 1 and 500),
    constraint api_keys_key_id_check check (key_id ~ '^[0-9A-Za-z]{8,32}$'),
    constraint api_keys_key_prefix_check check (octet_length(key_prefix) between 4 and 40),
    constraint api_keys_secret_hash_check check (octet_length(secret_hash) = 32),
    constraint api_keys_scopes_check
    check (cardinality(scopes) <= 100 and array_position(scopes, null) is null),
    constraint api_keys_allowed_cidrs_check
    check (cardinality(allowed_cidrs) <= 100 and array_position(allowed_cidrs, null) is null),
    constraint api_keys_revoked_by_check check (revoked_by is null or revoked_at is not null)
);
create index idx_api_keys_user on api_keys (user_id);
create index idx_api_keys_created_by on api_keys (created_by);
create index idx_api_keys_revoked_by on api_keys (revoked_by);
create index idx_api_keys_org_user on api_keys (organization_id, user_id) where deleted_at is null;
create trigger api_keys_touch before update on api_keys
for each row when (old.last_used_at is not distinct from new.last_used_at)
execute function needletail_touch();

-- Which projects a member may see. Other services ask this view, not the tables.
create view visible_projects with (security_invoker = true) as
select
    project.organization_id,
    project.id as project_id,
    membership.user_id
from projects as project
inner join organization_memberships as membership
    on project.organization_id = membership.organization_id and membership.deleted_at is null
where
    project.deleted_at is null
    and (
        membership.role = 'admin'
        or project.visibility in ('organization', 'public')
        or exists (
            select from project_members as member
            where
                member.organization_id = project.organization_id
                and member.project_id = project.id
                and member.user_id = membership.user_id
                and member.deleted_at is null
        )
    );

-- The same for one project. A function, because a plan with the view in it is long to set up and
-- an administrator, who sees every project, never needs it.
create function needletail_sees_project(project_id uuid, user_id uuid) returns boolean
language sql stable
as $$
    select
        exists (
            select from visible_projects as visible
            where
                visible.organization_id = needletail_organization_id()
                and visible.project_id = needletail_sees_project.project_id
                and visible.user_id = needletail_sees_project.user_id
        )
$$;

select needletail_isolate('organization_memberships');
select needletail_isolate('projects');
select needletail_isolate('project_members');
select needletail_isolate('api_keys');

alter table organizations enable row level security;
alter table organizations force row level security;
create policy organizations_organization on organizations to needletail_app
using (id = (select needletail_organization_id()))
with check (id = (select needletail_organization_id()));
create policy organizations_maintenance on organizations to needletail_maintenance
using (true) with check (true);

-- Users belong to nobody: an organization sees its members, former ones too, because their
-- names stand beside what they made.
alter table users enable row level security;
alter table users force row level security;
create policy users_member on users to needletail_app
using (
    exists (
        select from organization_memberships as membership
        where
            membership.user_id = users.id
            and membership.organization_id = (select needletail_organization_id())
    )
);
create policy users_invite on users for insert to needletail_app
with check ((select needletail_organization_id()) is not null and not is_platform_admin);
create policy users_maintenance on users to needletail_maintenance using (true) with check (true);

alter table user_identities enable row level security;
alter table user_identities force row level security;
create policy user_identities_member on user_identities for select to needletail_app
using (exists (
    select from users
    where users.id = user_identities.user_id
));
create policy user_identities_maintenance on user_identities to needletail_maintenance
using (true) with check (true);

grant select on visible_projects to needletail_app, needletail_maintenance;
grant select, update on organizations to needletail_app;
grant select, insert, update on organization_memberships, projects, project_members, api_keys
to needletail_app;
-- Neither what a user is nor who runs the platform is an organization's to change.
grant select, insert, update (
    email, password_hash, display_name, first_name, last_name, avatar_url, is_active,
    email_verified_at, last_login_at, settings, updated_at, deleted_at, purge_after
) on users to needletail_app;
grant select on user_identities to needletail_app;
grant select, insert, update, delete on
organizations, users, user_identities, organization_memberships, projects, project_members,
api_keys
to needletail_maintenance;

-- What Hello needs to know of a key before it knows the organization. The caller compares the
-- hash, in constant time, and decides. It runs as maintenance, whose policies span
-- organizations, and answers for one key id at a time.
create function needletail_authenticate(key_id text)
returns table (
    api_key_id uuid,
    secret_hash bytea,
    key_prefix text,
    scopes text[],
    allowed_cidrs text[],
    expires_at timestamptz,
    is_revoked boolean,
    organization_id uuid,
    organization_slug text,
    is_organization_active boolean,
    user_id uuid,
    user_kind text,
    user_label text,
    is_user_active boolean,
    role text
)
language sql stable security definer rows 1
set search_path = public, pg_temp
as $$
    select
        api_key.id,
        api_key.secret_hash,
        api_key.key_prefix,
        api_key.scopes,
        api_key.allowed_cidrs::text[],
        api_key.expires_at,
        api_key.revoked_at is not null or api_key.deleted_at is not null,
        organization.id,
        organization.slug,
        organization.deleted_at is null and organization.subscription_status = 'active',
        principal.id,
        principal.kind,
        coalesce(principal.email, principal.display_name),
        principal.is_active and principal.deleted_at is null,
        coalesce(membership.role, '')
    from api_keys as api_key
    inner join organizations as organization on api_key.organization_id = organization.id
    inner join users as principal on api_key.user_id = principal.id
    left join organization_memberships as membership
        on
            api_key.organization_id = membership.organization_id
            and api_key.user_id = membership.user_id
            and membership.deleted_at is null
    where api_key.key_id = needletail_authenticate.key_id
$$;
revoke execute on function needletail_authenticate(text) from public;
grant execute on function needletail_authenticate(text) to needletail_app;

reset role;
grant create on schema public to needletail_maintenance;
alter function needletail_authenticate(text) owner to needletail_maintenance;
revoke create on schema public from needletail_maintenance;
