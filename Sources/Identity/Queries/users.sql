-- Who may log in with an address, and where, before the organization is known; a row at least. The
-- caller compares the password and decides.
-- name: findLogin :many
select
    email_folded as "email_folded!",
    user_id,
    email,
    password_hash,
    organization_id,
    organization_slug,
    role
from needletail_find_login(:email, :organization_slug);

-- Who is deleted of those who had an address, else whose it is, before the organization is known.
-- name: findDeletedUser :one
select
    email_folded as "email_folded!",
    is_taken as "is_taken!",
    user_id,
    email,
    password_hash,
    is_deleted as "is_deleted!",
    purge_after,
    organization_id,
    role
from needletail_find_deleted_user(:email);

-- A person of the organization.
-- name: getUser :optional
select
    -- part: person_columns
    person.id as user_id,
    coalesce(person.email, '') as "email!",
    coalesce(person.email_folded, '') as "email_folded!",
    person.display_name,
    coalesce(person.first_name, '') as "first_name!",
    coalesce(person.last_name, '') as "last_name!",
    coalesce(person.avatar_url, '') as "avatar_url!",
    person.email_verified_at,
    person.last_login_at,
    person.created_at,
    person.updated_at,
    person.password_hash,
    person.settings::text as "settings_json!",
    person.revision
    -- end of person_columns
from users as person
where person.id = :user_id and person.kind = 'person' and person.deleted_at is null;

-- The same, and nobody else changes them until the transaction ends.
-- name: lockUser :optional
select part('person_columns')
from users as person
where person.id = :user_id and person.kind = 'person' and person.deleted_at is null
for no key update of person;

-- A person who may still log in to the organization with the password that was compared.
-- name: lockLogin :optional
select
    membership.role,
    part('person_columns')
from users as person
inner join organization_memberships as membership
    on person.id = membership.user_id and membership.organization_id = :organization_id
inner join organizations as organization on membership.organization_id = organization.id
where
    person.id = :user_id
    and person.password_hash = :password_hash
    and person.is_active
    and person.deleted_at is null
    and membership.is_active
    and membership.deleted_at is null
    and organization.subscription_status = 'active'
    and organization.deleted_at is null
for no key update of person;

-- Notes a login, with the password's hash as it is made now where that was another. It does not
-- change the revision.
-- name: recordLogin :exec
update users
set last_login_at = :logged_in_at, password_hash = coalesce(:new_password_hash?, password_hash)
where id = :user_id;

-- Stores what the locked person may change of themself. The revision goes up by one; an address
-- that is taken fails with idx_users_email.
-- name: updateUser :exec
update users
set
    email = :email,
    display_name = :display_name,
    first_name = nullif(:first_name, ''),
    last_name = nullif(:last_name, ''),
    avatar_url = nullif(:avatar_url, ''),
    settings = (:settings_json::text)::jsonb,
    email_verified_at = :email_verified_at?,
    updated_at = :updated_at
where id = :user_id;

-- Keeps a person from being changed by others, until the transaction ends.
-- name: holdUser :exec
select person.id
from users as person
where person.id = :user_id
for no key update of person;

-- Ends the keys of a locked person's logins but for one, and says how many those were and what the
-- password was.
-- name: endLoginKeys :optional
select
    person.password_hash,
    person.revision,
    needletail_end_login_keys(person.id, :kept_key_id, :ended_at) as "ended!"
from users as person
where person.id = :user_id and person.kind = 'person' and person.deleted_at is null;

-- Gives a locked person another password.
-- name: setPassword :exec
update users set password_hash = :password_hash, updated_at = :updated_at where id = :user_id;

-- Refuses with LAST_ADMIN where a person's departure would leave an organization without an
-- administrator, and keeps that so until the transaction ends.
-- name: checkDeparture :exec
select needletail_check_departure(:user_id);

-- Deletes a locked person, whose memberships and keys stay as they are.
-- name: deleteUser :exec
update users
set deleted_at = :deleted_at::timestamptz, purge_after = :purge_after, updated_at = :deleted_at
where id = :user_id;

-- A deleted person who can still come back, and nobody else changes them until the transaction
-- ends.
-- name: lockDeletedUser :optional
select part('person_columns')
from users as person
where
    person.id = :user_id
    and person.password_hash = :password_hash
    and person.deleted_at is not null
    and person.purge_after > :now
for no key update of person;

-- Brings a locked person back. An address that is taken fails with idx_users_email.
-- name: undeleteUser :exec
update users
set deleted_at = null, purge_after = null, updated_at = :updated_at
where id = :user_id;

-- Notes that an address is its person's; says whose it is. Maintenance only.
-- name: verifyUser :optional
update users
set email_verified_at = :verified_at::timestamptz, updated_at = :verified_at
where email_folded = lower(:email) and kind = 'person' and deleted_at is null
returning id;

-- Gives a person another password, whatever it was; says who they are. Maintenance only.
-- name: resetPassword :optional
update users
set password_hash = :password_hash, updated_at = :updated_at
where email_folded = lower(:email) and kind = 'person' and deleted_at is null
returning id;

-- Ends every key that a person's logins made, or all of theirs. Maintenance only.
-- name: endKeys :exec
update api_keys
set revoked_at = :ended_at::timestamptz, revoked_by = user_id, updated_at = :ended_at
where
    user_id = :user_id
    and (is_from_login or :ends_all_keys)
    and revoked_at is null
    and (expires_at is null or expires_at > :ended_at);

-- Where a person is a member. Maintenance only.
-- name: listWorkplaces :many
select membership.organization_id
from organization_memberships as membership
where membership.user_id = :user_id and membership.deleted_at is null
order by membership.organization_id;

-- Leaves in an organization's audit log that an operator gave a person another password.
-- Maintenance only.
-- name: auditPasswordReset :exec
insert into audit_logs (
    organization_id, id, actor_type, actor_label, action, resource_type, resource_id, details,
    created_at
)
values (
    :organization_id, :id, 'system', 'operator', 'user.reset_password', 'user', :user_id,
    (:details_json::text)::jsonb, :created_at
);
