-- The points of a chunk are told in one place, and times can be in two halves.
-- The columns and constraints are of tables that are written in batches, and a migration is one
-- transaction.
-- squawk-ignore-file constraint-missing-not-valid, require-timeout-settings, ban-drop-constraint
-- squawk-ignore-file prefer-bigint-over-smallint
set local role needletail_owner;

-- A merged chunk has its times' offsets in two halves, so that what is the same in the upper ones
-- takes no room: an offset is time_highs[i] * 65536 + time_lows[i], and without time_highs the
-- lower half is all of it.
alter table metric_chunks add column time_lows smallint[];
alter table metric_chunks add column time_highs smallint[];
alter table metric_chunks alter column time_lows set compression lz4;
alter table metric_chunks alter column time_highs set compression lz4;
alter table metric_chunks drop constraint metric_chunks_times_us_check;
alter table metric_chunks add constraint metric_chunks_times_us_check
check (
    (times_us is null) = (num_nonnulls(time_stride_us, time_offsets_us, time_lows) > 0)
    and num_nonnulls(time_offsets_us, times_us, time_lows) <= 1
    and coalesce(
        cardinality(time_offsets_us), cardinality(times_us), cardinality(time_lows), point_count
    ) = point_count
    and coalesce(cardinality(time_highs), point_count) = point_count
    and (time_highs is null or time_lows is not null)
);

-- The points of a chunk, in the order in which they are stored.
create function needletail_points(chunk metric_chunks)
returns table (step bigint, time_us bigint, value double precision)
language sql immutable parallel safe
as $$
    select
        coalesce(
            item.step,
            chunk.first_step
            + coalesce(chunk.step_stride, 0) * (item.ordinal - 1)
            + coalesce(item.step_offset, 0)
        ) as step,
        coalesce(
            item.time_us,
            chunk.first_time_us
            + coalesce(chunk.time_stride_us, 0) * (item.ordinal - 1)
            + coalesce(
                item.time_offset_us, coalesce(item.time_high, 0)::bigint * 65536 + item.time_low, 0
            )
        ) as time_us,
        item.value
    from
        unnest(
            chunk.point_values, chunk.step_offsets, chunk.steps, chunk.time_offsets_us,
            chunk.times_us, chunk.time_lows, chunk.time_highs
        ) with ordinality
            as item (
                value, step_offset, step, time_offset_us, time_us, time_low, time_high, ordinal
            )
$$;

-- A point a row, exact duplicates and what a later epoch shadows left out.
create or replace view run_metrics with (security_invoker = true) as
select distinct
    chunk.organization_id,
    chunk.run_id,
    chunk.key as metric_name,
    chunk.epoch,
    number.step,
    needletail_time(number.time_us) as timestamp,
    number.value
from metric_chunks as chunk
left join lateral (
    select min(newer.from_step) as step
    from run_epochs as newer
    where
        newer.organization_id = chunk.organization_id
        and newer.run_id = chunk.run_id
        and newer.epoch > chunk.epoch
) as shadow on true
cross join lateral needletail_points(chunk) as number
where shadow.step is null or number.step < shadow.step;

-- Makes the summaries of a run's metrics anew, from the points that are visible and what is known
-- of those that went, of those metrics that have a point at `shadowed_step` or later; one of which
-- nothing is left goes. The last point that is known with its time may come before the least or the
-- greatest.
create or replace function needletail_summarize(
    owner_id uuid, summarized_id uuid, shadowed_step bigint
) returns void
language plpgsql
set search_path = public, pg_temp
as $$
begin
    with point as materialized (
        select
            chunk.key,
            number.step,
            number.time_us,
            number.value
        from run_metric_summaries as summary
        inner join metric_chunks as chunk
            on
                chunk.organization_id = owner_id
                and chunk.run_id = summarized_id
                and summary.key = chunk.key
        left join lateral (
            select min(newer.from_step) as step
            from run_epochs as newer
            where
                newer.organization_id = owner_id
                and newer.run_id = summarized_id
                and newer.epoch > chunk.epoch
        ) as shadow on true
        cross join lateral needletail_points(chunk) as number
        where
            summary.organization_id = owner_id
            and summary.run_id = summarized_id
            and greatest(summary.last_step, summary.min_step, summary.max_step) >= shadowed_step
            and (shadow.step is null or chunk.min_step < shadow.step)
            and (shadow.step is null or number.step < shadow.step)
    ),

    last_point as (
        select distinct on (point.key)
            point.key,
            point.step,
            point.time_us,
            point.value
        from point
        order by point.key asc, point.step desc, point.time_us desc, point.value desc
    ),

    total as (
        select
            point.key,
            count(*) as point_count,
            min(point.step) as first_step,
            count(*) filter (where point.value <> 'NaN') as number_count,
            coalesce(min(point.value), 'NaN') as min_value,
            coalesce(max(point.value) filter (where point.value <> 'NaN'), 'NaN') as max_value,
            needletail_total(
                sum(point.value) filter (
                    where abs(point.value) < 1e290 or abs(point.value) = 'Infinity'
                ),
                sum(point.value * 1e-30) filter (
                    where abs(point.value) >= 1e290 and abs(point.value) < 'Infinity'
                )
            ) as value_sum
        from point
        group by point.key
    ),

    -- Where the least and the greatest value were reached first.
    extreme as (
        select
            point.key,
            min(point.step) filter (where point.value = total.min_value) as min_step,
            min(point.step) filter (where point.value = total.max_value) as max_step
        from point
        inner join total on point.key = total.key
        where point.value <> 'NaN'
        group by point.key
    ),

    -- What is known of visible points: of those that are there, and of those that went.
    part as (
        select
            total.key,
            total.point_count,
            total.number_count,
            total.first_step,
            last_point.step as last_step,
            last_point.time_us as last_time_us,
            last_point.value as last_value,
            total.min_value,
            extreme.min_step,
            total.max_value,
            extreme.max_step,
            total.value_sum
        from total
        inner join last_point on total.key = last_point.key
        left join extreme on total.key = extreme.key
        union all
        select
            visible.key,
            visible.point_count,
            visible.number_count,
            visible.first_step,
            visible.last_step,
            visible.last_time_us,
            visible.last_value,
            visible.min_value,
            visible.min_step,
            visible.max_value,
            visible.max_step,
            visible.value_sum
        from (
            select distinct
                rollup.id,
                rollup.epoch
            from run_metric_summaries as summary
            inner join metric_rollups as rollup
                on
                    rollup.organization_id = owner_id
                    and rollup.run_id = summarized_id
                    and summary.key = rollup.key
            where
                summary.organization_id = owner_id
                and summary.run_id = summarized_id
                and greatest(summary.last_step, summary.min_step, summary.max_step) >= shadowed_step
                and not exists (
                    select
                    from metric_chunks as chunk
                    where
                        chunk.organization_id = owner_id
                        and chunk.run_id = summarized_id
                        and chunk.key = rollup.key
                        and chunk.id = rollup.id
                )
        ) as gone
        left join lateral (
            select min(newer.from_step) as step
            from run_epochs as newer
            where
                newer.organization_id = owner_id
                and newer.run_id = summarized_id
                and newer.epoch > gone.epoch
        ) as shadow on true
        cross join lateral needletail_removed(owner_id, gone.id, shadow.step) as visible
        union all
        select
            visible.key,
            visible.point_count,
            visible.number_count,
            visible.first_step,
            visible.last_step,
            visible.last_time_us,
            visible.last_value,
            visible.min_value,
            visible.min_step,
            visible.max_value,
            visible.max_step,
            visible.value_sum
        from run_metric_summaries as summary
        inner join metric_remainders as remainder
            on
                remainder.organization_id = owner_id
                and remainder.run_id = summarized_id
                and summary.key = remainder.key
        left join lateral (
            select min(newer.from_step) as step
            from run_epochs as newer
            where
                newer.organization_id = owner_id
                and newer.run_id = summarized_id
                and newer.epoch > remainder.epoch
        ) as shadow on true
        cross join lateral needletail_before(remainder, shadow.step) as visible
        where
            summary.organization_id = owner_id
            and summary.run_id = summarized_id
            and greatest(summary.last_step, summary.min_step, summary.max_step) >= shadowed_step
    ),

    last_part as (
        select distinct on (part.key)
            part.key,
            part.last_step,
            part.last_time_us,
            part.last_value
        from part
        order by part.key asc, part.last_step desc, part.last_time_us desc, part.last_value desc
    ),

    whole as (
        select
            part.key,
            sum(part.point_count)::bigint as point_count,
            sum(part.number_count)::bigint as number_count,
            min(part.first_step) as first_step,
            min(part.min_value) as min_value,
            (
                array_agg(part.min_step order by part.min_value, part.min_step)
                filter (where part.min_value <> 'NaN')
            )[1] as min_step,
            coalesce(max(part.max_value) filter (where part.max_value <> 'NaN'), 'NaN')
            as max_value,
            (
                array_agg(part.max_step order by part.max_value desc, part.max_step)
                filter (where part.max_value <> 'NaN')
            )[1] as max_step,
            needletail_total(
                sum(part.value_sum) filter (
                    where abs(part.value_sum) < 1e290 or abs(part.value_sum) >= 'Infinity'
                ),
                sum(part.value_sum * 1e-30) filter (
                    where abs(part.value_sum) >= 1e290 and abs(part.value_sum) < 'Infinity'
                )
            ) as value_sum
        from part
        group by part.key
    ),

    made as (
        update run_metric_summaries as summary
        set
            point_count = whole.point_count,
            first_step = whole.first_step,
            last_step = last_part.last_step,
            last_time_us = last_part.last_time_us,
            last_value = last_part.last_value,
            min_value = whole.min_value,
            max_value = whole.max_value,
            min_step = whole.min_step,
            max_step = whole.max_step,
            number_count = whole.number_count,
            value_sum = whole.value_sum
        from whole
        inner join last_part on whole.key = last_part.key
        where
            summary.organization_id = owner_id
            and summary.run_id = summarized_id
            and summary.key = whole.key
        returning summary.key
    )

    -- Of the rest nothing is left.
    delete from run_metric_summaries as summary
    where
        summary.organization_id = owner_id
        and summary.run_id = summarized_id
        and greatest(summary.last_step, summary.min_step, summary.max_step) >= shadowed_step
        and not exists (select from made where made.key = summary.key);
end;
$$;
