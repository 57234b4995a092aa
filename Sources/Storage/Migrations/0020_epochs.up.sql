-- What a restarted job logs again shadows what it had logged before, and a summary knows its mean.
-- squawk-ignore-file constraint-missing-not-valid
set local role needletail_owner;

-- The epoch whose writers may append; a column of the run, so that whoever holds the run sees it as
-- it is, and not as it was when the statement began.
alter table runs add column metric_epoch bigint not null default 0,
add constraint runs_metric_epoch_check check (metric_epoch between 0 and 10000);

-- The epochs of a run after the first, which is 0: each shadows the points of those before it from
-- its step on. Never updated. Watchers tail it by `xid`, like chunks.
create table run_epochs (
    organization_id uuid not null,
    run_id uuid not null,
    epoch bigint not null,
    from_step bigint not null,
    writer_id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    opened_at timestamptz not null default now(),
    constraint run_epochs_pkey primary key (organization_id, run_id, epoch),
    constraint run_epochs_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_epochs_epoch_check check (epoch between 1 and 10000)
);

select needletail_isolate('run_epochs');
grant select, insert on run_epochs to needletail_app;
grant select, insert, delete on run_epochs to needletail_maintenance;

-- The numbers of a mean: NaN is none, infinities are. A sum beyond what a double holds is infinite.
-- And the first steps at which the least and the greatest value were reached; none where every
-- value is NaN.
alter table run_metric_summaries
add column number_count bigint not null default 0,
add column value_sum double precision not null default 0,
add column min_step bigint,
add column max_step bigint,
add constraint run_metric_summaries_number_count_check
check (number_count between 0 and point_count);

-- Adds two sums without an error where the result is beyond what a double holds.
create function needletail_sum(augend double precision, addend double precision)
returns double precision
language sql immutable strict parallel safe
return case
    when
        abs(augend) > 8e307 and abs(augend) < 'Infinity'
        and abs(addend) > 8e307 and abs(addend) < 'Infinity'
        and sign(augend) = sign(addend)
        then sign(augend) * 'Infinity'::double precision
    else augend + addend
end;

-- A sum of ordinary numbers and infinities, and one of huge numbers, which comes on a scale of
-- 1e-30 so that it cannot leave the range; the total can, and is an infinity then.
create function needletail_total(ordinary double precision, huge double precision)
returns double precision
language sql immutable parallel safe
return needletail_sum(
    coalesce(ordinary, 0),
    case
        when huge is null then 0
        when abs(huge) >= 1.79e278 then sign(huge) * 'Infinity'::double precision
        else huge * 1e30
    end
);

-- Makes the summaries of a run's metrics anew, from the points that are visible, of those metrics
-- that have a point at `shadowed_step` or later; one of which nothing is left goes.
create function needletail_summarize(
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

-- Opens an epoch of a run, whose row the caller's transaction holds, or finds it opened by the same
-- writer at the same step. Refuses EPOCH_OLD, EPOCH_TAKEN and EPOCH_SKIPPED (details.run_id,
-- details.current_epoch).
create function needletail_open_epoch(
    owner_id uuid, opened_id uuid, opened_epoch bigint, opened_step bigint, opener_id uuid
) returns boolean
language plpgsql
set search_path = public, pg_temp
as $$
declare
    current_epoch bigint := (
        select run.metric_epoch
        from runs as run
        where run.organization_id = owner_id and run.id = opened_id
    );
    details jsonb := jsonb_build_object('run_id', opened_id, 'current_epoch', current_epoch);
begin
    if opened_epoch < current_epoch then
        return needletail_refuse('EPOCH_OLD', details, false);
    end if;
    if opened_epoch > current_epoch + 1 then
        return needletail_refuse('EPOCH_SKIPPED', details, false);
    end if;
    if opened_epoch = current_epoch then
        if exists (
            select
            from run_epochs as known
            where
                known.organization_id = owner_id
                and known.run_id = opened_id
                and known.epoch = opened_epoch
                and known.from_step = opened_step
                and known.writer_id = opener_id
        ) then
            return false;
        end if;
        return needletail_refuse('EPOCH_TAKEN', details, false);
    end if;
    insert into run_epochs (organization_id, run_id, epoch, from_step, writer_id)
    values (owner_id, opened_id, opened_epoch, opened_step, opener_id);
    update runs
    set metric_epoch = opened_epoch
    where organization_id = owner_id and id = opened_id;
    perform needletail_summarize(owner_id, opened_id, opened_step);
    return true;
end;
$$;

grant delete on run_metric_summaries to needletail_app;

-- A point a row, exact duplicates once, without what a later epoch shadows.
create or replace view run_metrics with (security_invoker = true) as
select distinct
    chunk.organization_id,
    chunk.run_id,
    chunk.key as metric_name,
    chunk.epoch,
    number.step,
    number.timestamp,
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
cross join
    lateral (
        select
            coalesce(
                point.step,
                chunk.first_step
                + coalesce(chunk.step_stride, 0) * (point.ordinal - 1)
                + coalesce(point.step_offset, 0)
            ) as step,
            needletail_time(
                coalesce(
                    point.time_us,
                    chunk.first_time_us
                    + coalesce(chunk.time_stride_us, 0) * (point.ordinal - 1)
                    + coalesce(point.time_offset_us, 0)
                )
            ) as timestamp,
            point.value
        from
            unnest(
                chunk.point_values, chunk.step_offsets, chunk.steps,
                chunk.time_offsets_us, chunk.times_us
            ) with ordinality
                as point (value, step_offset, step, time_offset_us, time_us, ordinal)
    ) as number
where shadow.step is null or number.step < shadow.step;

-- Removes runs with their points, log lines, epochs, tags and parameters, or a batch of those; says
-- how many rows went.
create or replace function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
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
    delete from log_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from log_chunks as chunk
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
    foreach table_name in array
        array['run_epochs', 'run_parameter_versions', 'run_parameters', 'run_tags']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and run_id = any($2) limit $3))',
            table_name
        ) using owner_id, run_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from runs where organization_id = owner_id and id = any(run_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- The numbers of the summaries that there are; a sum that could be too large leaves out what makes
-- it so.
set local role needletail_maintenance;
update run_metric_summaries as summary
set number_count = total.number_count, value_sum = total.value_sum
from (
    select
        chunk.organization_id,
        chunk.run_id,
        chunk.key,
        count(*) as number_count,
        coalesce(
            sum(point.value) filter (
                where abs(point.value) < 1e290 or abs(point.value) = 'Infinity'
            ), 0
        ) as value_sum
    from metric_chunks as chunk
    cross join lateral unnest(chunk.point_values) as point (value)
    where point.value <> 'NaN'
    group by chunk.organization_id, chunk.run_id, chunk.key
) as total
where
    summary.organization_id = total.organization_id
    and summary.run_id = total.run_id
    and summary.key = total.key;
