-- Begins every transaction of a caller: what follows runs as the application role and sees one
-- organization, and each statement ends after `timeout_ms`.
-- name: enterOrganization :exec
select
    set_config('role', 'needletail_app', true),
    set_config('needletail.organization_id', (:organization_id::uuid)::text, true),
    set_config('statement_timeout', (:timeout_ms::bigint)::text, true);

-- Begins a transaction without an organization: only Hello's key lookup can answer in it.
-- name: enterApplication :exec
select
    set_config('role', 'needletail_app', true),
    set_config('statement_timeout', (:timeout_ms::bigint)::text, true);

-- Begins a transaction across organizations: set-up and housekeeping, never a caller's.
-- name: enterMaintenance :exec
select
    set_config('role', 'needletail_maintenance', true),
    set_config('statement_timeout', (:timeout_ms::bigint)::text, true);

-- Says who the connection acts as: a server refuses to serve as a role that row-level security
-- does not bind.
-- name: describeSession :one
select
    current_user::text as "role!",
    role.rolsuper or role.rolbypassrls as "is_above_row_security!",
    pg_is_in_recovery() as "is_standby!",
    current_setting('server_version') as "server_version!",
    (select installation.id from installation) as "installation_id!"
from pg_roles as role
where role.rolname = current_user;

-- Answers when the database does.
-- name: checkHealth :one
select 1 as "one!";
