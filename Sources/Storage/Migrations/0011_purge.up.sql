-- The indexes are of rows that were deleted, which are few, and a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

-- What was deleted goes for good once its recovery is over, in batches of bounded size.
set local role needletail_owner;

-- Removes runs with their points, or a batch of the points; says how many rows went.
create function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from metric_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from metric_chunks as chunk
            where chunk.organization_id = owner_id and chunk.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from run_metric_summaries
    where
        (organization_id, run_id, key) in (
            select summary.organization_id, summary.run_id, summary.key
            from run_metric_summaries as summary
            where summary.organization_id = owner_id and summary.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from runs where organization_id = owner_id and id = any(run_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of experiments' runs, or, once none is left, the experiments.
create function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    run_ids uuid[] := array(
        select run.id
        from runs as run
        where run.organization_id = owner_id and run.experiment_id = any(experiment_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(run_ids) > 0 then
        return needletail_purge_runs(owner_id, run_ids, batch_size);
    end if;
    delete from experiments where organization_id = owner_id and id = any(experiment_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of what is in a project, or, once nothing is left, the project.
create function needletail_purge_project(
    owner_id uuid, doomed_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    experiment_ids uuid[] := array(
        select experiment.id
        from experiments as experiment
        where experiment.organization_id = owner_id and experiment.project_id = doomed_id
        limit least(batch_size, 100)
    );
begin
    if cardinality(experiment_ids) > 0 then
        return needletail_purge_experiments(owner_id, experiment_ids, batch_size);
    end if;
    delete from project_members
    where
        (organization_id, id) in (
            select member.organization_id, member.id
            from project_members as member
            where member.organization_id = owner_id and member.project_id = doomed_id
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from projects where organization_id = owner_id and id = doomed_id;
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of what an organization has, or, once nothing is left, the organization. The
-- audit log stays; its service accounts are nobody's any more and go next.
create function needletail_purge_organization(
    owner_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    project_id uuid := (
        select project.id from projects as project where project.organization_id = owner_id limit 1
    );
    table_name text;
begin
    if project_id is not null then
        return needletail_purge_project(owner_id, project_id, batch_size);
    end if;
    foreach table_name in array array['idempotency_records', 'metric_writers', 'api_keys'] loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 limit $2))',
            table_name
        ) using owner_id, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    with ended as (
        delete from organization_memberships
        where
            (organization_id, id) in (
                select membership.organization_id, membership.id
                from organization_memberships as membership
                where membership.organization_id = owner_id
                limit batch_size
            )
        returning user_id
    )
    update users
    set deleted_at = coalesce(deleted_at, now()), purge_after = '-infinity'
    where kind = 'service_account' and id in (select ended.user_id from ended);
    if exists (select from organization_memberships where organization_id = owner_id) then
        return batch_size;
    end if;
    delete from organizations where id = owner_id;
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of users. Of those to whom rows refer, all that is known of them goes and the id
-- stays.
create function needletail_purge_users(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    doomed record;
    removed bigint := 0;
begin
    for doomed in
        select id, kind from users
        where purge_after < before and deleted_at is not null
        order by purge_after
        limit least(batch_size, 100)
        for update skip locked
    loop
        begin
            delete from users where id = doomed.id;
        exception
            when foreign_key_violation or restrict_violation then
                delete from user_identities where user_id = doomed.id;
                update users
                set
                    email = case doomed.kind
                        when 'person' then 'deleted-' || doomed.id || '@invalid'
                    end,
                    password_hash = null, display_name = 'Deleted user', first_name = null,
                    last_name = null, avatar_url = null, settings = '{}', is_active = false,
                    is_platform_admin = false, email_verified_at = null, last_login_at = null,
                    purge_after = null
                where id = doomed.id;
        end;
        removed := removed + 1;
    end loop;
    return removed;
end;
$$;

-- Removes for good one batch of what may not be recovered since `before`; says how many rows went,
-- 0 when none is left or while another server does it. Children go before what they belong to, so
-- that a batch stays small; whatever a batch leaves, the next one finds.
create function needletail_purge(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    doomed record;
    removed bigint;
    table_name text;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    -- The number is the lock's name: "ntlpurge" in ASCII.
    if not pg_try_advisory_xact_lock(x'6e746c7075726765'::bigint) then
        return 0;
    end if;
    for doomed in select id from organizations where purge_after < before limit 1 loop
        return needletail_purge_organization(doomed.id, batch_size);
    end loop;
    for doomed in select organization_id, id from projects where purge_after < before limit 1 loop
        return needletail_purge_project(doomed.organization_id, doomed.id, batch_size);
    end loop;
    for doomed in
        select organization_id, id from experiments where purge_after < before limit 1
    loop
        return needletail_purge_experiments(
            doomed.organization_id, array[doomed.id], batch_size
        );
    end loop;
    for doomed in select organization_id, id from runs where purge_after < before limit 1 loop
        return needletail_purge_runs(doomed.organization_id, array[doomed.id], batch_size);
    end loop;
    foreach table_name in array
        array['project_members', 'organization_memberships', 'api_keys']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where purge_after < $1 limit $2 for update skip locked))',
            table_name
        ) using before, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    return needletail_purge_users(before, batch_size);
end;
$$;

create index idx_organization_memberships_purge_after on organization_memberships (purge_after)
where purge_after is not null;
create index idx_project_members_purge_after on project_members (purge_after)
where purge_after is not null;
create index idx_api_keys_purge_after on api_keys (purge_after) where purge_after is not null;

revoke execute on function
needletail_purge_runs(uuid, uuid[], bigint),
needletail_purge_experiments(uuid, uuid[], bigint),
needletail_purge_project(uuid, uuid, bigint),
needletail_purge_organization(uuid, bigint),
needletail_purge_users(timestamptz, bigint),
needletail_purge(timestamptz, bigint)
from public;
grant execute on function
needletail_purge_runs(uuid, uuid[], bigint),
needletail_purge_experiments(uuid, uuid[], bigint),
needletail_purge_project(uuid, uuid, bigint),
needletail_purge_organization(uuid, bigint),
needletail_purge_users(timestamptz, bigint),
needletail_purge(timestamptz, bigint)
to needletail_maintenance;
