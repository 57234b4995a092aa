set local role needletail_owner;

drop function needletail_purge_runs(uuid, uuid[], bigint);
alter function needletail_purge_unlinked_runs(uuid, uuid[], bigint) rename to needletail_purge_runs;

-- Removes a batch of what is in a project, or, once nothing is left, the project.
create or replace function needletail_purge_project(
    owner_id uuid, doomed_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    experiment_ids uuid[] := array(
        select experiment.id
        from experiments as experiment
        where experiment.organization_id = owner_id and experiment.project_id = doomed_id
        limit least(batch_size, 100)
    );
begin
    if cardinality(experiment_ids) > 0 then
        return needletail_purge_experiments(owner_id, experiment_ids, batch_size);
    end if;
    delete from project_members
    where
        (organization_id, id) in (
            select member.organization_id, member.id
            from project_members as member
            where member.organization_id = owner_id and member.project_id = doomed_id
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from projects where organization_id = owner_id and id = doomed_id;
    get diagnostics removed = row_count;
    return removed;
end;
$$;

drop view experiment_runs;
drop view run_final_metrics;
drop function needletail_artifact_uri(runs);
drop view run_dataset_fields;
drop table run_models;
drop table run_inputs;
drop table input_datasets;
