set local role needletail_owner;
drop function needletail_merge_chunks(uuid, uuid[]);
drop function needletail_roll_up(metric_chunks, bigint[], bigint[]);
drop function needletail_pack(bigint[]);
drop table metric_compactions;
drop table metric_rollups;

-- Columns with stride and offsets are told as they are: what is older does not know them.
alter table metric_chunks no force row level security;
alter table metric_chunks drop constraint metric_chunks_steps_check;
alter table metric_chunks drop constraint metric_chunks_times_us_check;
set local role needletail_maintenance;
update metric_chunks as chunk
set
    step_stride = null,
    step_offsets = null,
    steps = array(
        select chunk.first_step + chunk.step_stride * (item.ordinal - 1) + item.step_offset
        from unnest(chunk.step_offsets) with ordinality as item (step_offset, ordinal)
        order by item.ordinal
    )
where chunk.step_stride is not null and chunk.step_offsets is not null;
update metric_chunks as chunk
set
    time_stride_us = null,
    time_offsets_us = null,
    times_us = array(
        select chunk.first_time_us + chunk.time_stride_us * (item.ordinal - 1) + item.time_offset_us
        from unnest(chunk.time_offsets_us) with ordinality as item (time_offset_us, ordinal)
        order by item.ordinal
    )
where chunk.time_stride_us is not null and chunk.time_offsets_us is not null;
set local role needletail_owner;
alter table metric_chunks force row level security;
alter table metric_chunks add constraint metric_chunks_steps_check
check (
    num_nonnulls(step_stride, step_offsets, steps) = 1
    and coalesce(cardinality(step_offsets), cardinality(steps), point_count) = point_count
);
alter table metric_chunks add constraint metric_chunks_times_us_check
check (
    num_nonnulls(time_stride_us, time_offsets_us, times_us) = 1
    and coalesce(cardinality(time_offsets_us), cardinality(times_us), point_count) = point_count
);
drop index idx_metric_chunks_merged;
alter table metric_chunks drop column merged_xid;
alter table metric_chunks drop column first_xid;
