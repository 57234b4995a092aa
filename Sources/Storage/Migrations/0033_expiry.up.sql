-- Of points that go it is kept what they came to, and a run goes in batches with all its rows.
set local role needletail_owner;

-- Removes one batch of the points, or then of the rollups, that came before a time, except those
-- of pinned runs and of the runs behind models in use; says how many rows went, 0 when none is left
-- or while another server does it. Of points rollups stay, of the visible ones alone; of rollups
-- what they came to.
create or replace function needletail_expire_metrics(
    points_before timestamptz, rollups_before timestamptz, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    removed bigint := 0;
    doomed record;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    -- What is merged is not removed at the same time: "ntlmerge".
    if not pg_try_advisory_xact_lock(x'6e746c6d65726765'::bigint) then
        return 0;
    end if;
    for doomed in
        select
            chunk.organization_id,
            chunk.id,
            shadow.step as shadowed_step,
            coalesce(chunk.min_step < shadow.step, true) as is_visible,
            coalesce(chunk.max_step >= shadow.step, false) as is_shadowed
        from metric_chunks as chunk
        inner join runs as run
            on chunk.organization_id = run.organization_id and chunk.run_id = run.id
        left join lateral (
            select min(newer.from_step) as step
            from run_epochs as newer
            where
                newer.organization_id = chunk.organization_id
                and newer.run_id = chunk.run_id
                and newer.epoch > chunk.epoch
        ) as shadow on true
        where
            chunk.id < needletail_uuid_floor(points_before)
            and not run.is_pinned
            and not exists (
                select from runs_behind_models as kept
                where
                    kept.organization_id = run.organization_id
                    and kept.run_id = run.id
            )
        limit batch_size
    loop
        if
            doomed.is_visible and (
                doomed.is_shadowed
                or not exists (
                    select
                    from metric_rollups as rollup
                    where
                        rollup.organization_id = doomed.organization_id
                        and rollup.id = doomed.id
                )
            )
        then
            perform needletail_roll_up_visible(
                doomed.organization_id, doomed.id, doomed.shadowed_step
            );
        end if;
        delete from metric_chunks
        where organization_id = doomed.organization_id and id = doomed.id;
        removed := removed + 1;
    end loop;
    if removed > 0 then
        return removed;
    end if;
    -- All rollups of a chunk go at once, so that a batch can be a few times as large.
    with doomed_rollup as materialized (
        select distinct
            expired.organization_id,
            expired.id,
            expired.run_id,
            expired.key,
            expired.epoch
        from (
            select
                rollup.organization_id,
                rollup.id,
                rollup.run_id,
                rollup.key,
                rollup.epoch
            from metric_rollups as rollup
            inner join runs as run
                on rollup.organization_id = run.organization_id and rollup.run_id = run.id
            where
                rollup.id < needletail_uuid_floor(rollups_before)
                and not run.is_pinned
                and not exists (
                    select from runs_behind_models as kept
                    where
                        kept.organization_id = run.organization_id
                        and kept.run_id = run.id
                )
            limit batch_size
        ) as expired
    ),

    -- Where the points are still there, they tell by themselves.
    part as (
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
        from doomed_rollup as rollup
        left join lateral (
            select min(newer.from_step) as step
            from run_epochs as newer
            where
                newer.organization_id = rollup.organization_id
                and newer.run_id = rollup.run_id
                and newer.epoch > rollup.epoch
        ) as shadow on true
        cross join lateral needletail_removed(rollup.organization_id, rollup.id, shadow.step)
            as visible
        where
            not exists (
                select
                from metric_chunks as chunk
                where
                    chunk.organization_id = rollup.organization_id and chunk.id = rollup.id
            )
        union all
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
        from metric_remainders as known
        where
            (known.organization_id, known.run_id, known.key, known.epoch) in (
                select rollup.organization_id, rollup.run_id, rollup.key, rollup.epoch
                from doomed_rollup as rollup
            )
    ),

    kept as (
        insert into metric_remainders as remainder (
            organization_id, run_id, key, epoch, point_count, number_count, first_step,
            first_time_us, first_value, last_step, last_time_us, last_value, min_value, min_step,
            max_value, max_step, value_sum
        )
        select
            part.organization_id,
            part.run_id,
            part.key,
            part.epoch,
            sum(part.point_count),
            sum(part.number_count),
            min(part.first_step),
            (
                array_agg(
                    part.first_time_us
                    order by part.first_step, part.first_time_us, part.first_value
                )
            )[1],
            (
                array_agg(
                    part.first_value
                    order by part.first_step, part.first_time_us, part.first_value
                )
            )[1],
            max(part.last_step),
            (
                array_agg(
                    part.last_time_us
                    order by part.last_step desc, part.last_time_us desc, part.last_value desc
                )
            )[1],
            (
                array_agg(
                    part.last_value
                    order by part.last_step desc, part.last_time_us desc, part.last_value desc
                )
            )[1],
            min(part.min_value),
            (
                array_agg(part.min_step order by part.min_value, part.min_step)
                filter (where part.min_value <> 'NaN')
            )[1],
            coalesce(max(part.max_value) filter (where part.max_value <> 'NaN'), 'NaN'),
            (
                array_agg(part.max_step order by part.max_value desc, part.max_step)
                filter (where part.max_value <> 'NaN')
            )[1],
            needletail_total(
                sum(part.value_sum) filter (
                    where abs(part.value_sum) < 1e290 or abs(part.value_sum) >= 'Infinity'
                ),
                sum(part.value_sum * 1e-30) filter (
                    where abs(part.value_sum) >= 1e290 and abs(part.value_sum) < 'Infinity'
                )
            )
        from part
        group by part.organization_id, part.run_id, part.key, part.epoch
        on conflict (organization_id, run_id, key, epoch) do update set
            point_count = excluded.point_count,
            number_count = excluded.number_count,
            first_step = excluded.first_step,
            first_time_us = excluded.first_time_us,
            first_value = excluded.first_value,
            last_step = excluded.last_step,
            last_time_us = excluded.last_time_us,
            last_value = excluded.last_value,
            min_value = excluded.min_value,
            min_step = excluded.min_step,
            max_value = excluded.max_value,
            max_step = excluded.max_step,
            value_sum = excluded.value_sum
    ),

    gone as (
        delete from metric_rollups as rollup
        using doomed_rollup
        where
            rollup.organization_id = doomed_rollup.organization_id
            and rollup.id = doomed_rollup.id
        returning rollup.id
    )

    select count(*) into removed
    from gone;
    return removed;
end;
$$;

-- Removes runs with all that they have, or a batch of that; says how many rows went.
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
    foreach table_name in
        array
            array[
                'run_metric_definitions', 'artifact_uploads', 'artifacts', 'metric_remainders',
                'run_departures'
            ]
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
