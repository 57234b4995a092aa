-- What points came to stays when they go.
set local role needletail_owner;

-- What the rollups of a metric came to when they went, of points that had gone before, by epoch: so
-- far as they were visible then. A restart that makes a summary anew adds it to what is left. Least
-- and greatest value are NaN, and their first steps missing, where there is no number.
create table metric_remainders (
    organization_id uuid not null,
    run_id uuid not null,
    key text collate "C" not null,
    epoch bigint not null,
    point_count bigint not null,
    number_count bigint not null,
    first_step bigint not null,
    first_time_us bigint not null,
    first_value double precision not null,
    last_step bigint not null,
    last_time_us bigint not null,
    last_value double precision not null,
    min_value double precision not null,
    min_step bigint,
    max_value double precision not null,
    max_step bigint,
    value_sum double precision not null,
    constraint metric_remainders_pkey primary key (organization_id, run_id, key, epoch),
    constraint metric_remainders_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint metric_remainders_number_count_check
    check (number_count between 0 and point_count and point_count > 0),
    constraint metric_remainders_last_step_check check (last_step >= first_step)
);
select needletail_isolate('metric_remainders');
grant select on metric_remainders to needletail_app;
grant select, insert, update, delete on metric_remainders to needletail_maintenance;

-- What points came to before a step: all of it where the step is missing or behind them, nothing
-- where they begin at it. Where it lies among them, the points that are known one by one: the
-- first, and the least and the greatest where they come before the step. So nothing counts that is
-- not visible.
create function needletail_before(known metric_remainders, shadowed_step bigint)
returns setof metric_remainders
language sql immutable
set search_path = public, pg_temp
as $$
    select
        known.organization_id,
        known.run_id,
        known.key,
        known.epoch,
        known.point_count,
        known.number_count,
        known.first_step,
        known.first_time_us,
        known.first_value,
        known.last_step,
        known.last_time_us,
        known.last_value,
        known.min_value,
        known.min_step,
        known.max_value,
        known.max_step,
        known.value_sum
    where shadowed_step is null or known.last_step < shadowed_step
    union all
    select
        known.organization_id,
        known.run_id,
        known.key,
        known.epoch,
        count(*) as point_count,
        count(*) filter (where point.value <> 'NaN') as number_count,
        known.first_step,
        known.first_time_us,
        known.first_value,
        known.first_step as last_step,
        known.first_time_us as last_time_us,
        known.first_value as last_value,
        min(point.value) as min_value,
        (
            array_agg(point.step order by point.value, point.step)
            filter (where point.value <> 'NaN')
        )[1] as min_step,
        coalesce(max(point.value) filter (where point.value <> 'NaN'), 'NaN') as max_value,
        (
            array_agg(point.step order by point.value desc, point.step)
            filter (where point.value <> 'NaN')
        )[1] as max_step,
        needletail_total(
            sum(point.value) filter (
                where abs(point.value) < 1e290 or abs(point.value) = 'Infinity'
            ),
            sum(point.value * 1e-30) filter (
                where abs(point.value) >= 1e290 and abs(point.value) < 'Infinity'
            )
        ) as value_sum
    from (
        select
            known.first_step as step,
            known.first_value as value
        union
        select
            known.min_step as step,
            known.min_value as value
        where known.min_step < shadowed_step
        union
        select
            known.max_step as step,
            known.max_value as value
        where known.max_step < shadowed_step
    ) as point
    where known.first_step < shadowed_step and known.last_step >= shadowed_step
    having count(*) > 0
$$;

-- What the points of a chunk came to before a step, by its rollups: the few buckets of the coarsest
-- where all its points come before, else those of the finest.
create function needletail_removed(owner_id uuid, chunk_id uuid, shadowed_step bigint)
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

-- Writes the rollups of a chunk anew, of its points before a step, of which there is one, or of all
-- where the step is missing: the chunk is about to go, and what is shadowed never returns.
create function needletail_roll_up_visible(
    owner_id uuid, chunk_id uuid, shadowed_step bigint
) returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    rolled metric_chunks;
    steps bigint[];
    times_us bigint[];
begin
    rolled := (
        select chunk
        from metric_chunks as chunk
        where chunk.organization_id = owner_id and chunk.id = chunk_id
    );
    select array_agg(point.step), array_agg(point.time_us), array_agg(point.value)
    into steps, times_us, rolled.point_values
    from (
        select
            number.step,
            number.time_us,
            number.value
        from (
            select
                coalesce(
                    item.step,
                    rolled.first_step
                    + coalesce(rolled.step_stride, 0) * (item.ordinal - 1)
                    + coalesce(item.step_offset, 0)
                ) as step,
                coalesce(
                    item.time_us,
                    rolled.first_time_us
                    + coalesce(rolled.time_stride_us, 0) * (item.ordinal - 1)
                    + coalesce(item.time_offset_us, 0)
                ) as time_us,
                item.value
            from
                unnest(
                    rolled.point_values, rolled.step_offsets, rolled.steps,
                    rolled.time_offsets_us, rolled.times_us
                ) with ordinality
                    as item (value, step_offset, step, time_offset_us, time_us, ordinal)
        ) as number
        where shadowed_step is null or number.step < shadowed_step
        order by 1, 2, 3
    ) as point;
    rolled.min_step := steps[1];
    rolled.max_step := steps[cardinality(steps)];
    -- Whoever planned to read the rollups that there were, is told to plan again.
    rolled.merged_xid := pg_current_xact_id();
    delete from metric_rollups where organization_id = owner_id and id = chunk_id;
    perform needletail_roll_up(rolled, steps, times_us);
end;
$$;
revoke execute on function needletail_roll_up_visible(uuid, uuid, bigint) from public;
grant execute on function needletail_roll_up_visible(uuid, uuid, bigint) to needletail_maintenance;
