-- People log in before their organization is known, and delete themselves in every one.
set local role needletail_owner;

-- A key that Login made ends when its person's password changes.
alter table api_keys add column is_from_login boolean not null default false;

-- What Login needs to know of an address: the form in which it is compared, in one row at least;
-- the person, where one may log in; and a row for each organization that is open to them, at most
-- 100, the wanted one first. The caller compares the password and decides. Like every function
-- here it runs as maintenance, whose policies span organizations.
create function needletail_find_login(given_email text, wanted_slug text)
returns table (
    email_folded text,
    user_id uuid,
    email text,
    password_hash text,
    organization_id uuid,
    organization_slug text,
    role text
)
language sql stable security definer rows 1
set search_path = public, pg_temp
as $$
    select
        lower(given_email),
        person.id,
        person.email,
        person.password_hash,
        workplace.organization_id,
        workplace.slug,
        workplace.role
    from (select lower(given_email) as email_folded) as given
    left join users as person
        on
            given.email_folded = person.email_folded
            and person.kind = 'person'
            and person.is_active
            and person.deleted_at is null
    left join lateral (
        select
            membership.organization_id,
            organization.slug,
            membership.role
        from organization_memberships as membership
        inner join organizations as organization on membership.organization_id = organization.id
        where
            membership.user_id = person.id
            and membership.is_active
            and membership.deleted_at is null
            and organization.subscription_status = 'active'
            and organization.deleted_at is null
        order by organization.slug = wanted_slug desc, organization.slug
        limit 100
    ) as workplace on true
$$;

-- What UndeleteUser needs to know of an address, in one row: whom it last belonged to of those who
-- are deleted, else whose it is; whether it is somebody else's now; and an organization that tells
-- of the return, one that is still open to them if there is one.
create function needletail_find_deleted_user(given_email text)
returns table (
    email_folded text,
    is_taken boolean,
    user_id uuid,
    email text,
    password_hash text,
    is_deleted boolean,
    purge_after timestamptz,
    organization_id uuid,
    role text
)
language sql stable security definer rows 1
set search_path = public, pg_temp
as $$
    select
        lower(given_email),
        exists (
            select from users as other
            where
                other.email_folded = lower(given_email)
                and other.id <> person.id
                and other.deleted_at is null
        ),
        person.id,
        person.email,
        person.password_hash,
        coalesce(person.is_deleted, false),
        person.purge_after,
        workplace.organization_id,
        workplace.role
    from (select lower(given_email) as email_folded) as given
    left join lateral (
        select
            owner.id,
            owner.email,
            owner.password_hash,
            owner.deleted_at is not null as is_deleted,
            owner.purge_after
        from users as owner
        where
            owner.email_folded = given.email_folded
            and owner.kind = 'person'
            and owner.is_active
        order by owner.deleted_at desc nulls last, owner.id desc
        limit 1
    ) as person on true
    left join lateral (
        select
            membership.organization_id,
            membership.role
        from organization_memberships as membership
        inner join organizations as organization on membership.organization_id = organization.id
        where membership.user_id = person.id
        order by
            membership.deleted_at is null and organization.deleted_at is null desc,
            membership.id
        limit 1
    ) as workplace on true
$$;

-- With the deleted ones, whom idx_users_email leaves out.
-- squawk-ignore require-concurrent-index-creation
create index idx_users_email_owners on users (email_folded, deleted_at);

-- Refuses with LAST_ADMIN where an organization would be left without an active administrator, and
-- keeps every administrator of the leaving person's organizations as they are until the transaction
-- ends. The rows are locked in the order of every other change of members; what the second
-- statement reads is how they are after the wait.
create function needletail_check_departure(leaving_id uuid) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
    left_alone text;
begin
    perform membership.id
    from organization_memberships as membership
    where
        membership.deleted_at is null
        and (
            membership.user_id = leaving_id
            or (
                membership.role = 'admin'
                and membership.organization_id in (
                    select own.organization_id
                    from organization_memberships as own
                    where own.user_id = leaving_id and own.deleted_at is null
                )
            )
        )
    order by membership.id
    for no key update of membership;
    select string_agg(organization.slug, ' ' order by organization.slug)
    into left_alone
    from organization_memberships as own
    inner join organizations as organization on own.organization_id = organization.id
    where
        own.user_id = leaving_id
        and own.role = 'admin'
        and own.is_active
        and own.deleted_at is null
        and organization.deleted_at is null
        and not exists (
            select
            from organization_memberships as other
            inner join users as principal on other.user_id = principal.id
            where
                other.organization_id = own.organization_id
                and other.user_id <> leaving_id
                and other.role = 'admin'
                and other.is_active
                and other.deleted_at is null
                and principal.kind = 'person'
                and principal.is_active
                and principal.deleted_at is null
        );
    if left_alone is not null then
        perform needletail_refuse(
            'LAST_ADMIN', jsonb_build_object('organizations', left_alone), null::boolean
        );
    end if;
end;
$$;

-- Ends the keys that a person's logins made, in every organization, but for one; says how many of
-- them still worked. Only for a person of the organization that the transaction acts for.
create function needletail_end_login_keys(owner_id uuid, kept_key_id uuid, ended_at timestamptz)
returns bigint
language sql volatile security definer
set search_path = public, pg_temp
as $$
    with ended as (
        update api_keys
        set revoked_at = ended_at, revoked_by = owner_id, updated_at = ended_at
        where
            api_keys.user_id = owner_id
            and api_keys.is_from_login
            and api_keys.revoked_at is null
            and api_keys.expires_at > ended_at
            and api_keys.id <> kept_key_id
            and exists (
                select from organization_memberships as membership
                where
                    membership.user_id = owner_id
                    and membership.organization_id = needletail_organization_id()
            )
        returning 1
    )

    select count(*) from ended
$$;

do $$
declare
    signature text;
begin
    foreach signature in array array[
        'needletail_find_login(text, text)',
        'needletail_find_deleted_user(text)',
        'needletail_check_departure(uuid)',
        'needletail_end_login_keys(uuid, uuid, timestamptz)'
    ]
    loop
        execute format('revoke execute on function %s from public', signature);
        execute format('grant execute on function %s to needletail_app', signature);
    end loop;
end;
$$;

reset role;
grant create on schema public to needletail_maintenance;
alter function needletail_find_login(text, text) owner to needletail_maintenance;
alter function needletail_find_deleted_user(text) owner to needletail_maintenance;
alter function needletail_check_departure(uuid) owner to needletail_maintenance;
alter function needletail_end_login_keys(uuid, uuid, timestamptz)
owner to needletail_maintenance;
revoke create on schema public from needletail_maintenance;
