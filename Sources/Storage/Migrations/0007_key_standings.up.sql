-- What became of the keys of open connections, asked several times a second by every loop of every
-- server.
set local role needletail_owner;

-- One row for each key whose standing is not the one that was seen, by its version; a key that is
-- gone is unusable. `ids`, `organization_ids` and `versions` belong together. It runs as
-- maintenance, whose policies span organizations, and tells only of keys that are named.
create function needletail_key_standings(
    organization_ids uuid[], ids uuid[], versions bigint[]
)
returns table (
    api_key_id uuid,
    version bigint,
    is_usable boolean,
    scopes text[],
    allowed_cidrs text[],
    expires_at timestamptz,
    role text
)
language sql stable security definer rows 10
set search_path = public, pg_temp
as $$
    select
        standing.api_key_id,
        current.version,
        standing.is_usable,
        standing.scopes,
        standing.allowed_cidrs,
        standing.expires_at,
        standing.role
    from (
        select
            seen.api_key_id,
            seen.version,
            coalesce(
                api_key.revoked_at is null
                and api_key.deleted_at is null
                and organization.deleted_at is null
                and organization.subscription_status = 'active'
                and principal.is_active
                and principal.deleted_at is null
                and membership.role is not null
                and membership.is_active,
                false
            ) as is_usable,
            coalesce(api_key.scopes, '{}') as scopes,
            coalesce(api_key.allowed_cidrs::text[], '{}') as allowed_cidrs,
            api_key.expires_at,
            coalesce(membership.role, '') as role
        from unnest(organization_ids, ids, versions)
        as seen (organization_id, api_key_id, version)
        left join api_keys as api_key
            on
                seen.organization_id = api_key.organization_id
                and seen.api_key_id = api_key.id
        left join organizations as organization on api_key.organization_id = organization.id
        left join users as principal on api_key.user_id = principal.id
        left join organization_memberships as membership
            on
                api_key.organization_id = membership.organization_id
                and api_key.user_id = membership.user_id
                and membership.deleted_at is null
    ) as standing
    cross join lateral (
        select
            hashtextextended(
                jsonb_build_array(
                    api_key_id, is_usable, scopes, allowed_cidrs,
                    extract(epoch from expires_at), role
                )::text,
                0
            ) as version
    ) as current
    where current.version <> standing.version
$$;
revoke execute on function needletail_key_standings(uuid[], uuid[], bigint[]) from public;
grant execute on function needletail_key_standings(uuid[], uuid[], bigint[]) to needletail_app;

reset role;
grant create on schema public to needletail_maintenance;
alter function needletail_key_standings(uuid[], uuid[], bigint[])
owner to needletail_maintenance;
revoke create on schema public from needletail_maintenance;
