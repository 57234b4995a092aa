-- Makes the monthly partitions up to `months_ahead` months (0 to 60) from now; says how many
-- were missing. Maintenance only.
-- name: ensurePartitions :one
select needletail_ensure_partitions(:months_ahead::integer) as "made!";

-- Every partition of every partitioned table, with its bounds and rough size.
-- name: listPartitions :many
select
    parent.relname::text as "table_name!",
    child.relname::text as "partition_name!",
    pg_get_expr(child.relpartbound, child.oid) as "bounds!",
    greatest(child.reltuples, 0)::bigint as "estimated_rows!",
    pg_total_relation_size(child.oid) as "size_bytes!"
from pg_inherits as inheritance
inner join pg_class as parent on inheritance.inhparent = parent.oid
inner join pg_class as child on inheritance.inhrelid = child.oid
where
    parent.relnamespace = 'public'::regnamespace
    and parent.relkind = 'p' and child.relkind = 'r'
order by parent.relname, child.relname;

-- Deletes one batch of idempotency records from before `before`; says how many. Maintenance only.
-- name: deleteIdempotencyRecords :one
with deleted as (
    delete from idempotency_records
    where
        (organization_id, principal_id, key) in (
            select
                expired.organization_id,
                expired.principal_id,
                expired.key
            from idempotency_records as expired
            where not expired.is_permanent and expired.created_at < :before
            order by expired.created_at
            limit :batch_size
            for update skip locked
        )
    returning 1
)

select count(*) as "deleted!" from deleted;

-- Removes for good one batch of what cannot be recovered since `before`; says how many rows went:
-- 0 when none is left, or while another server does it. Maintenance only.
-- name: purge :one
select needletail_purge(:before, :batch_size::bigint) as "removed!";

-- Takes a task of upkeep for one server and for `lease_us` microseconds, if nobody has it and it
-- began at least `interval_us` ago the last time, or never. Maintenance only.
-- name: claimTask :optional
insert into maintenance_tasks as task (name, leased_by, leased_until, started_at)
values (
    :name, :server_id, now() + :lease_us::bigint * interval '1 microsecond', now()
)
on conflict (name) do update
    set
        leased_by = excluded.leased_by,
        leased_until = excluded.leased_until,
        started_at = excluded.started_at
    where
    (task.leased_until is null or task.leased_until < now())
    and (
        task.started_at is null
        or task.started_at <= now() - :interval_us::bigint * interval '1 microsecond'
    )
returning task.name;

-- Keeps a task for longer; nothing when another server has it by now. Maintenance only.
-- name: renewTask :optional
update maintenance_tasks
set leased_until = now() + :lease_us::bigint * interval '1 microsecond'
where name = :name and leased_by = :server_id
returning name;

-- Gives a task back with what it came to; error is null when it was done. Maintenance only.
-- name: finishTask :exec
update maintenance_tasks
set
    leased_by = null,
    leased_until = null,
    finished_at = now(),
    row_count = :row_count::bigint,
    error = :error?::text,
    succeeded_at = case when :error?::text is null then now() else succeeded_at end
where name = :name and leased_by = :server_id;

-- Every task of upkeep that any server has begun, by name. Maintenance only.
-- name: listTasks :many
select
    name,
    leased_by,
    leased_until > now() as "is_running?",
    started_at,
    finished_at,
    row_count,
    error,
    succeeded_at
from maintenance_tasks
order by name;
