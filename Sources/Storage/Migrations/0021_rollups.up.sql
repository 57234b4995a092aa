-- Small chunks become large ones, and large ones get rollups.
-- The columns, constraints and indexes are of a table that is written in batches, and a migration
-- is one transaction.
-- squawk-ignore-file require-concurrent-index-creation, constraint-missing-not-valid
-- squawk-ignore-file adding-required-field, require-timeout-settings, ban-drop-constraint
set local role needletail_owner;

-- A merged chunk holds the points of several chunks, by (step, time, value). Its xid is the
-- greatest of theirs and first_xid the least, so that a watcher who has seen some of them, but not
-- all, is found out; merged_xid is the transaction that merged them, so that a reader in the middle
-- of the chunks learns of it. It keeps ids that they had, and so their partition and age.
alter table metric_chunks add column first_xid xid8;
alter table metric_chunks add column merged_xid xid8;
create index idx_metric_chunks_merged on metric_chunks (organization_id, run_id, key, merged_xid)
where merged_xid is not null;

-- Number i is first + i * stride + offsets[i], where stride and offsets may each be missing, or,
-- too far from any line for 32 bits, numbers[i] as it is.
alter table metric_chunks drop constraint metric_chunks_steps_check;
alter table metric_chunks add constraint metric_chunks_steps_check
check (
    (steps is null) = (num_nonnulls(step_stride, step_offsets) > 0)
    and coalesce(cardinality(step_offsets), cardinality(steps), point_count) = point_count
);
alter table metric_chunks drop constraint metric_chunks_times_us_check;
alter table metric_chunks add constraint metric_chunks_times_us_check
check (
    (times_us is null) = (num_nonnulls(time_stride_us, time_offsets_us) > 0)
    and coalesce(cardinality(time_offsets_us), cardinality(times_us), point_count) = point_count
);

-- Buckets of one merged chunk, the chunk's id theirs: bucket i is of the points whose step shifted
-- right by `exponent` is cells[i], so that buckets of all chunks lie on one grid and add up. Least
-- and greatest value are of values that are not NaN (NaN where there is none) at the smallest step
-- that has them, the sum too (0 where there is none); first and last point by (step, time, value).
create table metric_rollups (
    organization_id uuid not null,
    id uuid not null,
    exponent bigint not null,
    run_id uuid not null,
    key text collate "C" not null,
    epoch bigint not null,
    merged_xid xid8 not null,
    min_step bigint not null,
    max_step bigint not null,
    cells bigint[] compression lz4 not null,
    point_counts bigint[] compression lz4 not null,
    nan_counts bigint[] compression lz4 not null,
    min_values double precision[] compression lz4 not null,
    min_steps bigint[] compression lz4 not null,
    max_values double precision[] compression lz4 not null,
    max_steps bigint[] compression lz4 not null,
    sums double precision[] compression lz4 not null,
    first_steps bigint[] compression lz4 not null,
    first_times_us bigint[] compression lz4 not null,
    first_values double precision[] compression lz4 not null,
    last_steps bigint[] compression lz4 not null,
    last_times_us bigint[] compression lz4 not null,
    last_values double precision[] compression lz4 not null,
    constraint metric_rollups_pkey primary key (organization_id, id, exponent),
    constraint metric_rollups_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint metric_rollups_exponent_check check (exponent between 4 and 60),
    constraint metric_rollups_max_step_check check (max_step >= min_step)
) partition by range (id);
create index idx_metric_rollups_run_key
on metric_rollups (organization_id, run_id, key, id, exponent);

-- How far an organization's chunks were looked at: those up to compacted_to are merged.
create table metric_compactions (
    organization_id uuid not null,
    compacted_to uuid not null,
    updated_at timestamptz not null default now(),
    constraint metric_compactions_pkey primary key (organization_id),
    constraint metric_compactions_organization_id_fkey
    foreign key (organization_id) references organizations (id) on delete cascade
);

-- The shortest columns that tell numbers exactly; they are not empty.
create function needletail_pack(
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

-- Writes the buckets of a chunk with these points, which are by (step, time, value): the finest
-- grid with 32 points a bucket or more, then each that is 16 times as wide, up to one of at most
-- two buckets.
create function needletail_roll_up(
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

-- Puts chunks of one (run, key, epoch) and partition, 100,000 points at most, in the place of
-- themselves: as few as can be, none of more than 25,000 points unless there was a larger one.
create function needletail_merge_chunks(owner_id uuid, chunk_ids uuid[]) returns void
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

select needletail_isolate('metric_rollups');
select needletail_isolate('metric_compactions');

grant select on metric_rollups, metric_compactions to needletail_app;
grant select, insert, update, delete on metric_rollups, metric_compactions
to needletail_maintenance;
revoke execute on function
needletail_merge_chunks(uuid, uuid[]),
needletail_roll_up(metric_chunks, bigint[], bigint[])
from public;
grant execute on function
needletail_merge_chunks(uuid, uuid[]),
needletail_roll_up(metric_chunks, bigint[], bigint[])
to needletail_maintenance;

select needletail_ensure_partitions(3);
