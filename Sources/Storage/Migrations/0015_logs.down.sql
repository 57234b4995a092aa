set local role needletail_owner;
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

drop view run_log_lines;
drop table log_chunks;
