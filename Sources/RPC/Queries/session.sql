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
