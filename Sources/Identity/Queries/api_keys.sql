-- Looks a key up by its public part, before the organization is known. The caller compares the
-- hash in constant time and checks the flags; an unknown key is no row.
-- name: authenticate :optional
select
    api_key_id as "api_key_id!",
    secret_hash as "secret_hash!",
    key_prefix as "key_prefix!",
    scopes as "scopes!",
    allowed_cidrs as "allowed_cidrs!",
    expires_at,
    is_revoked as "is_revoked!",
    organization_id as "organization_id!",
    organization_slug as "organization_slug!",
    is_organization_active as "is_organization_active!",
    user_id as "user_id!",
    user_kind as "user_kind!",
    user_label as "user_label!",
    is_user_active as "is_user_active!",
    role as "role!"
from needletail_authenticate(:key_id);

-- Notes when keys were last used, at most once a minute a key.
-- name: recordApiKeyUse :exec
update api_keys
set last_used_at = used.used_at
from unnest(:ids::uuid[], :used_at::timestamptz[]) as used (id, used_at)
where
    api_keys.organization_id = :organization_id
    and api_keys.id = used.id
    and (
        api_keys.last_used_at is null
        or api_keys.last_used_at < used.used_at - interval '1 minute'
    );

-- What became of keys since they were seen as the versions say; 0 = never.
-- name: listChangedKeyStandings :many
select
    api_key_id as "api_key_id!",
    version as "version!",
    is_usable as "is_usable!",
    scopes as "scopes!",
    allowed_cidrs as "allowed_cidrs!",
    expires_at,
    role as "role!"
from needletail_key_standings(:organization_ids::uuid[], :ids::uuid[], :versions::bigint[]);

-- Adds a key. Only the hash of its text is stored.
-- name: createApiKey :exec
insert into api_keys (
    organization_id, id, user_id, name, key_id, key_prefix, secret_hash, scopes, allowed_cidrs,
    created_by, expires_at, is_from_login, created_at, updated_at
)
values (
    :organization_id, :id, :user_id, :name, :key_id, :key_prefix, :secret_hash,
    :scopes::text[], (:allowed_cidrs::text[])::cidr[], :created_by, :expires_at?,
    :is_from_login, :created_at, :created_at
);

-- What a new key of a member depends on: that it is one, until the transaction ends, what the
-- caller's own key permits, and how the ranges are written.
-- name: prepareApiKey :optional
select
    (:allowed_cidrs::text[])::cidr[]::text[] as "allowed_cidrs!",
    -- part: own_key_columns
    coalesce(
        (
            select own.scopes
            from api_keys as own
            where own.organization_id = :organization_id and own.id = :own_key_id
        ),
        '{}'
    ) as "own_scopes!",
    (
        select own.created_by
        from api_keys as own
        where
            own.organization_id = :organization_id
            and own.id = :own_key_id
            and own.created_by <> own.user_id
    ) as "own_maker?"
    -- end of own_key_columns
from organization_memberships as membership
inner join users as principal on membership.user_id = principal.id
where
    membership.organization_id = :organization_id
    and membership.user_id = :user_id
    and membership.deleted_at is null
    and principal.deleted_at is null
for share of membership;

-- One key that the caller sees: its own, or any when it sees all.
-- name: getApiKey :optional
select
    -- part: api_key_columns
    api_key.id,
    api_key.user_id,
    api_key.name,
    api_key.key_prefix,
    api_key.scopes,
    api_key.allowed_cidrs::text[] as "allowed_cidrs!",
    api_key.created_by,
    api_key.last_used_at,
    api_key.expires_at,
    api_key.revoked_at,
    api_key.created_at,
    api_key.updated_at,
    api_key.is_from_login,
    api_key.revision
    -- end of api_key_columns
from api_keys as api_key
where
    api_key.organization_id = :organization_id
    and api_key.id = :id
    and api_key.deleted_at is null
    and (:sees_all_keys or api_key.user_id = :caller_id);

-- The same, and nobody else changes it until the transaction ends; with what the caller's own key
-- permits, and how new ranges are written.
-- name: lockApiKey :optional
select
    part('api_key_columns'),
    (:new_cidrs::text[])::cidr[]::text[] as "new_cidrs!",
    part('own_key_columns')
from api_keys as api_key
where
    api_key.organization_id = :organization_id
    and api_key.id = :id
    and api_key.deleted_at is null
    and (:sees_all_keys or api_key.user_id = :caller_id)
for no key update of api_key;

-- Lets nobody end the membership of a key's holder until the transaction ends. Before the key is
-- locked, because the end of a membership locks in this order.
-- name: holdKeyHolder :exec
select membership.id
from api_keys as api_key
inner join organization_memberships as membership
    on
        api_key.organization_id = membership.organization_id
        and api_key.user_id = membership.user_id
        and membership.deleted_at is null
where api_key.organization_id = :organization_id and api_key.id = :id
for share of membership;

-- Stores what may change of a locked key. The revision goes up by one.
-- name: updateApiKey :exec
update api_keys
set
    name = :name,
    scopes = :scopes::text[],
    allowed_cidrs = (:allowed_cidrs::text[])::cidr[],
    expires_at = :expires_at?,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Ends a locked key for good.
-- name: revokeApiKey :exec
update api_keys
set revoked_at = :revoked_at, revoked_by = :revoked_by, updated_at = :revoked_at
where organization_id = :organization_id and id = :id;

-- A page of the keys that the caller sees, newest first, before `before_id` (absent: from the
-- newest): of one user or of all, with or without those that are not taken any more.
-- name: listApiKeys :many
select part('api_key_columns')
from api_keys as api_key
where
    api_key.organization_id = :organization_id
    and api_key.id < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and api_key.user_id = coalesce(:user_id?::uuid, api_key.user_id)
    and (:sees_all_keys or api_key.user_id = :caller_id)
    and api_key.deleted_at is null
    and (
        :includes_unusable
        or (
            api_key.revoked_at is null
            and (api_key.expires_at is null or api_key.expires_at > now())
        )
    )
order by api_key.id desc
limit :page_size::bigint;

-- Whether whom a key acts for made it themself: an administrator's for somebody else is good for
-- the organization, not for their account.
-- name: isOwnApiKey :one
select
    exists (
        select
        from api_keys as own
        where
            own.organization_id = :organization_id
            and own.id = :id
            and own.created_by = own.user_id
    ) as "is_own!";
