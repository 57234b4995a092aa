-- What whoever follows an experiment is told: what `until_snapshot` sees and `since_snapshot` did
-- not. All of history: since '1:1:'.

-- A page of the runs whose last change lies between, also of those that were deleted, after
-- (after_xid, after_id); one that changes meanwhile comes next time. From the first: '0' and the
-- nil UUID.
-- name: listRunChanges :many
select
    part('run_columns'),
    run.deleted_at is not null as "is_gone!",
    run.xid::text as "xid!"
from runs as run
where
    run.organization_id = :organization_id
    and run.experiment_id = :experiment_id
    and run.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
    and (run.xid, run.id) > ((:after_xid::text)::xid8, :after_id::uuid)
    and not pg_visible_in_snapshot(run.xid, (:since_snapshot::text)::pg_snapshot)
    and pg_visible_in_snapshot(run.xid, (:until_snapshot::text)::pg_snapshot)
order by run.xid, run.id
limit :page_size::bigint;

-- A page of the runs that were moved out, by id, after after_run_id.
-- name: listRunDepartures :many
select departure.run_id
from run_departures as departure
where
    departure.organization_id = :organization_id
    and departure.experiment_id = :experiment_id
    and departure.run_id > :after_run_id
    and departure.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
    and not pg_visible_in_snapshot(departure.xid, (:since_snapshot::text)::pg_snapshot)
    and pg_visible_in_snapshot(departure.xid, (:until_snapshot::text)::pg_snapshot)
order by departure.run_id
limit :page_size::bigint;

-- The runs that take points now, the newest first.
-- name: listOpenRuns :many
select run.id
from runs as run
where
    run.organization_id = :organization_id
    and run.experiment_id = :experiment_id
    -- The index has those that have no end.
    and run.completed_at is null
    and run.status in ('scheduled', 'running')
    and run.deleted_at is null
order by run.id desc
limit :page_size::bigint;

-- A page of the runs that have points of one of `keys` or opened an epoch between, by id, from
-- from_run_id on. A run that has ended took none after its last change: only those are looked at
-- that go on or changed.
-- name: listRunsWithPoints :many
select run.id
from runs as run
where
    run.organization_id = :organization_id
    and run.experiment_id = :experiment_id
    and run.deleted_at is null
    and run.id >= :from_run_id
    and (
        (run.completed_at is null and run.status in ('scheduled', 'running'))
        or (
            run.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
            and not pg_visible_in_snapshot(run.xid, (:since_snapshot::text)::pg_snapshot)
        )
    )
    and (
        exists (
            select
            from metric_chunks as chunk
            where
                chunk.organization_id = :organization_id
                and chunk.run_id = run.id
                and chunk.key = any(:keys::text[])
                and chunk.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
                and (
                    not pg_visible_in_snapshot(
                        chunk.merged_xid, (:since_snapshot::text)::pg_snapshot
                    )
                    or not pg_visible_in_snapshot(
                        chunk.xid, (:since_snapshot::text)::pg_snapshot
                    )
                )
                and pg_visible_in_snapshot(chunk.xid, (:until_snapshot::text)::pg_snapshot)
        )
        or exists (
            select
            from run_epochs as opened
            where
                opened.organization_id = :organization_id
                and opened.run_id = run.id
                and not pg_visible_in_snapshot(opened.xid, (:since_snapshot::text)::pg_snapshot)
                and pg_visible_in_snapshot(opened.xid, (:until_snapshot::text)::pg_snapshot)
        )
    )
order by run.id
limit :page_size::bigint;

-- The epochs of some runs that a snapshot sees, by run, and whether another one did not yet.
-- name: listEpochsOfRuns :many
select
    opened.run_id,
    opened.epoch,
    opened.from_step,
    opened.writer_id,
    opened.opened_at,
    not pg_visible_in_snapshot(opened.xid, (:since_snapshot::text)::pg_snapshot) as "is_new!"
from run_epochs as opened
where
    opened.organization_id = :organization_id
    and opened.run_id = any(:run_ids::uuid[])
    and pg_visible_in_snapshot(opened.xid, (:until_snapshot::text)::pg_snapshot)
order by opened.run_id, opened.epoch;

-- A page of those points' chunks of some runs, after the chunk (after_xid, after_id) of the run
-- after_run_id, by run, then in the order of their commits, up to the one with which they have
-- points_max points. From the first: that run's '0' and the nil UUID. A merged chunk is split where
-- the watcher may have seen some of what it was made from, but not all: not where it was merged
-- before the watcher began to read, or had read it whole.
-- name: listChunksOfRuns :many
select
    page.id,
    page.run_id,
    page.xid::text as "xid!",
    page.key,
    page.epoch,
    page.point_count,
    part('page_points'),
    coalesce(
        page.run_id = :after_run_id
        and page.first_xid <= (:after_xid::text)::xid8
        and not pg_visible_in_snapshot(page.merged_xid, (:until_snapshot::text)::pg_snapshot)
        or page.first_xid < pg_snapshot_xmax((:since_snapshot::text)::pg_snapshot),
        false
    ) as "is_split!",
    page.place = page.chunk_count and page.chunk_count < :page_size::bigint as "is_last!"
from (
    select
        found.id,
        found.run_id,
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
            chunk.run_id,
            chunk.xid,
            chunk.first_xid,
            chunk.merged_xid,
            chunk.key,
            chunk.epoch,
            chunk.point_count,
            part('chunk_points')
        from
            unnest(:run_ids::uuid[]) as wanted (run_id),
            lateral (
                select
                    one.id,
                    one.run_id,
                    one.xid,
                    one.first_xid,
                    one.merged_xid,
                    one.key,
                    one.epoch,
                    one.point_count,
                    one.first_step,
                    one.step_stride,
                    one.step_offsets,
                    one.steps,
                    one.first_time_us,
                    one.time_stride_us,
                    one.time_offsets_us,
                    one.time_lows,
                    one.time_highs,
                    one.times_us,
                    one.point_values
                from metric_chunks as one
                where
                    one.organization_id = :organization_id
                    and one.run_id = wanted.run_id
                    and one.key = any(:keys::text[])
                    and one.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
                    and (
                        wanted.run_id > :after_run_id
                        or (one.xid, one.id) > ((:after_xid::text)::xid8, :after_id::uuid)
                    )
                    and (
                        not pg_visible_in_snapshot(
                            one.merged_xid, (:since_snapshot::text)::pg_snapshot
                        )
                        or not pg_visible_in_snapshot(
                            one.xid, (:since_snapshot::text)::pg_snapshot
                        )
                    )
                    and pg_visible_in_snapshot(one.xid, (:until_snapshot::text)::pg_snapshot)
                order by one.xid, one.id
                limit :page_size::bigint
            ) as chunk
        where wanted.run_id >= :after_run_id
        order by chunk.run_id, chunk.xid, chunk.id
        limit :page_size::bigint
    ) as found
    window whole as (order by found.run_id, found.xid, found.id rows unbounded preceding)
) as page
where page.points_before < :points_max::bigint
order by page.run_id, page.xid, page.id;

-- The summaries of some metrics of some runs, as they are now.
-- name: listSummariesOfRuns :many
select
    summary.run_id,
    summary.key,
    summary.point_count,
    summary.first_step,
    summary.last_step,
    summary.last_time_us,
    summary.last_value,
    summary.min_value,
    summary.max_value,
    summary.number_count,
    summary.value_sum
from run_metric_summaries as summary
where
    summary.organization_id = :organization_id
    and summary.run_id = any(:run_ids::uuid[])
    and summary.key = any(:keys::text[])
order by summary.run_id, summary.key;

-- The projects of runs that are not deleted, or `include_deleted`.
-- name: listProjectsOfRuns :many
select
    run.id as "id!",
    run.project_id as "project_id!"
from
    unnest(:run_ids::uuid[]) as asked (id),
    -- A look for each, as in requireRunningRuns.
    lateral (
        select
            stored.id,
            stored.project_id
        from runs as stored
        where
            stored.organization_id = :organization_id
            and stored.id = asked.id
            and (:include_deleted or stored.deleted_at is null)
        limit 1  -- noqa: AM09
    ) as run;
