-- How far a writer has come, without waiting for what it is still committing.
-- name: getWriter :optional
select
    last_sequence,
    updated_at
from writers
where organization_id = :organization_id and writer_id = :writer_id;

-- A page of a run's metric summaries, by key, after `after_key` (empty: from the first).
-- name: listMetricSummaries :many
select
    key,
    point_count,
    first_step,
    last_step,
    last_time_us,
    last_value,
    min_value,
    max_value,
    number_count,
    value_sum,
    min_step,
    max_step
from run_metric_summaries
where
    organization_id = :organization_id
    and run_id = :run_id
    and key > :after_key
order by key
limit :page_size::bigint;

-- A page of one metric's chunks in the order (min_step, id), after (after_min_step, after_id), up
-- to the one with which they have points_max points. Once a chunk has come, no later one has a
-- smaller step than its min_step: a reader that holds the chunks which overlap merges them in one
-- pass. From the first: the least bigint and the nil UUID. Chunks that end before from_step are
-- left out, those of epochs after current_epoch (opened since the reader began), and unless
-- includes_shadowed those that a later epoch shadows whole; one that it shadows in part comes, for
-- the reader to cut.
-- name: listChunksByStep :many
select
    page.id,
    page.epoch,
    page.point_count,
    page.min_step,
    page.max_step,
    -- part: page_points
    page.first_step,
    page.step_stride,
    page.step_offsets,
    page.steps,
    page.first_time_us,
    page.time_stride_us,
    page.time_offsets_us,
    page.time_lows,
    page.time_highs,
    page.times_us,
    page.point_values,
    -- end of page_points
    page.place = page.chunk_count and page.chunk_count < :page_size::bigint as "is_last!",
    pg_current_snapshot()::text as "snapshot!"
from (
    select
        found.id,
        found.epoch,
        found.point_count,
        found.min_step,
        found.max_step,
        -- part: found_points
        found.first_step,
        found.step_stride,
        found.step_offsets,
        found.steps,
        found.first_time_us,
        found.time_stride_us,
        found.time_offsets_us,
        found.time_lows,
        found.time_highs,
        found.times_us,
        found.point_values,
        row_number() over whole as place,
        count(*) over () as chunk_count,
        sum(found.point_count) over whole - found.point_count as points_before
        -- end of found_points
    from (
        select
            chunk.id,
            chunk.epoch,
            chunk.point_count,
            chunk.min_step,
            chunk.max_step,
            -- part: chunk_points
            chunk.first_step,
            chunk.step_stride,
            chunk.step_offsets,
            chunk.steps,
            chunk.first_time_us,
            chunk.time_stride_us,
            chunk.time_offsets_us,
            chunk.time_lows,
            chunk.time_highs,
            chunk.times_us,
            chunk.point_values
            -- end of chunk_points
        from metric_chunks as chunk
        where
            chunk.organization_id = :organization_id
            and chunk.run_id = :run_id
            and chunk.key = :key
            and (chunk.min_step, chunk.id) > (:after_min_step::bigint, :after_id::uuid)
            and chunk.max_step >= :from_step::bigint
            and chunk.epoch <= :current_epoch::bigint
            and (
                :includes_shadowed::boolean
                or not exists (
                    select
                    from run_epochs as newer
                    where
                        newer.organization_id = :organization_id
                        and newer.run_id = :run_id
                        and newer.epoch > chunk.epoch
                        and newer.epoch <= :current_epoch::bigint
                        and newer.from_step <= chunk.min_step
                )
            )
        order by chunk.min_step, chunk.id
        limit :page_size::bigint
    ) as found
    window whole as (order by found.min_step, found.id rows unbounded preceding)
) as page
where page.points_before < :points_max::bigint
order by page.min_step, page.id;

-- Whether chunks of a metric were merged after a snapshot, which is what a reader between two pages
-- of them has to know; and the snapshot of now.
-- name: getMerges :one
select
    pg_current_snapshot()::text as "snapshot!",
    exists(
        select chunk.id
        from metric_chunks as chunk
        where
            chunk.organization_id = :organization_id
            and chunk.run_id = :run_id
            and chunk.key = :key
            and chunk.merged_xid is not null
            and not pg_visible_in_snapshot(
                chunk.merged_xid, (:since_snapshot::text)::pg_snapshot
            )
    ) as "has_merged!";

-- The epoch that a run is in.
-- name: getCurrentEpoch :one
select coalesce(max(epoch), 0) as "epoch!"
from run_epochs
where organization_id = :organization_id and run_id = :run_id;

-- A page of the epochs of a run after the first, behind `after_epoch`.
-- name: listEpochs :many
select
    epoch,
    from_step,
    writer_id,
    opened_at
from run_epochs
where
    organization_id = :organization_id
    and run_id = :run_id
    and epoch > :after_epoch::bigint
order by epoch
limit :page_size::bigint;

-- The epochs of a run that a snapshot sees, and whether another one did not yet.
-- name: listEpochsSeen :many
select
    epoch,
    from_step,
    writer_id,
    opened_at,
    not pg_visible_in_snapshot(xid, (:since_snapshot::text)::pg_snapshot) as "is_new!"
from run_epochs
where
    organization_id = :organization_id
    and run_id = :run_id
    and pg_visible_in_snapshot(xid, (:until_snapshot::text)::pg_snapshot)
order by epoch;

-- What a watcher may read up to now, and on which cluster and timeline; not on a standby.
-- name: getSnapshot :one
select
    pg_current_snapshot()::text as "snapshot!",
    needletail_cluster_id() as "cluster_id!";

-- The run, if its last change lies between two snapshots; one that is newer still comes next time.
-- name: getRunChange :optional
select part('run_columns')
from runs as run
where
    run.organization_id = :organization_id
    and run.id = :run_id
    and run.deleted_at is null
    and not pg_visible_in_snapshot(run.xid, (:since_snapshot::text)::pg_snapshot)
    and pg_visible_in_snapshot(run.xid, (:until_snapshot::text)::pg_snapshot);

-- A page of the chunks of a run that were committed between two snapshots, after (after_xid,
-- after_id), up to the one with which they have points_max points: what `until_snapshot` sees and
-- `since_snapshot` did not. From the first: '0' and the nil UUID; all of history: since '1:1:'. A
-- merged chunk is split where the watcher may have seen some of what it was made from, but not all:
-- not where it was merged before the watcher began to read, or had read it whole.
-- name: listChunksBetween :many
select
    page.id,
    page.xid::text as "xid!",
    page.key,
    page.epoch,
    page.point_count,
    part('page_points'),
    coalesce(
        page.first_xid <= (:after_xid::text)::xid8
        and not pg_visible_in_snapshot(page.merged_xid, (:until_snapshot::text)::pg_snapshot)
        or page.first_xid < pg_snapshot_xmax((:since_snapshot::text)::pg_snapshot),
        false
    ) as "is_split!",
    page.place = page.chunk_count and page.chunk_count < :page_size::bigint as "is_last!"
from (
    select
        found.id,
        found.xid,
        found.first_xid,
        found.merged_xid,
        found.key,
        found.epoch,
        found.point_count,
        part('found_points')
    from (
        select
            chunk.id,
            chunk.xid,
            chunk.first_xid,
            chunk.merged_xid,
            chunk.key,
            chunk.epoch,
            chunk.point_count,
            part('chunk_points')
        from metric_chunks as chunk
        where
            chunk.organization_id = :organization_id
            and chunk.run_id = :run_id
            and chunk.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
            and (chunk.xid, chunk.id) > ((:after_xid::text)::xid8, :after_id::uuid)
            and (
                not pg_visible_in_snapshot(
                    chunk.merged_xid, (:since_snapshot::text)::pg_snapshot
                )
                or not pg_visible_in_snapshot(
                    chunk.xid, (:since_snapshot::text)::pg_snapshot
                )
            )
            and pg_visible_in_snapshot(chunk.xid, (:until_snapshot::text)::pg_snapshot)
        order by chunk.xid, chunk.id
        limit :page_size::bigint
    ) as found
    window whole as (order by found.xid, found.id rows unbounded preceding)
) as page
where page.points_before < :points_max::bigint
order by page.xid, page.id;
