-- squawk-ignore-file require-concurrent-index-deletion
set local role needletail_owner;
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

-- Removes a batch of experiments' runs, or, once none is left, the experiments.
create or replace function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    run_ids uuid[] := array(
        select run.id
        from runs as run
        where run.organization_id = owner_id and run.experiment_id = any(experiment_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(run_ids) > 0 then
        return needletail_purge_runs(owner_id, run_ids, batch_size);
    end if;
    delete from experiments where organization_id = owner_id and id = any(experiment_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

drop function needletail_require_parent(uuid, uuid, uuid, uuid, boolean, bigint);
drop function needletail_source_texts(jsonb);
drop table run_parameter_versions;
drop index idx_runs_deleted;
drop index idx_runs_forked_from;
drop index idx_runs_parent;
alter table runs
drop constraint runs_source_check,
drop constraint runs_parent_run_id_check,
drop constraint runs_forked_from_run_id_fkey,
drop constraint runs_parent_run_id_fkey,
drop column is_deleted_with_experiment;
