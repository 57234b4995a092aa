-- Log lines. They are stored with the writer's and the runs' statements of metric_appends.sql: for
-- every group of consecutive batches one transaction of advanceWriter, requireRunningRuns and
-- insertLogChunk, once a chunk.
--
-- Lines are chosen by `level_mask` (bit n: lines of level n), `streams` and `ranks` (empty: any),
-- [from_us, until_us) and `contains` (ignoring case; empty: any). Row security lets only the
-- chunks' run, id and time be looked up by an index or before the policy; the rest is filtered.

-- Stores lines of one process of a run.
-- name: insertLogChunk :exec
insert into log_chunks (
    organization_id, id, run_id, rank, line_count, min_time_us, max_time_us, level_mask, times_us,
    levels, streams, texts
)
values (
    :organization_id, :id, :run_id, :rank, :line_count, :min_time_us, :max_time_us, :level_mask,
    :times_us, :levels, :streams, :texts
);

-- Lines of a run, oldest first, after line `after_number` of chunk `after_id` (from the first: 0
-- and the nil UUID).
-- name: listLogLines :many
select
    chunk.id,
    -- part: log_line_columns
    line.line_number as "line_number!",
    chunk.rank,
    line.time_us as "time_us!",
    line.level::bigint as "level!",
    line.stream as "stream!",
    line.text as "text!"
    -- end of log_line_columns
from log_chunks as chunk
cross join
    lateral unnest(
        chunk.texts, chunk.times_us, chunk.levels, chunk.streams
    ) with ordinality
        as line (text, time_us, level, stream, line_number)
where
    chunk.organization_id = :organization_id
    and chunk.run_id = :run_id
    and chunk.id >= :after_id::uuid
    and (chunk.id > :after_id::uuid or line.line_number > :after_number::bigint)
    -- part: log_line_filter
    and chunk.max_time_us >= :from_us::bigint
    and chunk.min_time_us < :until_us::bigint
    and chunk.level_mask & :level_mask::bigint <> 0
    and (cardinality(:ranks::bigint[]) = 0 or chunk.rank = any(:ranks::bigint[]))
    and line.time_us >= :from_us::bigint
    and line.time_us < :until_us::bigint
    and (1::bigint << line.level) & :level_mask::bigint <> 0
    and (cardinality(:streams::text[]) = 0 or line.stream = any(:streams::text[]))
    and (:contains::text = '' or position(lower(:contains::text) in lower(line.text)) > 0)
    -- end of log_line_filter
order by chunk.id, line.line_number
limit :page_size::bigint;

-- The same, newest first, before line `before_number` of chunk `before_id` (from the last: the
-- greatest of both).
-- name: listLogLinesBackwards :many
select
    chunk.id,
    part('log_line_columns')
from log_chunks as chunk
cross join
    lateral unnest(
        chunk.texts, chunk.times_us, chunk.levels, chunk.streams
    ) with ordinality
        as line (text, time_us, level, stream, line_number)
where
    chunk.organization_id = :organization_id
    and chunk.run_id = :run_id
    and chunk.id <= :before_id::uuid
    and (chunk.id < :before_id::uuid or line.line_number < :before_number::bigint)
    and part('log_line_filter')
order by chunk.id desc, line.line_number desc
limit :page_size::bigint;

-- Lines of a run that were committed between two snapshots, after line `after_number` of
-- (after_xid, after_id): what `until_snapshot` sees and `since_snapshot` did not. From the first:
-- '0', the nil UUID and 0; all of history: since '1:1:'.
-- name: listLogLinesBetween :many
select
    chunk.id,
    chunk.xid::text as "xid!",
    part('log_line_columns')
from log_chunks as chunk
cross join
    lateral unnest(
        chunk.texts, chunk.times_us, chunk.levels, chunk.streams
    ) with ordinality
        as line (text, time_us, level, stream, line_number)
where
    chunk.organization_id = :organization_id
    and chunk.run_id = :run_id
    and chunk.xid >= pg_snapshot_xmin((:since_snapshot::text)::pg_snapshot)
    and (chunk.xid, chunk.id) >= ((:after_xid::text)::xid8, :after_id::uuid)
    and (chunk.id <> :after_id::uuid or line.line_number > :after_number::bigint)
    and not pg_visible_in_snapshot(chunk.xid, (:since_snapshot::text)::pg_snapshot)
    and pg_visible_in_snapshot(chunk.xid, (:until_snapshot::text)::pg_snapshot)
    and part('log_line_filter')
order by chunk.xid, chunk.id, line.line_number
limit :page_size::bigint;
