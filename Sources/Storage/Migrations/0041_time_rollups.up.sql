-- Rollups are by time, too, and take less room.
-- The columns and constraints are of tables that are written in batches, and a migration is one
-- transaction.
-- squawk-ignore-file constraint-missing-not-valid, disallowed-unique-constraint
-- squawk-ignore-file require-timeout-settings, ban-drop-constraint
-- squawk-ignore-file adding-serial-primary-key-field, require-concurrent-index-deletion
-- squawk-ignore-file require-concurrent-index-creation
set local role needletail_owner;

-- Buckets by time have the same columns: cells are of times in microseconds, and the first, the
-- last, and of equal values the one that is told, are by (time, step, value). They tell the times
-- of the least and the greatest value, too.
alter table metric_rollups add column by_time boolean not null default false;
alter table metric_rollups add column min_time_us bigint;
alter table metric_rollups add column max_time_us bigint;
alter table metric_rollups add column min_times_us bigint[];
alter table metric_rollups add column max_times_us bigint[];
alter table metric_rollups alter column min_times_us set compression lz4;
alter table metric_rollups alter column max_times_us set compression lz4;
alter table metric_rollups drop constraint metric_rollups_pkey;
alter table metric_rollups add constraint metric_rollups_pkey
primary key (organization_id, id, by_time, exponent);
drop index idx_metric_rollups_run_key;
create index idx_metric_rollups_run_key
on metric_rollups (organization_id, run_id, key, by_time, id, exponent);
alter table metric_rollups add constraint metric_rollups_by_time_check
check (
    not by_time
    or num_nonnulls(min_time_us, max_time_us, min_times_us, max_times_us) = 4
);

-- Writes the buckets of points, which are by (step, time, value), along one axis: the finest grid
-- with 128 points a bucket or more, then each that is 8 times as wide, up to one of at most two
-- buckets. A level is made from the one before, the finest from each point as a bucket. Few points
-- have rollups only in their place, and those may be finer: 32 points a bucket.
create function needletail_roll_up_along(
    along_time boolean, chunk metric_chunks, steps bigint[], times_us bigint[]
) returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    source metric_rollups;
    level bigint := 4;
    shift bigint;
    size bigint := cardinality(steps);
begin
    -- Most points come in the order of their times.
    if
        along_time and exists (
            select
            from unnest(times_us[2:], times_us[:size - 1]) as pair (later, earlier)
            where pair.later < pair.earlier
        )
    then
        select array_agg(point.step), array_agg(point.time_us), array_agg(point.value)
        into steps, times_us, chunk.point_values
        from (
            select
                item.step,
                item.time_us,
                item.value
            from unnest(steps, times_us, chunk.point_values) as item (step, time_us, value)
            order by item.time_us, item.step, item.value
        ) as point;
    end if;
    source.cells := case when along_time then times_us else steps end;
    source.first_steps := steps;
    source.first_times_us := times_us;
    source.first_values := chunk.point_values;
    source.point_counts := array_fill(1::bigint, array[size::integer]);
    source.nan_counts := array_fill(0::bigint, array[size::integer]);
    source.sums := chunk.point_values;
    if 'NaN' = any(chunk.point_values) then
        select
            array_agg((item.value = 'NaN')::integer::bigint order by item.place),
            array_agg(case when item.value = 'NaN' then 0 else item.value end order by item.place)
        into source.nan_counts, source.sums
        from unnest(chunk.point_values) with ordinality as item (value, place);
    end if;
    source.min_steps := source.first_steps;
    source.max_steps := source.first_steps;
    source.last_steps := source.first_steps;
    source.min_times_us := source.first_times_us;
    source.max_times_us := source.first_times_us;
    source.last_times_us := source.first_times_us;
    source.min_values := source.first_values;
    source.max_values := source.first_values;
    source.last_values := source.first_values;
    while
        level < 60
        and (source.cells[size] >> level::integer) - (source.cells[1] >> level::integer)
        >= greatest(2, size / case when size < 2048 then 32 else 128 end)
    loop
        level := level + 1;
    end loop;
    shift := level;
    loop
        insert into metric_rollups (
            organization_id, id, by_time, exponent, run_id, key, epoch, merged_xid,
            min_step, max_step, min_time_us, max_time_us,
            cells, point_counts, nan_counts, min_values, min_steps, min_times_us,
            max_values, max_steps, max_times_us, sums,
            first_steps, first_times_us, first_values, last_steps, last_times_us, last_values
        )
        select
            chunk.organization_id, chunk.id, along_time, level, chunk.run_id, chunk.key,
            chunk.epoch, chunk.merged_xid, chunk.min_step, chunk.max_step,
            chunk.min_time_us, chunk.max_time_us,
            array_agg(bucket.cell), array_agg(bucket.point_count), array_agg(bucket.nan_count),
            array_agg(bucket.low), array_agg(coalesce(source.min_steps[bucket.low_place], 0)),
            case
                when along_time
                    then array_agg(coalesce(source.min_times_us[bucket.low_place], 0))
            end,
            array_agg(bucket.high), array_agg(coalesce(source.max_steps[bucket.high_place], 0)),
            case
                when along_time
                    then array_agg(coalesce(source.max_times_us[bucket.high_place], 0))
            end,
            array_agg(bucket.total),
            array_agg(source.first_steps[bucket.first_place]),
            array_agg(source.first_times_us[bucket.first_place]),
            array_agg(source.first_values[bucket.first_place]),
            array_agg(source.last_steps[bucket.last_place]),
            array_agg(source.last_times_us[bucket.last_place]),
            array_agg(source.last_values[bucket.last_place])
        from (
            select
                marked.cell,
                sum(marked.point_count)::bigint as point_count,
                sum(marked.nan_count)::bigint as nan_count,
                coalesce(min(marked.least), 'NaN') as low,
                min(marked.place) filter (where marked.low = marked.least) as low_place,
                coalesce(max(marked.greatest), 'NaN') as high,
                min(marked.place) filter (where marked.high = marked.greatest) as high_place,
                needletail_total(
                    sum(marked.total) filter (
                        where abs(marked.total) < 1e290 or abs(marked.total) >= 'Infinity'
                    ),
                    sum(marked.total * 1e-30) filter (
                        where abs(marked.total) >= 1e290 and abs(marked.total) < 'Infinity'
                    )
                ) as total,
                min(marked.place) as first_place,
                max(marked.place) as last_place
            from (
                select
                    item.cell >> shift::integer as cell,
                    item.point_count,
                    item.nan_count,
                    item.low,
                    item.high,
                    item.total,
                    item.place,
                    min(item.low) filter (where item.low <> 'NaN') over cells as least,
                    max(item.high) filter (where item.high <> 'NaN') over cells as greatest
                from
                    unnest(
                        source.cells, source.point_counts, source.nan_counts,
                        source.min_values, source.max_values, source.sums
                    ) with ordinality
                        as item (cell, point_count, nan_count, low, high, total, place)
                window cells as (partition by item.cell >> shift::integer)
            ) as marked
            group by marked.cell
            order by marked.cell
        ) as bucket
        returning * into source;
        shift := 3;
        level := level + shift;
        exit when cardinality(source.cells) <= 2 or level > 60;
    end loop;
end;
$$;

-- Writes the buckets of a chunk with these points, which are by (step, time, value), by step and by
-- time.
create or replace function needletail_roll_up(
    chunk metric_chunks, steps bigint[], times_us bigint[]
) returns void
language plpgsql
set search_path = public, pg_temp
as $$
begin
    perform needletail_roll_up_along(false, chunk, steps, times_us);
    perform needletail_roll_up_along(true, chunk, steps, times_us);
end;
$$;

-- What the points of a chunk came to before a step, by its rollups: the few buckets of the coarsest
-- where all its points come before, else those of the finest.
create or replace function needletail_removed(owner_id uuid, chunk_id uuid, shadowed_step bigint)
returns setof metric_remainders
language sql stable
set search_path = public, pg_temp
as $$
    select
        visible.organization_id,
        visible.run_id,
        visible.key,
        visible.epoch,
        visible.point_count,
        visible.number_count,
        visible.first_step,
        visible.first_time_us,
        visible.first_value,
        visible.last_step,
        visible.last_time_us,
        visible.last_value,
        visible.min_value,
        visible.min_step,
        visible.max_value,
        visible.max_step,
        visible.value_sum
    from (
        select
            rollup.organization_id,
            rollup.run_id,
            rollup.key,
            rollup.epoch,
            rollup.point_counts,
            rollup.nan_counts,
            rollup.first_steps,
            rollup.first_times_us,
            rollup.first_values,
            rollup.last_steps,
            rollup.last_times_us,
            rollup.last_values,
            rollup.min_values,
            rollup.min_steps,
            rollup.max_values,
            rollup.max_steps,
            rollup.sums
        from metric_rollups as rollup
        where
            rollup.organization_id = owner_id
            and rollup.id = chunk_id
            and not rollup.by_time
            and (shadowed_step is null or rollup.min_step < shadowed_step)
        order by
            case when rollup.max_step >= shadowed_step then rollup.exponent end,
            rollup.exponent desc
        limit 1
    ) as rollup
    cross join lateral unnest(
        rollup.point_counts, rollup.nan_counts, rollup.first_steps, rollup.first_times_us,
        rollup.first_values, rollup.last_steps, rollup.last_times_us, rollup.last_values,
        rollup.min_values, rollup.min_steps, rollup.max_values, rollup.max_steps, rollup.sums
    )
        as bucket (
            point_count, nan_count, first_step, first_time_us, first_value, last_step,
            last_time_us, last_value, low, low_step, high, high_step, total
        )
    cross join lateral needletail_before(
        row(
            rollup.organization_id, rollup.run_id, rollup.key, rollup.epoch, bucket.point_count,
            bucket.point_count - bucket.nan_count, bucket.first_step, bucket.first_time_us,
            bucket.first_value, bucket.last_step, bucket.last_time_us, bucket.last_value,
            bucket.low, case when bucket.low <> 'NaN' then bucket.low_step end,
            bucket.high, case when bucket.high <> 'NaN' then bucket.high_step end,
            bucket.total
        )::metric_remainders,
        shadowed_step
    ) as visible
$$;

-- What is merged already is merged again, a batch at a time, and so gets these columns.
alter table metric_compactions no force row level security;
delete from metric_compactions;
alter table metric_compactions force row level security;

revoke execute on function
needletail_roll_up_along(boolean, metric_chunks, bigint[], bigint[])
from public;
grant execute on function
needletail_roll_up_along(boolean, metric_chunks, bigint[], bigint[])
to needletail_maintenance;
