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

-- Adds a key. Only the hash of its text is stored.
-- name: createApiKey :exec
insert into api_keys (
    organization_id, id, user_id, name, key_id, key_prefix, secret_hash, scopes, created_by,
    expires_at, created_at, updated_at
)
values (
    :organization_id, :id, :user_id, :name, :key_id, :key_prefix, :secret_hash,
    :scopes::text[], :created_by, :expires_at?, :created_at, :created_at
);
