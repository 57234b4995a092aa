-- Metrics in buckets.

-- The first and last step of what runs have logged under keys, of those that have.
-- name: listMetricExtents :many
select
    summary.run_id,
    summary.key,
    summary.first_step,
    summary.last_step
from run_metric_summaries as summary
where
    summary.organization_id = :organization_id
    and summary.run_id = any(:run_ids::uuid[])
    and summary.key = any(:keys::text[]);

-- Which parts the buckets of a metric are made of, for a grid of 2^exponent steps: one for each
-- chunk that overlaps the steps. Its finest rollup that is no finer than that grid needs is
-- `rollup_exponent`, 0 = its points. Where points are gone and only coarser rollups are left, it is
-- the finest of those. A part is told by id and the transaction that merged it.
-- name: planBuckets :many
with rollups as (
    select distinct on (rollup.id)
        rollup.id,
        rollup.exponent,
        rollup.merged_xid,
        rollup.epoch,
        rollup.max_step
    from metric_rollups as rollup
    where
        rollup.organization_id = :organization_id
        and rollup.run_id = :run_id
        and rollup.key = :key
        and not rollup.by_time
        and rollup.min_step <= :to_step::bigint
        and rollup.max_step >= :from_step::bigint
    order by
        rollup.id,
        rollup.exponent > :exponent::bigint,
        abs(rollup.exponent - :exponent::bigint)
),

chunks as (
    select
        chunk.id,
        chunk.merged_xid,
        chunk.point_count,
        chunk.epoch,
        chunk.max_step
    from metric_chunks as chunk
    where
        chunk.organization_id = :organization_id
        and chunk.run_id = :run_id
        and chunk.key = :key
        and chunk.min_step <= :to_step::bigint
        and chunk.max_step >= :from_step::bigint
)

select
    -- part: bucket_columns
    coalesce(chunks.id, rollups.id) as "id!",
    coalesce(coalesce(chunks.merged_xid, rollups.merged_xid)::text, '') as "merged_xid!",
    coalesce(chunks.epoch, rollups.epoch) as "epoch!",
    coalesce(chunks.max_step, rollups.max_step) as "max_step!",
    case
        when chunks.id is null or rollups.exponent <= :exponent::bigint
            then coalesce(rollups.exponent, 0)
        else 0
    end as "rollup_exponent!",
    coalesce(chunks.point_count, 0) as "point_count!"
    -- end of bucket_columns
from chunks
full join rollups on chunks.id = rollups.id
order by coalesce(chunks.id, rollups.id)
limit :part_count::bigint;

-- The same by time, for a grid of 2^exponent microseconds. A chunk that was not merged yet does not
-- know its times, and may have any.
-- name: planBucketsByTime :many
with rollups as (
    select distinct on (rollup.id)
        rollup.id,
        rollup.exponent,
        rollup.merged_xid,
        rollup.epoch,
        rollup.max_step
    from metric_rollups as rollup
    where
        rollup.organization_id = :organization_id
        and rollup.run_id = :run_id
        and rollup.key = :key
        and rollup.by_time
        and rollup.min_time_us <= :to_time_us::bigint
        and rollup.max_time_us >= :from_time_us::bigint
    order by
        rollup.id,
        rollup.exponent > :exponent::bigint,
        abs(rollup.exponent - :exponent::bigint)
),

chunks as (
    select
        chunk.id,
        chunk.merged_xid,
        chunk.point_count,
        chunk.epoch,
        chunk.max_step
    from metric_chunks as chunk
    where
        chunk.organization_id = :organization_id
        and chunk.run_id = :run_id
        and chunk.key = :key
        and coalesce(chunk.min_time_us <= :to_time_us::bigint, true)
        and coalesce(chunk.max_time_us >= :from_time_us::bigint, true)
)

select part('bucket_columns')
from chunks
full join rollups on chunks.id = rollups.id
order by coalesce(chunks.id, rollups.id)
limit :part_count::bigint;

-- The least and the greatest time of what runs have logged under keys, with what is shadowed;
-- nothing where they logged nothing.
-- name: getTimeExtent :many
with wanted as (
    select
        run.id,
        metric.key
    from unnest(:run_ids::uuid[]) as run (id)
    cross join unnest(:keys::text[]) as metric (key)
),

known as (
    select
        coalesce(chunk.min_time_us, found.min_time_us) as min_time_us,
        coalesce(chunk.max_time_us, found.max_time_us) as max_time_us
    from wanted
    inner join metric_chunks as chunk
        on
            chunk.organization_id = :organization_id
            and wanted.id = chunk.run_id
            and wanted.key = chunk.key
    left join lateral (
        select
            min(point.time_us) as min_time_us,
            max(point.time_us) as max_time_us
        from needletail_points(chunk.*) as point
        where chunk.min_time_us is null
    ) as found on true
    union all
    select
        rollup.min_time_us,
        rollup.max_time_us
    from wanted
    inner join metric_rollups as rollup
        on
            rollup.organization_id = :organization_id
            and wanted.id = rollup.run_id
            and wanted.key = rollup.key
    where rollup.by_time
)

select
    min(known.min_time_us) as "min_time_us!",
    max(known.max_time_us) as "max_time_us!"
from known
having count(*) > 0;

-- Rollups of chunks, each at its own exponent. Those that were merged again meanwhile are not the
-- ones that were asked for.
-- name: listRollups :many
select
    rollup.epoch,
    rollup.exponent,
    rollup.cells,
    rollup.point_counts,
    rollup.nan_counts,
    rollup.min_values,
    rollup.min_steps,
    rollup.max_values,
    rollup.max_steps,
    rollup.sums,
    rollup.first_steps,
    rollup.first_times_us,
    rollup.first_values,
    rollup.last_steps,
    rollup.last_times_us,
    rollup.last_values,
    rollup.min_times_us,
    rollup.max_times_us
from
    unnest(
        :ids::uuid[], :exponents::bigint[], :merged_xids::text[]
    )
        as wanted (id, exponent, merged_xid)
inner join metric_rollups as rollup
    on
        rollup.organization_id = :organization_id
        and wanted.id = rollup.id
        and rollup.by_time = :by_time::boolean
        and wanted.exponent = rollup.exponent
        and wanted.merged_xid = rollup.merged_xid::text;

-- Chunks by id, except those that were merged meanwhile.
-- name: listChunksByID :many
select
    chunk.epoch,
    chunk.point_count,
    part('chunk_points')
from unnest(:ids::uuid[], :merged_xids::text[]) as wanted (id, merged_xid)
inner join metric_chunks as chunk
    on
        chunk.organization_id = :organization_id
        and wanted.id = chunk.id
        and wanted.merged_xid = coalesce(chunk.merged_xid::text, '');
