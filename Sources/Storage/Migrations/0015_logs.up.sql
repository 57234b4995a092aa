-- Log lines, in chunks.
set local role needletail_owner;

-- The lines of one process of a run from one batch or some consecutive ones, in columns: index i
-- of every column is one line. Times are microseconds since 1970. Never updated. Watchers tail it
-- by `xid`, like events. A reader passes over chunks by what is said of all their lines: the
-- times' bounds, and level_mask, whose bit n says that lines of level n are there.
create table log_chunks (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    rank bigint not null,
    line_count bigint not null,
    min_time_us bigint not null,
    max_time_us bigint not null,
    level_mask bigint not null,
    times_us bigint[] compression lz4 not null,
    -- squawk-ignore prefer-bigint-over-int
    levels integer[] compression lz4 not null,
    streams text[] compression lz4 not null,
    texts text[] compression lz4 not null,
    constraint log_chunks_pkey primary key (organization_id, id),
    constraint log_chunks_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint log_chunks_rank_check check (rank between 0 and 999999),
    constraint log_chunks_line_count_check check (line_count between 1 and 10000),
    constraint log_chunks_max_time_us_check check (max_time_us >= min_time_us),
    constraint log_chunks_level_mask_check check (level_mask between 1 and 63),
    constraint log_chunks_times_us_check check (cardinality(times_us) = line_count),
    constraint log_chunks_levels_check check (cardinality(levels) = line_count),
    constraint log_chunks_streams_check check (cardinality(streams) = line_count),
    constraint log_chunks_texts_check check (cardinality(texts) = line_count)
) partition by range (id);
create index idx_log_chunks_run on log_chunks (organization_id, run_id, id);
create index idx_log_chunks_run_xid on log_chunks (organization_id, run_id, xid, id);

-- A line a row; those of a run in the order of (chunk_id, line_number).
create view run_log_lines with (security_invoker = true) as
select
    chunk.organization_id,
    chunk.run_id,
    chunk.id as chunk_id,
    line.line_number,
    needletail_time(line.time_us) as "timestamp",
    chunk.rank,
    line.stream,
    (array['debug', 'info', 'warning', 'error', 'critical'])[line.level] as level,
    line.text
from log_chunks as chunk
cross join lateral unnest(
    chunk.texts, chunk.times_us, chunk.levels, chunk.streams
) with ordinality
    as line (text, time_us, level, stream, line_number);

select needletail_isolate('log_chunks');

grant select, insert on log_chunks to needletail_app;
grant select on run_log_lines to needletail_app, needletail_maintenance;
grant select, insert, update, delete on log_chunks to needletail_maintenance;

-- Removes runs with their points and log lines, or a batch of those; says how many rows went.
create or replace function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from metric_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from metric_chunks as chunk
            where chunk.organization_id = owner_id and chunk.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from log_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from log_chunks as chunk
            where chunk.organization_id = owner_id and chunk.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from run_metric_summaries
    where
        (organization_id, run_id, key) in (
            select summary.organization_id, summary.run_id, summary.key
            from run_metric_summaries as summary
            where summary.organization_id = owner_id and summary.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from runs where organization_id = owner_id and id = any(run_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

select needletail_ensure_partitions(3);
