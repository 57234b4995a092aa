-- As before: of points that go nothing is kept.
set local role needletail_owner;

create or replace function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from run_metric_definitions
    where
        (organization_id, run_id, pattern) in (
            select definition.organization_id, definition.run_id, definition.pattern
            from run_metric_definitions as definition
            where definition.organization_id = owner_id and definition.run_id = any(run_ids)
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
            where rollup.organization_id = owner_id and rollup.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_undefined_runs(owner_id, run_ids, batch_size);
end;
$$;

create or replace function needletail_expire_metrics(
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
