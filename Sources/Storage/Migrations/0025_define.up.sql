-- What metrics of a run are to whoever looks at them, and where they were at their best.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- By a metric's key, or by the beginning of keys with a * behind it.
create table run_metric_definitions (
    organization_id uuid not null,
    run_id uuid not null,
    pattern text collate "C" not null,
    goal text not null,
    summary text not null,
    step_metric text collate "C" not null,
    is_hidden boolean not null,
    constraint run_metric_definitions_pkey primary key (organization_id, run_id, pattern),
    constraint run_metric_definitions_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_metric_definitions_pattern_check
    check (octet_length(pattern) between 1 and 250),
    constraint run_metric_definitions_goal_check check (goal in ('none', 'minimize', 'maximize')),
    constraint run_metric_definitions_summary_check
    check (
        summary in ('default', 'last', 'min', 'max', 'mean', 'best', 'none')
        and (summary <> 'best' or goal <> 'none')
    ),
    constraint run_metric_definitions_step_metric_check check (octet_length(step_metric) <= 250)
);

select needletail_isolate('run_metric_definitions');
grant select, insert, update, delete on run_metric_definitions
to needletail_app, needletail_maintenance;

-- The first steps at which the least and the greatest value were reached; none where every value is
-- NaN.
alter table run_metric_summaries
add column min_step bigint,
add column max_step bigint;

-- Makes the summaries of a run's metrics anew, from the points that are visible, of those metrics
-- that have a point at `shadowed_step` or later; one of which nothing is left goes.
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

    -- Large numbers are summed on a smaller scale, so that no sum of theirs is too large.
    total as (
        select
            point.key,
            count(*) as point_count,
            min(point.step) as first_step,
            count(*) filter (where point.value <> 'NaN') as number_count,
            coalesce(min(point.value), 'NaN') as min_value,
            coalesce(max(point.value) filter (where point.value <> 'NaN'), 'NaN') as max_value,
            coalesce(
                sum(point.value) filter (
                    where abs(point.value) < 1e290 or abs(point.value) = 'Infinity'
                ), 0
            ) as small_sum,
            coalesce(
                sum(point.value * 1e-30) filter (
                    where abs(point.value) >= 1e290 and abs(point.value) < 'Infinity'
                ), 0
            ) as large_sum
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
        value_sum = needletail_sum(
            total.small_sum,
            case
                when abs(total.large_sum) >= 1.79e278
                    then sign(total.large_sum) * 'Infinity'::double precision
                else total.large_sum * 1e30
            end
        )
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

alter function needletail_purge_runs(uuid, uuid[], bigint)
rename to needletail_purge_undefined_runs;

-- Removes runs with all that they have, or a batch of that, the definitions of their metrics first;
-- says how many rows went.
create function needletail_purge_runs(
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
revoke execute on function needletail_purge_runs(uuid, uuid[], bigint) from public;
grant execute on function needletail_purge_runs(uuid, uuid[], bigint) to needletail_maintenance;
