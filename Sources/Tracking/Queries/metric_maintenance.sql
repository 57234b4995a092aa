-- Upkeep of points.

-- Merges one batch of chunks that came before `before`; says how many it looked at: 0 when none is
-- left, or while another server does it. Maintenance only.
-- name: compactMetrics :one
select needletail_compact_metrics(:before, :batch_size::bigint) as "chunks!";

-- Settles one batch of the last values that changed before a time, so that the index of searches
-- has them; says how many. Maintenance only.
-- name: settleMetrics :one
select needletail_settle_metrics(:before, :batch_size::bigint) as "values!";

-- Removes one batch of points, then of rollups, whose time is over; says how many rows went.
-- Maintenance only.
-- name: expireMetrics :one
select
    needletail_expire_metrics(
        :points_before, :rollups_before, :batch_size::bigint
    ) as "removed!";

-- Drops one empty partition of the past; says how many. Maintenance only.
-- name: dropEmptyPartition :one
select needletail_drop_empty_partition(:points_before, :rollups_before) as "dropped!";
