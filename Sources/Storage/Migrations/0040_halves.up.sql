-- Merged chunks take less room, and know from when to when their points are.
-- The columns and constraints are of tables that are written in batches, and a migration is one
-- transaction.
-- squawk-ignore-file constraint-missing-not-valid, require-timeout-settings
set local role needletail_owner;

-- Of merged chunks, the least and the greatest time of their points.
alter table metric_chunks add column min_time_us bigint;
alter table metric_chunks add column max_time_us bigint;
alter table metric_chunks add constraint metric_chunks_max_time_us_check
check (
    (min_time_us is null) = (max_time_us is null)
    and coalesce(max_time_us >= min_time_us, true)
);

-- The shortest columns that tell numbers exactly; they are not empty. Along the line that most of
-- the first thousand follow, if there is one, offsets repeat, which takes no room; else along the
-- one that is nearest to all of them.
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
    strides bigint[];
    farthest bigint;
begin
    first := numbers[1];
    select max(number)::numeric - min(number)::numeric into span
    from unnest(numbers) as item (number);
    if span < 2::numeric ^ 61 then
        select array_agg(usual.difference) into strides
        from (
            select pair.later - pair.earlier as difference
            from unnest(numbers[2:1001], numbers[:least(1000, count - 1)]) as pair (later, earlier)
            group by pair.later - pair.earlier
            having
                count(*) > least(1000, count - 1) / 2
                and abs((pair.later - pair.earlier)::numeric) * count < 2::numeric ^ 61
        ) as usual;
        strides := strides || (
            select coalesce(round(regr_slope(number - first, ordinal)), 0)::bigint
            from unnest(numbers) with ordinality as item (number, ordinal)
        );
        foreach stride in array strides loop
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
        end loop;
    end if;
    stride := null;
    wide := numbers;
end;
$$;

-- Offsets in two halves, from the middle of them, which `first` becomes; nothing where they are too
-- far apart.
create function needletail_halve(
    inout first bigint, offsets integer[], out lows smallint[], out highs smallint[]
)
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
    least_offset bigint;
    greatest_offset bigint;
    middle bigint;
begin
    select min(item.number), max(item.number) into least_offset, greatest_offset
    from unnest(offsets) as item (number);
    middle := (least_offset + greatest_offset) >> 1;
    if
        greatest_offset - least_offset >= 4294901760
        or abs(first::numeric) >= 2::numeric ^ 62
    then
        return;
    end if;
    first := first + middle;
    lows := array(
        select (((item.number - middle + 32768) & 65535) - 32768)::smallint
        from unnest(offsets) with ordinality as item (number, ordinal)
        order by item.ordinal
    );
    if greatest_offset - middle > 32767 or least_offset - middle < -32768 then
        highs := array(
            select ((item.number - middle + 32768) >> 16)::smallint
            from unnest(offsets) with ordinality as item (number, ordinal)
            order by item.ordinal
        );
    end if;
end;
$$;

-- Puts chunks of one (run, key, epoch) and partition, 100,000 points at most, in the place of
-- themselves: as few as can be, none of more than 25,000 points unless there was a larger one.
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
    halved record;
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
            number.step,
            number.time_us,
            number.value
        from metric_chunks as chunk
        cross join lateral needletail_points(chunk) as number
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
        part.time_lows := null;
        part.time_highs := null;
        if packed.offsets is not null then
            halved := needletail_halve(packed.first, packed.offsets);
            if halved.lows is not null then
                part.first_time_us := halved.first;
                part.time_offsets_us := null;
                part.time_lows := halved.lows;
                part.time_highs := halved.highs;
            end if;
        end if;
        select min(item.time_us), max(item.time_us) into part.min_time_us, part.max_time_us
        from unnest(times_us[low:high]) as item (time_us);
        insert into metric_chunks (
            organization_id, id, run_id, key, epoch, xid, first_xid, merged_xid,
            point_count, min_step, max_step, first_step, step_stride, step_offsets,
            steps, first_time_us, time_stride_us, time_offsets_us, times_us,
            time_lows, time_highs, min_time_us, max_time_us, min_value, max_value, point_values
        )
        values (
            part.organization_id, part.id, part.run_id, part.key, part.epoch,
            part.xid, part.first_xid, part.merged_xid, part.point_count,
            part.min_step, part.max_step, part.first_step, part.step_stride,
            part.step_offsets, part.steps, part.first_time_us, part.time_stride_us,
            part.time_offsets_us, part.times_us, part.time_lows, part.time_highs,
            part.min_time_us, part.max_time_us, part.min_value, part.max_value,
            part.point_values
        );
        -- The rollups of fewer points would take more room than these, and they are read at once.
        if part.point_count >= 2048 then
            perform needletail_roll_up(part, steps[low:high], times_us[low:high]);
        end if;
        low := high + 1;
    end loop;
end;
$$;

-- Writes the rollups of a chunk anew, of its points before a step, of which there is one, or of all
-- where the step is missing: the chunk is about to go, and what is shadowed never returns.
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
        from needletail_points(rolled) as number
        where shadowed_step is null or number.step < shadowed_step
        order by 1, 2, 3
    ) as point;
    rolled.min_step := steps[1];
    rolled.max_step := steps[cardinality(steps)];
    select min(item.time_us), max(item.time_us) into rolled.min_time_us, rolled.max_time_us
    from unnest(times_us) as item (time_us);
    -- Whoever planned to read the rollups that there were, is told to plan again.
    rolled.merged_xid := pg_current_xact_id();
    delete from metric_rollups where organization_id = owner_id and id = chunk_id;
    perform needletail_roll_up(rolled, steps, times_us);
end;
$$;
