-- As before: restarts forget points that went.
set local role needletail_owner;

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
        cross join lateral (
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
                    + coalesce(item.time_offset_us, 0)
                ) as time_us,
                item.value
            from
                unnest(
                    chunk.point_values, chunk.step_offsets, chunk.steps,
                    chunk.time_offsets_us, chunk.times_us
                ) with ordinality
                    as item (value, step_offset, step, time_offset_us, time_us, ordinal)
        ) as number
        where
            summary.organization_id = owner_id
            and summary.run_id = summarized_id
            and summary.last_step >= shadowed_step
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
    )

    update run_metric_summaries as summary
    set
        point_count = total.point_count,
        first_step = total.first_step,
        last_step = last_point.step,
        last_time_us = last_point.time_us,
        last_value = last_point.value,
        min_value = total.min_value,
        max_value = total.max_value,
        min_step = extreme.min_step,
        max_step = extreme.max_step,
        number_count = total.number_count,
        value_sum = total.value_sum
    from total
    inner join last_point on total.key = last_point.key
    left join extreme on total.key = extreme.key
    where
        summary.organization_id = owner_id
        and summary.run_id = summarized_id
        and summary.key = total.key;

    -- What was made anew ends before the step; the rest has no point left.
    delete from run_metric_summaries as summary
    where
        summary.organization_id = owner_id
        and summary.run_id = summarized_id
        and summary.last_step >= shadowed_step;
end;
$$;
