-- Invitations, and what reaches beyond one organization: making one, listing one's own, bringing
-- one back.
set local role needletail_owner;

-- That somebody may become a member. Whoever knows the token may accept it; only its SHA-256 is
-- kept. An accepted one stays, so that a repeated acceptance finds its answer.
create table invitations (
    organization_id uuid not null,
    id uuid not null,
    email text not null,
    email_folded text generated always as (lower(email)) stored,
    role text not null,
    token_hash bytea not null,
    invited_by uuid not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    accepted_by uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    constraint invitations_pkey primary key (organization_id, id),
    constraint invitations_token_hash_key unique (token_hash),
    constraint invitations_organization_id_fkey
    foreign key (organization_id) references organizations (id) on delete cascade,
    constraint invitations_invited_by_fkey
    foreign key (invited_by) references users (id) on delete restrict,
    constraint invitations_accepted_by_fkey
    foreign key (accepted_by) references users (id) on delete restrict,
    constraint invitations_email_check
    check (octet_length(email) between 3 and 320 and email like '%_@_%'),
    constraint invitations_role_check check (role in ('admin', 'developer', 'viewer')),
    constraint invitations_token_hash_check check (octet_length(token_hash) = 32),
    constraint invitations_accepted_by_check
    check ((accepted_by is null) = (accepted_at is null))
);
create unique index idx_invitations_open on invitations (organization_id, email_folded)
where accepted_at is null and deleted_at is null;
create index idx_invitations_invited_by on invitations (invited_by);
create index idx_invitations_accepted_by on invitations (accepted_by);
create trigger invitations_touch before update on invitations
for each row execute function needletail_touch();

select needletail_isolate('invitations');
grant select, insert, update on invitations to needletail_app;
grant select, insert, update, delete on invitations to needletail_maintenance;

-- A transaction that makes an organization acts for it from there on: the policy lets it write that
-- one row and no other.
grant insert (
    id, name, slug, billing_email, subscription_plan, settings, created_at, updated_at
) on organizations to needletail_app;

-- What an invitation's token opens, and the account of the invited person where there is one. The
-- functions below run as maintenance, whose policies span organizations, because who asks does not
-- belong to the organization, yet or at the time: each answers for one secret or one person.
create function needletail_invitation(token_hash bytea)
returns table (
    organization_id uuid,
    invitation_id uuid,
    email text,
    is_accepted boolean,
    user_id uuid,
    user_email text,
    password_hash text,
    is_user_active boolean,
    display_name text,
    first_name text,
    last_name text,
    avatar_url text,
    email_verified_at timestamptz,
    last_login_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz
)
language sql stable security definer rows 1
set search_path = public, pg_temp
as $$
    select
        invitation.organization_id,
        invitation.id,
        invitation.email,
        invitation.accepted_at is not null,
        person.id,
        person.email,
        person.password_hash,
        person.is_active,
        person.display_name,
        person.first_name,
        person.last_name,
        person.avatar_url,
        person.email_verified_at,
        person.last_login_at,
        person.created_at,
        person.updated_at
    from invitations as invitation
    inner join organizations as organization
        on
            invitation.organization_id = organization.id
            and organization.deleted_at is null
            and organization.subscription_status = 'active'
    left join users as person
        on
            person.deleted_at is null
            and person.id = coalesce(
                invitation.accepted_by,
                (
                    select invited.id from users as invited
                    where
                        invited.email_folded = invitation.email_folded
                        and invited.deleted_at is null
                )
            )
    where
        invitation.token_hash = needletail_invitation.token_hash
        and invitation.deleted_at is null
$$;
revoke execute on function needletail_invitation(bytea) from public;
grant execute on function needletail_invitation(bytea) to needletail_app;

-- The organizations that a person is an active member of, asked from within one of them.
create function needletail_organizations_of(user_id uuid)
returns table (organization_id uuid, slug text, name text, role text)
language sql stable security definer rows 3
set search_path = public, pg_temp
as $$
    select
        organization.id,
        organization.slug,
        organization.name,
        membership.role
    from organization_memberships as membership
    inner join organizations as organization on membership.organization_id = organization.id
    where
        membership.user_id = needletail_organizations_of.user_id
        and membership.is_active
        and membership.deleted_at is null
        and organization.deleted_at is null
        and exists (
            select from organization_memberships as own
            where
                own.organization_id = needletail_organization_id()
                and own.user_id = needletail_organizations_of.user_id
                and own.deleted_at is null
        )
$$;
revoke execute on function needletail_organizations_of(uuid) from public;
grant execute on function needletail_organizations_of(uuid) to needletail_app;

-- The organization of a slug that somebody administers, deleted or not: one that is not deleted
-- first, then the one that was deleted last.
create function needletail_recoverable_organization(slug text, email text)
returns table (
    organization_id uuid,
    user_id uuid,
    user_email text,
    password_hash text
)
language sql stable security definer rows 1
set search_path = public, pg_temp
as $$
    select
        organization.id,
        person.id,
        person.email,
        person.password_hash
    from users as person
    inner join organization_memberships as membership
        on
            person.id = membership.user_id
            and membership.role = 'admin'
            and membership.is_active
            and membership.deleted_at is null
    inner join organizations as organization on membership.organization_id = organization.id
    where
        person.email_folded = lower(needletail_recoverable_organization.email)
        and person.is_active
        and person.deleted_at is null
        and organization.slug = needletail_recoverable_organization.slug
    order by organization.deleted_at desc nulls first, organization.id desc
    limit 1
$$;
revoke execute on function needletail_recoverable_organization(text, text) from public;
grant execute on function needletail_recoverable_organization(text, text) to needletail_app;

reset role;
grant create on schema public to needletail_maintenance;
alter function needletail_invitation(bytea) owner to needletail_maintenance;
alter function needletail_organizations_of(uuid) owner to needletail_maintenance;
alter function needletail_recoverable_organization(text, text) owner to needletail_maintenance;
revoke create on schema public from needletail_maintenance;
