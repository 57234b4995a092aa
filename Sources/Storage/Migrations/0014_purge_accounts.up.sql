-- The indexes are of what has ended and of invitations, which are few, and a migration is one
-- transaction.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

-- What accounts and invitations leave behind goes for good, too, and the audit log tells of it.
set local role needletail_owner;

-- Leaves in an organization's audit log that something of it is gone for good, by nobody: the
-- system.
create function needletail_note_purge(
    owner_id uuid, purged_type text, purged_id uuid, purged_project_id uuid
) returns void
language sql volatile
set search_path = public, pg_temp
as $$
    insert into audit_logs (
        organization_id, id, actor_type, actor_label, action, resource_type, resource_id,
        project_id, created_at
    )
    values (
        owner_id,
        -- A UUIDv7: six bytes of milliseconds, and a random UUID's version turned from 4 to 7.
        encode(
            set_bit(
                set_bit(
                    overlay(
                        uuid_send(gen_random_uuid())
                        placing substring(
                            int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
                            from 3
                        )
                        from 1 for 6
                    ),
                    52, 1
                ),
                53, 1
            ),
            'hex'
        )::uuid,
        'system', 'housekeeping', purged_type || '.purge', purged_type, purged_id,
        purged_project_id, clock_timestamp()
    )
$$;

-- Notes what was deleted by itself, when its last batch goes; not what is in it.
create function needletail_note_purged_row() returns trigger
language plpgsql
set search_path = public, pg_temp
as $$
declare
    gone jsonb := to_jsonb(old);
begin
    perform needletail_note_purge(
        (gone ->> case tg_argv[0] when 'organization' then 'id' else 'organization_id' end)::uuid,
        tg_argv[0],
        old.id,
        (gone ->> case tg_argv[0] when 'project' then 'id' else 'project_id' end)::uuid
    );
    return null;
end;
$$;
create trigger organizations_note_purge after delete on organizations
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('organization');
create trigger projects_note_purge after delete on projects
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('project');
create trigger experiments_note_purge after delete on experiments
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('experiment');
create trigger runs_note_purge after delete on runs
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('run');

-- Removes a batch of what ended 30 days before `before` (invitations, and the keys of logins), and
-- of what belongs to organizations and users that go next; says how many rows went. It goes first,
-- so that those to whom nothing else refers go whole, and an organization's places are free again.
create function needletail_purge_ended(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    step record;
    removed bigint;
begin
    for step in
        select steps.table_name, steps.condition
        from (
            values
            (
                'invitations',
                'coalesce(accepted_at, deleted_at, expires_at) < $1 - interval ''30 days'''
            ),
            (
                'invitations',
                'organization_id in (select id from organizations where purge_after < $1)'
            ),
            (
                'api_keys',
                'is_from_login and least(expires_at, revoked_at) < $1 - interval ''30 days'''
            ),
            (
                'api_keys',
                'user_id in (select id from users where purge_after < $1'
                ' and deleted_at is not null)'
            ),
            (
                'project_members',
                'user_id in (select id from users where purge_after < $1'
                ' and deleted_at is not null)'
            )
        ) as steps (table_name, condition)
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where %2$s limit $2 for update skip locked))',
            step.table_name, step.condition
        ) using before, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    -- With the last that binds a user to an organization, its log tells that they are gone.
    with ended as (
        delete from organization_memberships
        where
            (organization_id, id) in (
                select membership.organization_id, membership.id
                from organization_memberships as membership
                inner join users as member on membership.user_id = member.id
                where member.purge_after < before and member.deleted_at is not null
                limit batch_size
                for update of membership skip locked
            )
        returning organization_id, user_id
    )

    select count(*)
    into removed
    from ended
    inner join users as member on ended.user_id = member.id
    cross join lateral needletail_note_purge(
        ended.organization_id, case member.kind when 'person' then 'user' else member.kind end,
        ended.user_id, null
    );
    return removed;
end;
$$;

-- squawk-ignore renaming-object
alter function needletail_purge(timestamptz, bigint) rename to needletail_purge_deleted;

-- Removes for good one batch of what may not be recovered since `before`, or ended 30 days before
-- it; says how many rows went, 0 when none is left or while another server does it.
create function needletail_purge(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    removed bigint;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    -- The number is the lock's name: "ntlpurge" in ASCII.
    if not pg_try_advisory_xact_lock(x'6e746c7075726765'::bigint) then
        return 0;
    end if;
    removed := needletail_purge_ended(before, batch_size);
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_deleted(before, batch_size);
end;
$$;

create index idx_invitations_end on invitations ((coalesce(accepted_at, deleted_at, expires_at)));
create index idx_api_keys_login_end on api_keys ((least(expires_at, revoked_at)))
where is_from_login;

revoke execute on function
needletail_note_purge(uuid, text, uuid, uuid),
needletail_note_purged_row(),
needletail_purge_ended(timestamptz, bigint),
needletail_purge(timestamptz, bigint)
from public;
grant execute on function
needletail_note_purge(uuid, text, uuid, uuid),
needletail_purge_ended(timestamptz, bigint),
needletail_purge(timestamptz, bigint)
to needletail_maintenance;
