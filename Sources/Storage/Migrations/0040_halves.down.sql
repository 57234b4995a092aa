-- As before: merged chunks have their times' offsets whole.
-- squawk-ignore-file require-timeout-settings, ban-drop-column
set local role needletail_owner;

create or replace function needletail_pack(
    numbers bigint[],
    out first bigint, out stride bigint, out offsets integer[], out wide bigint[]
)
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    count bigint := cardinality(numbers);
    span numeric;
    farthest bigint;
begin
    first := numbers[1];
    select max(number)::numeric - min(number)::numeric into span
    from unnest(numbers) as item (number);
    if span < 2::numeric ^ 61 then
        stride := case
            when count = 1 then 0 else round((numbers[count] - first) / (count - 1.0))
        end;
        select max(abs(number - first - stride * (ordinal - 1))) into farthest
        from unnest(numbers) with ordinality as item (number, ordinal);
        if farthest = 0 then
            return;
        end if;
        if farthest < 2147483648 then
            offsets := array(
                select (number - first - stride * (ordinal - 1))::integer
                from unnest(numbers) with ordinality as item (number, ordinal)
                order by ordinal
            );
            return;
        end if;
    end if;
    stride := null;
    wide := numbers;
end;
$$;

create or replace function needletail_merge_chunks(owner_id uuid, chunk_ids uuid[]) returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    model metric_chunks;
    part metric_chunks;
    steps bigint[];
    times_us bigint[];
    all_values double precision[];
    packed record;
    ids uuid[];
    part_size bigint := 25000;
    low bigint := 1;
    high bigint;
begin
    select array_agg(held.id) into ids
    from (
        select chunk.id
        from metric_chunks as chunk
        where chunk.organization_id = owner_id and chunk.id = any(chunk_ids)
        order by chunk.xid desc, chunk.id desc
        for update
    ) as held;
    if ids is null then
        return;
    end if;
    model := (
        select chunk
        from metric_chunks as chunk
        where chunk.organization_id = owner_id and chunk.id = ids[1]
    );
    model.merged_xid := pg_current_xact_id();
    select min(coalesce(chunk.first_xid, chunk.xid)) into model.first_xid
    from metric_chunks as chunk
    where chunk.organization_id = owner_id and chunk.id = any(ids);

    select array_agg(point.step), array_agg(point.time_us), array_agg(point.value)
    into steps, times_us, all_values
    from (
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
        from metric_chunks as chunk
        cross join lateral unnest(
            chunk.point_values, chunk.step_offsets, chunk.steps,
            chunk.time_offsets_us, chunk.times_us
        ) with ordinality as item (value, step_offset, step, time_offset_us, time_us, ordinal)
        where chunk.organization_id = owner_id and chunk.id = any(ids)
        order by 1, 2, 3
    ) as point;

    delete from metric_rollups where organization_id = owner_id and id = any(ids);
    delete from metric_chunks where organization_id = owner_id and id = any(ids);
    if cardinality(ids) * part_size < cardinality(steps) then
        part_size := ceil(cardinality(steps)::numeric / cardinality(ids));
    end if;
    for number in 1..ceil(cardinality(steps)::numeric / part_size) loop
        part := model;
        part.id := ids[number];
        high := least(low + part_size - 1, cardinality(steps));
        part.point_count := high - low + 1;
        part.min_step := steps[low];
        part.max_step := steps[high];
        part.point_values := all_values[low:high];
        select
            coalesce(min(item.value) filter (where item.value <> 'NaN'), 'NaN'),
            coalesce(max(item.value) filter (where item.value <> 'NaN'), 'NaN')
        into part.min_value, part.max_value
        from unnest(part.point_values) as item (value);
        packed := needletail_pack(steps[low:high]);
        part.first_step := packed.first;
        part.step_stride := packed.stride;
        part.step_offsets := packed.offsets;
        part.steps := packed.wide;
        packed := needletail_pack(times_us[low:high]);
        part.first_time_us := packed.first;
        part.time_stride_us := packed.stride;
        part.time_offsets_us := packed.offsets;
        part.times_us := packed.wide;
        insert into metric_chunks (
            organization_id, id, run_id, key, epoch, xid, first_xid, merged_xid,
            point_count, min_step, max_step, first_step, step_stride, step_offsets,
            steps, first_time_us, time_stride_us, time_offsets_us, times_us,
            min_value, max_value, point_values
        )
        values (
            part.organization_id, part.id, part.run_id, part.key, part.epoch,
            part.xid, part.first_xid, part.merged_xid, part.point_count,
            part.min_step, part.max_step, part.first_step, part.step_stride,
            part.step_offsets, part.steps, part.first_time_us, part.time_stride_us,
            part.time_offsets_us, part.times_us, part.min_value, part.max_value,
            part.point_values
        );
        perform needletail_roll_up(part, steps[low:high], times_us[low:high]);
        low := high + 1;
    end loop;
end;
$$;

create or replace function needletail_roll_up_visible(
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

drop function needletail_halve(bigint, integer[]);
alter table metric_chunks drop column max_time_us;
alter table metric_chunks drop column min_time_us;
