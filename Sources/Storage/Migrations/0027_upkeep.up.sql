-- What keeps the points in order, a batch at a time: small chunks are merged, points and rollups go
-- when their time is over; and which server has which task.
set local role needletail_owner;

-- The tasks of upkeep, over all servers: who does one, until when nobody else begins it, and what
-- the last time came to.
create table maintenance_tasks (
    name text collate "C" not null,
    leased_by uuid,
    leased_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    row_count bigint not null default 0,
    error text,
    succeeded_at timestamptz,
    constraint maintenance_tasks_pkey primary key (name),
    constraint maintenance_tasks_name_check check (octet_length(name) between 1 and 100)
);

-- Merges one batch of an organization's chunks that came before `before`, at most `batch_size` and
-- about a million points; says how many, 0 when none is left or while another server does it. A
-- merged chunk is merged again with what is at least half as large, so that a point is written
-- again a bounded number of times.
create function needletail_compact_metrics(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    horizon uuid := needletail_uuid_floor(before);
    oldest xid8 := pg_snapshot_xmin(pg_current_snapshot());
    owner record;
    series record;
    candidate record;
    fresh_ids uuid[];
    last_id uuid;
    ids uuid[];
    points bigint;
begin
    if batch_size not between 1 and 10000 then
        raise exception 'batch_size must be 1 to 10000, not %', batch_size;
    end if;
    -- The number is the lock's name: "ntlmerge" in ASCII.
    if not pg_try_advisory_xact_lock(x'6e746c6d65726765'::bigint) then
        return 0;
    end if;
    for owner in
        select
            organization.id,
            coalesce(compaction.compacted_to, '00000000-0000-0000-0000-000000000000') as reached
        from organizations as organization
        left join metric_compactions as compaction
            on organization.id = compaction.organization_id
    loop
        -- What a transaction that is still open may have written waits, and all after it.
        select array_agg(fresh.id order by fresh.id), max(fresh.id::text)::uuid
        into fresh_ids, last_id
        from (
            select
                found.id,
                found.point_count,
                bool_or(found.xid >= oldest) over preceding as is_open,
                sum(found.point_count) over preceding - found.point_count as points_before
            from (
                select chunk.id, chunk.xid, chunk.point_count
                from metric_chunks as chunk
                where
                    chunk.organization_id = owner.id
                    and chunk.id > owner.reached and chunk.id < horizon
                order by chunk.id
                limit batch_size
            ) as found
            window preceding as (order by found.id rows unbounded preceding)
        ) as fresh
        where not fresh.is_open and fresh.points_before < 1000000;
        continue when fresh_ids is null;
        for series in
            select
                chunk.run_id, chunk.key, chunk.epoch, chunk.tableoid as partition,
                array_agg(chunk.id order by chunk.min_step, chunk.id) as ids,
                array_agg(chunk.point_count order by chunk.min_step, chunk.id) as counts,
                sum(chunk.point_count)::bigint as points
            from metric_chunks as chunk
            where chunk.organization_id = owner.id and chunk.id = any(fresh_ids)
            group by chunk.run_id, chunk.key, chunk.epoch, chunk.tableoid
        loop
            ids := '{}';
            points := 0;
            for candidate in
                select chunk.id, chunk.point_count
                from metric_chunks as chunk
                where
                    chunk.organization_id = owner.id
                    and chunk.run_id = series.run_id
                    and chunk.key = series.key
                    and chunk.epoch = series.epoch
                    and chunk.tableoid = series.partition
                    and chunk.merged_xid is not null
                    and chunk.point_count < 25000
                    and chunk.id <> all(series.ids)
                order by chunk.point_count
                limit 16
            loop
                exit when candidate.point_count > 2 * (series.points + points);
                ids := ids || candidate.id;
                points := points + candidate.point_count;
                exit when points >= 25000;
            end loop;
            for place in 1..cardinality(series.ids) loop
                if points + series.counts[place] > 100000 and cardinality(ids) > 0 then
                    perform needletail_merge_chunks(owner.id, ids);
                    ids := '{}';
                    points := 0;
                end if;
                ids := ids || series.ids[place];
                points := points + series.counts[place];
            end loop;
            perform needletail_merge_chunks(owner.id, ids);
        end loop;
        insert into metric_compactions as compaction (organization_id, compacted_to)
        values (owner.id, last_id)
        on conflict (organization_id) do update set
            compacted_to = excluded.compacted_to,
            updated_at = now();
        return cardinality(fresh_ids);
    end loop;
    return 0;
end;
$$;

-- Removes one batch of the points, or then of the rollups, that came before a time, except those
-- of pinned runs; says how many rows went, 0 when none is left or while another server does it.
create function needletail_expire_metrics(
    points_before timestamptz, rollups_before timestamptz, batch_size bigint
) returns bigint
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
    -- What is merged is not removed at the same time: "ntlmerge".
    if not pg_try_advisory_xact_lock(x'6e746c6d65726765'::bigint) then
        return 0;
    end if;
    delete from metric_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from metric_chunks as chunk
            inner join runs as run
                on chunk.organization_id = run.organization_id and chunk.run_id = run.id
            where chunk.id < needletail_uuid_floor(points_before) and not run.is_pinned
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from metric_rollups
    where
        (organization_id, id, exponent) in (
            select rollup.organization_id, rollup.id, rollup.exponent
            from metric_rollups as rollup
            inner join runs as run
                on rollup.organization_id = run.organization_id and rollup.run_id = run.id
            where rollup.id < needletail_uuid_floor(rollups_before) and not run.is_pinned
            limit batch_size
        );
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Drops one partition of points or rollups that is empty and whose time is over; says how many, 0
-- or 1. What holds rows stays; a reader or writer in the way is not waited for.
create function needletail_drop_empty_partition(
    points_before timestamptz, rollups_before timestamptz
) returns bigint
language plpgsql security definer
set search_path = public, pg_temp
set timezone = 'UTC'
set lock_timeout = '1s'
as $$
declare
    doomed record;
    has_rows boolean;
begin
    if points_before > now() or rollups_before > now() then
        raise exception 'only partitions of the past can be dropped';
    end if;
    for doomed in
        select parent.relname as parent_name, child.relname as name
        from pg_inherits as inheritance
        inner join pg_class as parent on inheritance.inhparent = parent.oid
        inner join pg_class as child on inheritance.inhrelid = child.oid
        where
            (
                parent.oid = 'metric_chunks'::regclass
                and child.relname < 'metric_chunks' || to_char(points_before, '_"y"YYYY"m"MM')
                or parent.oid = 'metric_rollups'::regclass
                and child.relname < 'metric_rollups' || to_char(rollups_before, '_"y"YYYY"m"MM')
            )
            and child.relname ~ '_y[0-9]{4}m[0-9]{2}$'
        order by child.relname
    loop
        execute format('alter table %I no force row level security', doomed.name);
        execute format('lock table %I in access exclusive mode', doomed.name);
        execute format('select exists (select from %I)', doomed.name) into has_rows;
        if not has_rows then
            execute format('drop table %I', doomed.name);
            return 1;
        end if;
        execute format('alter table %I force row level security', doomed.name);
    end loop;
    return 0;
end;
$$;

grant select, insert, update, delete on maintenance_tasks to needletail_maintenance;
revoke execute on function
needletail_compact_metrics(timestamptz, bigint),
needletail_expire_metrics(timestamptz, timestamptz, bigint),
needletail_drop_empty_partition(timestamptz, timestamptz)
from public;
grant execute on function
needletail_compact_metrics(timestamptz, bigint),
needletail_expire_metrics(timestamptz, timestamptz, bigint),
needletail_drop_empty_partition(timestamptz, timestamptz)
to needletail_maintenance;
