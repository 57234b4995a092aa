-- As before: rollups are by step alone.
-- squawk-ignore-file disallowed-unique-constraint, require-timeout-settings, ban-drop-constraint
-- squawk-ignore-file ban-drop-column, adding-primary-key-constraint
-- squawk-ignore-file require-concurrent-index-creation
set local role needletail_owner;

create or replace function needletail_roll_up(
    chunk metric_chunks, steps bigint[], times_us bigint[]
) returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    size bigint := cardinality(steps);
    cell_count bigint;
begin
    for level in 1..15 loop
        cell_count := (chunk.max_step >> (4 * level)) - (chunk.min_step >> (4 * level)) + 1;
        continue when cell_count > greatest(2, size / 32) and level < 15;
        insert into metric_rollups (
            organization_id, id, exponent, run_id, key, epoch, merged_xid, min_step, max_step,
            cells, point_counts, nan_counts, min_values, min_steps, max_values, max_steps, sums,
            first_steps, first_times_us, first_values, last_steps, last_times_us, last_values
        )
        select
            chunk.organization_id, chunk.id, 4 * level, chunk.run_id, chunk.key, chunk.epoch,
            chunk.merged_xid, chunk.min_step, chunk.max_step,
            array_agg(bucket.cell), array_agg(bucket.point_count), array_agg(bucket.nan_count),
            array_agg(bucket.low), array_agg(bucket.low_step), array_agg(bucket.high),
            array_agg(bucket.high_step), array_agg(bucket.total),
            array_agg(steps[bucket.first_place]), array_agg(times_us[bucket.first_place]),
            array_agg(chunk.point_values[bucket.first_place]),
            array_agg(steps[bucket.last_place]), array_agg(times_us[bucket.last_place]),
            array_agg(chunk.point_values[bucket.last_place])
        from (
            select
                marked.cell,
                count(*) as point_count,
                count(*) filter (where marked.value = 'NaN') as nan_count,
                coalesce(min(marked.low), 'NaN') as low,
                coalesce(min(marked.step) filter (where marked.value = marked.low), 0) as low_step,
                coalesce(max(marked.high), 'NaN') as high,
                coalesce(min(marked.step) filter (where marked.value = marked.high), 0)
                as high_step,
                needletail_total(
                    sum(marked.value) filter (
                        where abs(marked.value) < 1e290 or abs(marked.value) = 'Infinity'
                    ),
                    sum(marked.value * 1e-30) filter (
                        where abs(marked.value) >= 1e290 and abs(marked.value) < 'Infinity'
                    )
                ) as total,
                min(marked.place) as first_place,
                max(marked.place) as last_place
            from (
                select
                    item.step,
                    item.value,
                    item.place,
                    item.step >> (4 * level) as cell,
                    min(item.value) filter (where item.value <> 'NaN') over cells as low,
                    max(item.value) filter (where item.value <> 'NaN') over cells as high
                from unnest(steps, chunk.point_values) with ordinality as item (step, value, place)
                window cells as (partition by item.step >> (4 * level))
            ) as marked
            group by marked.cell
            order by marked.cell
        ) as bucket;
        exit when cell_count <= 2;
    end loop;
end;
$$;

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

drop function needletail_roll_up_along(boolean, metric_chunks, bigint[], bigint[]);

alter table metric_rollups no force row level security;
set local role needletail_maintenance;
delete from metric_rollups
where by_time;
set local role needletail_owner;
alter table metric_rollups force row level security;
alter table metric_rollups drop constraint metric_rollups_by_time_check;
alter table metric_rollups drop constraint metric_rollups_pkey;
alter table metric_rollups add constraint metric_rollups_pkey
primary key (organization_id, id, exponent);
drop index idx_metric_rollups_run_key;
create index idx_metric_rollups_run_key
on metric_rollups (organization_id, run_id, key, id, exponent);
alter table metric_rollups drop column max_times_us;
alter table metric_rollups drop column min_times_us;
alter table metric_rollups drop column max_time_us;
alter table metric_rollups drop column min_time_us;
alter table metric_rollups drop column by_time;
