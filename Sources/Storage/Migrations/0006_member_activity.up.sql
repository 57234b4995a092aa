-- Whether a member's keys are taken. Each organization decides for itself, because a person may
-- belong to several.
set local role needletail_owner;

alter table organization_memberships add column is_active boolean not null default true;

-- The function is maintenance's, who may make nothing in the schema at other times.
reset role;
grant create on schema public to needletail_maintenance;
set local role needletail_maintenance;

create or replace function needletail_authenticate(key_id text)
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
        principal.is_active and principal.deleted_at is null
        and coalesce(membership.is_active, true),
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

reset role;
revoke create on schema public from needletail_maintenance;
