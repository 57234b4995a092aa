-- Files of logged models and of traces, beside those of runs. A row is written again with the id of
-- its owner, whichever that is, and a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation, adding-field-with-default
-- squawk-ignore-file adding-foreign-key-constraint, constraint-missing-not-valid
-- squawk-ignore-file adding-serial-primary-key-field, ban-drop-constraint, ban-drop-not-null
set local role needletail_owner;

-- Ids are unique whatever they are of, so that the one key is good for all owners.
alter table artifacts drop constraint artifacts_pkey;
alter table artifacts alter column run_id drop not null;
alter table artifacts add column logged_model_id uuid;
alter table artifacts add column trace_id uuid;
alter table artifacts add column owner_id uuid not null generated always as (
    coalesce(run_id, logged_model_id, trace_id)
) stored;
alter table artifacts
add constraint artifacts_pkey primary key (organization_id, owner_id, path),
add constraint artifacts_run_id_check
check (num_nonnulls(run_id, logged_model_id, trace_id) = 1),
add constraint artifacts_logged_model_id_fkey
foreign key (organization_id, logged_model_id)
references logged_models (organization_id, id) on delete cascade,
add constraint artifacts_trace_id_fkey
foreign key (organization_id, trace_id)
references traces (organization_id, id) on delete cascade;
create index idx_artifacts_run on artifacts (organization_id, run_id)
where run_id is not null;
create index idx_artifacts_logged_model on artifacts (organization_id, logged_model_id)
where logged_model_id is not null;
create index idx_artifacts_trace on artifacts (organization_id, trace_id)
where trace_id is not null;

alter table artifact_uploads alter column run_id drop not null;
alter table artifact_uploads add column logged_model_id uuid;
alter table artifact_uploads add column trace_id uuid;
alter table artifact_uploads
add constraint artifact_uploads_run_id_check
check (num_nonnulls(run_id, logged_model_id, trace_id) = 1),
add constraint artifact_uploads_logged_model_id_fkey
foreign key (organization_id, logged_model_id)
references logged_models (organization_id, id) on delete cascade,
add constraint artifact_uploads_trace_id_fkey
foreign key (organization_id, trace_id)
references traces (organization_id, id) on delete cascade;
create index idx_artifact_uploads_logged_model
on artifact_uploads (organization_id, logged_model_id)
where logged_model_id is not null;
create index idx_artifact_uploads_trace on artifact_uploads (organization_id, trace_id)
where trace_id is not null;

-- The traces that there are, for other services.
create view live_traces with (security_invoker = true) as
select
    trace.organization_id,
    trace.id,
    trace.project_id,
    trace.public_id
from traces as trace
inner join experiments as experiment
    on
        trace.organization_id = experiment.organization_id
        and trace.experiment_id = experiment.id
where experiment.deleted_at is null;

-- What may have files, with the project whose roles count for them.
create view artifact_owners with (security_invoker = true) as
select
    run.organization_id,
    'run' as kind,
    run.id,
    run.project_id
from runs as run
where run.deleted_at is null
union all
select
    model.organization_id,
    'logged_model' as kind,
    model.id,
    model.project_id
from logged_models as model
inner join experiments as experiment
    on
        model.organization_id = experiment.organization_id
        and model.experiment_id = experiment.id
where model.deleted_at is null and experiment.deleted_at is null
union all
select
    trace.organization_id,
    'trace' as kind,
    trace.id,
    trace.project_id
from live_traces as trace;

grant select on live_traces, artifact_owners to needletail_app, needletail_maintenance;

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
    foreach table_name in
        array
            array[
                'trace_spans', 'trace_assessments', 'trace_runs', 'trace_metadata', 'trace_tags',
                'artifact_uploads', 'artifacts'
            ]
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
    foreach table_name in
        array
            array[
                'logged_model_metrics', 'logged_model_parameters', 'logged_model_tags',
                'artifact_uploads', 'artifacts'
            ]
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
