-- Metric points, in chunks.
set local role needletail_owner;

-- Microseconds since 1970 as a time, exactly; before what a timestamptz reaches, -infinity.
create function needletail_time(microseconds bigint) returns timestamptz
language sql immutable strict parallel safe
return case
    when microseconds < -210866803200000000 then '-infinity'::timestamptz
    else
        '1970-01-01 00:00:00+00'::timestamptz
        + (microseconds / 1000000) * interval '1 second'
        + (microseconds % 1000000) * interval '1 microsecond'
end;

-- How far each writer has come: every batch up to last_sequence is committed.
create table metric_writers (
    organization_id uuid not null,
    writer_id uuid not null,
    last_sequence bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint metric_writers_pkey primary key (organization_id, writer_id),
    constraint metric_writers_last_sequence_check check (last_sequence >= 0)
) with (fillfactor = 50);

-- Refuses a group of batches that begins at `first_sequence` for a writer whose last one is
-- `last_sequence`, and says which of the two mistakes it is.
create function needletail_refuse_sequence(last_sequence bigint, first_sequence bigint)
returns bigint
language sql volatile
as $$
    select
        case
            when first_sequence <= last_sequence
                then
                    needletail_refuse(
                        'SEQUENCE_REPLAYED',
                        jsonb_build_object('acknowledged_sequence', last_sequence),
                        last_sequence
                    )
            else
                needletail_refuse(
                    'SEQUENCE_GAP',
                    jsonb_build_object('expected_sequence', last_sequence + 1),
                    last_sequence
                )
        end
$$;

-- The points of one metric from one batch, in columns: index i of every column is one point.
-- Steps are first_step + i * step_stride where they are regular, else first_step +
-- step_offsets[i], else (too far apart for 32 bits) steps[i]; times, in microseconds since
-- 1970, the same way. Never updated. Watchers tail it by `xid`, like events.
create table metric_chunks (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    key text collate "C" not null,
    epoch bigint not null default 0,
    xid xid8 not null default pg_current_xact_id(),
    point_count bigint not null,
    min_step bigint not null,
    max_step bigint not null,
    first_step bigint not null,
    step_stride bigint,
    first_time_us bigint not null,
    time_stride_us bigint,
    -- NaN where every value is.
    min_value double precision not null,
    max_value double precision not null,
    -- squawk-ignore prefer-bigint-over-int
    step_offsets integer[] compression lz4,
    steps bigint[] compression lz4,
    -- squawk-ignore prefer-bigint-over-int
    time_offsets_us integer[] compression lz4,
    times_us bigint[] compression lz4,
    point_values double precision[] compression lz4 not null,
    constraint metric_chunks_pkey primary key (organization_id, id),
    constraint metric_chunks_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint metric_chunks_key_check check (octet_length(key) between 1 and 250),
    constraint metric_chunks_epoch_check check (epoch >= 0),
    constraint metric_chunks_point_count_check check (point_count between 1 and 100000),
    constraint metric_chunks_max_step_check check (max_step >= min_step),
    constraint metric_chunks_steps_check
    check (
        num_nonnulls(step_stride, step_offsets, steps) = 1
        and coalesce(cardinality(step_offsets), cardinality(steps), point_count) = point_count
    ),
    constraint metric_chunks_times_us_check
    check (
        num_nonnulls(time_stride_us, time_offsets_us, times_us) = 1
        and coalesce(cardinality(time_offsets_us), cardinality(times_us), point_count)
        = point_count
    ),
    constraint metric_chunks_point_values_check check (cardinality(point_values) = point_count)
) partition by range (id);
create index idx_run_metrics_run_name
on metric_chunks (organization_id, run_id, key, min_step, id);
create index idx_metric_chunks_run_xid on metric_chunks (organization_id, run_id, xid, id);

-- What a run's metric came to, kept for search and for good: points age out, this stays. The
-- last point is the greatest by (step, time, value).
create table run_metric_summaries (
    organization_id uuid not null,
    run_id uuid not null,
    key text collate "C" not null,
    point_count bigint not null,
    first_step bigint not null,
    last_step bigint not null,
    last_time_us bigint not null,
    last_value double precision not null,
    -- NaN where every value is.
    min_value double precision not null,
    max_value double precision not null,
    constraint run_metric_summaries_pkey primary key (organization_id, run_id, key),
    constraint run_metric_summaries_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_metric_summaries_key_check check (octet_length(key) between 1 and 250),
    constraint run_metric_summaries_point_count_check check (point_count > 0),
    constraint run_metric_summaries_last_step_check check (last_step >= first_step)
) with (fillfactor = 70);

-- A point a row, exact duplicates once.
create view run_metrics with (security_invoker = true) as
select distinct
    chunk.organization_id,
    chunk.run_id,
    chunk.key as metric_name,
    chunk.epoch,
    coalesce(
        point.step,
        chunk.first_step + point.step_offset,
        chunk.first_step + chunk.step_stride * (point.ordinal - 1)
    ) as step,
    needletail_time(
        coalesce(
            point.time_us,
            chunk.first_time_us + point.time_offset_us,
            chunk.first_time_us + chunk.time_stride_us * (point.ordinal - 1)
        )
    ) as "timestamp",
    point.value
from metric_chunks as chunk
cross join lateral unnest(
    chunk.point_values, chunk.step_offsets, chunk.steps,
    chunk.time_offsets_us, chunk.times_us
) with ordinality
    as point (value, step_offset, step, time_offset_us, time_us, ordinal);

select needletail_isolate('metric_writers');
select needletail_isolate('metric_chunks');
select needletail_isolate('run_metric_summaries');

grant select, insert, update on metric_writers, run_metric_summaries to needletail_app;
grant select, insert on metric_chunks to needletail_app;
grant select on run_metrics to needletail_app, needletail_maintenance;
grant select, insert, update, delete on metric_writers, metric_chunks, run_metric_summaries
to needletail_maintenance;

select needletail_ensure_partitions(3);
