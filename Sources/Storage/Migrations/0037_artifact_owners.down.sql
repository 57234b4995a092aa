-- Files of logged models and of traces go: there is no place for them before.
set local role needletail_owner;

-- Removes a batch of what traces have, or, once nothing is left, of the traces.
create or replace function needletail_purge_traces(
    owner_id uuid, trace_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    foreach table_name in array
        array['trace_spans', 'trace_assessments', 'trace_runs', 'trace_metadata', 'trace_tags']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and trace_id = any($2) limit $3))',
            table_name
        ) using owner_id, trace_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from traces where organization_id = owner_id and id = any(trace_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of what logged models have, or, once nothing is left, of the models; says how
-- many rows went.
create or replace function needletail_purge_logged_models(
    owner_id uuid, model_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    foreach table_name in array
        array['logged_model_metrics', 'logged_model_parameters', 'logged_model_tags']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and logged_model_id = any($2)'
            ' limit $3))',
            table_name
        ) using owner_id, model_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from logged_models where organization_id = owner_id and id = any(model_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

drop view artifact_owners;
drop view live_traces;

-- Row-level security is forced on the owner, too: these are the rows of every organization.
alter table artifact_uploads no force row level security;
delete from artifact_uploads
where run_id is null;
alter table artifact_uploads force row level security;
drop index idx_artifact_uploads_logged_model, idx_artifact_uploads_trace;
alter table artifact_uploads
drop constraint artifact_uploads_run_id_check,
drop column logged_model_id,
drop column trace_id;
alter table artifact_uploads alter column run_id set not null;

alter table artifacts no force row level security;
delete from artifacts
where run_id is null;
alter table artifacts force row level security;
drop index idx_artifacts_run, idx_artifacts_logged_model, idx_artifacts_trace;
alter table artifacts drop constraint artifacts_pkey;
alter table artifacts
drop constraint artifacts_run_id_check,
drop column owner_id,
drop column logged_model_id,
drop column trace_id;
alter table artifacts alter column run_id set not null;
alter table artifacts add constraint artifacts_pkey primary key (organization_id, run_id, path);
