-- How far a writer has come, without waiting for what it is still committing.
-- name: getWriter :optional
select
    last_sequence,
    updated_at
from metric_writers
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
    value_sum
from run_metric_summaries
where
    organization_id = :organization_id
    and run_id = :run_id
    and key > :after_key
order by key
limit :page_size::bigint;

-- A page of one metric's chunks in the order (min_step, id), after (after_min_step, after_id).
-- Once a chunk has come, no later one has a smaller step than its min_step: a reader that holds
-- the chunks which overlap merges them in one pass. From the first: the least bigint and the nil
-- UUID. Chunks that end before from_step are left out, those of epochs after current_epoch (opened
-- since the reader began), and unless includes_shadowed those that a later epoch shadows whole; one
-- that it shadows in part comes, for the reader to cut.
-- name: listChunksByStep :many
select
    id,
    epoch,
    point_count,
    min_step,
    max_step,
    first_step,
    step_stride,
    step_offsets,
    steps,
    first_time_us,
    time_stride_us,
    time_offsets_us,
    times_us,
    point_values
from metric_chunks
where
    organization_id = :organization_id
    and run_id = :run_id
    and key = :key
    and (min_step, id) > (:after_min_step::bigint, :after_id::uuid)
    and max_step >= :from_step::bigint
    and epoch <= :current_epoch::bigint
    and (
        :includes_shadowed::boolean
        or not exists (
            select
            from run_epochs as newer
            where
                newer.organization_id = :organization_id
                and newer.run_id = :run_id
                and newer.epoch > metric_chunks.epoch
                and newer.epoch <= :current_epoch::bigint
                and newer.from_step <= metric_chunks.min_step
        )
    )
order by min_step, id
limit :page_size::bigint;

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
select
    run.id,
    run.experiment_id,
    run.project_id,
    run.name,
    run.description,
    run.status,
    run.started_at,
    run.completed_at,
    run.duration_ms,
    run.created_by,
    run.created_at,
    run.updated_at,
    run.revision,
    run.parent_run_id,
    needletail_source_texts(run.source) as "source?",
    run.forked_from_run_id,
    run.forked_at_step,
    run.is_pinned,
    run.archived_at
from runs as run
where
    run.organization_id = :organization_id
    and run.id = :run_id
    and run.deleted_at is null
    and not pg_visible_in_snapshot(run.xid, (:since_snapshot::text)::pg_snapshot)
    and pg_visible_in_snapshot(run.xid, (:until_snapshot::text)::pg_snapshot);

-- A page of the chunks of a run that were committed between two snapshots, after (after_xid,
-- after_id): what `until_snapshot` sees and `since_snapshot` did not. From the first: '0' and the
-- nil UUID; all of history: since '1:1:'.
-- name: listChunksBetween :many
select
    id,
    xid::text as "xid!",
    key,
    epoch,
    point_count,
    first_step,
    step_stride,
    step_offsets,
    steps,
    first_time_us,
    time_stride_us,
    time_offsets_us,
    times_us,
    point_values
from metric_chunks
where
    organization_id = :organization_id
    and run_id = :run_id
    and xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
    and (xid, id) > ((:after_xid::text)::xid8, :after_id::uuid)
    and not pg_visible_in_snapshot(xid, (:since_snapshot::text)::pg_snapshot)
    and pg_visible_in_snapshot(xid, (:until_snapshot::text)::pg_snapshot)
order by xid, id
limit :page_size::bigint;
