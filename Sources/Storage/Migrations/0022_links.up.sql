-- What runs read and made, and their JSON shapes.
set local role needletail_owner;

-- Datasets as runs saw them, once in a project for each name and digest. They stay while the
-- project does: that a dataset was there is no fact of one run.
create table input_datasets (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    name text collate "C" not null,
    digest text collate "C" not null,
    source_type text not null,
    source text not null,
    schema_text text not null,
    profile_text text not null,
    created_at timestamptz not null default now(),
    constraint input_datasets_pkey primary key (organization_id, id),
    constraint input_datasets_project_id_fkey
    foreign key (organization_id, project_id)
    references projects (organization_id, id) on delete cascade,
    constraint input_datasets_name_check check (octet_length(name) between 1 and 500),
    constraint input_datasets_digest_check check (octet_length(digest) between 1 and 128),
    constraint input_datasets_source_type_check check (octet_length(source_type) <= 100),
    constraint input_datasets_source_check check (octet_length(source) <= 65535),
    constraint input_datasets_schema_text_check check (octet_length(schema_text) <= 1048575),
    constraint input_datasets_profile_text_check check (octet_length(profile_text) <= 1048575)
);
create unique index idx_input_datasets_name_digest
on input_datasets (organization_id, project_id, name, digest);
-- What searches look up.
create index idx_input_datasets_name on input_datasets (organization_id, name);
create index idx_input_datasets_digest on input_datasets (organization_id, digest);

-- That a run read a dataset, once for each purpose; never updated.
create table run_inputs (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    dataset_id uuid not null,
    context text collate "C" not null,
    tags jsonb not null,
    created_at timestamptz not null default now(),
    constraint run_inputs_pkey primary key (organization_id, id),
    constraint run_inputs_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_inputs_dataset_id_fkey
    foreign key (organization_id, dataset_id)
    references input_datasets (organization_id, id) on delete restrict,
    constraint run_inputs_context_check check (octet_length(context) <= 500),
    constraint run_inputs_tags_check check (jsonb_typeof(tags) = 'object')
);
create unique index idx_run_inputs_link
on run_inputs (organization_id, run_id, dataset_id, context);
create index idx_run_inputs_run on run_inputs (organization_id, run_id, id);
create index idx_run_inputs_dataset on run_inputs (organization_id, dataset_id, run_id);

-- That a run began from a model or made it; never updated. A model is known by its name.
create table run_models (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    role text not null,
    name text collate "C" not null,
    artifact_path text collate "C" not null,
    step bigint not null,
    created_at timestamptz not null default now(),
    constraint run_models_pkey primary key (organization_id, id),
    constraint run_models_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_models_role_check check (role in ('input', 'output')),
    constraint run_models_name_check check (octet_length(name) between 1 and 250),
    constraint run_models_artifact_path_check check (octet_length(artifact_path) <= 1024),
    constraint run_models_step_check check (step >= 0)
);
create unique index idx_run_models_link
on run_models (organization_id, run_id, role, name, artifact_path, step);
create index idx_run_models_run on run_models (organization_id, run_id, id);

select needletail_isolate('input_datasets');
select needletail_isolate('run_inputs');
select needletail_isolate('run_models');

grant select, insert on input_datasets, run_inputs, run_models to needletail_app;
grant select, insert, delete on input_datasets, run_inputs, run_models to needletail_maintenance;

-- What searches see of the datasets of a run, by key, as they see its tags.
create view run_dataset_fields with (security_invoker = true) as
select
    link.organization_id,
    link.run_id,
    'name' as key,
    dataset.name as value
from run_inputs as link
inner join input_datasets as dataset
    on link.organization_id = dataset.organization_id and link.dataset_id = dataset.id
union all
select
    link.organization_id,
    link.run_id,
    'digest' as key,
    dataset.digest as value
from run_inputs as link
inner join input_datasets as dataset
    on link.organization_id = dataset.organization_id and link.dataset_id = dataset.id
union all
select
    link.organization_id,
    link.run_id,
    'context' as key,
    link.context as value
from run_inputs as link
where link.context <> '';

-- Where the files of a run are, as MLflow's clients ask for it.
create function needletail_artifact_uri(run runs) returns text
language sql immutable parallel safe
return 'needletail:/runs/' || (run).id || '/artifacts';

-- The last value of each metric of a run, a row a metric.
create view run_final_metrics with (security_invoker = true) as
select
    summary.organization_id,
    summary.run_id,
    summary.key as metric_name,
    summary.last_value as value,
    summary.last_step as step,
    needletail_time(summary.last_time_us) as timestamp
from run_metric_summaries as summary;

-- Live runs in one row each, with what belongs to them as JSON objects. What JSON has no number
-- for, NaN and the infinities, is a string there. Whoever asks for no log does not read it.
create view experiment_runs with (security_invoker = true) as
select
    run.organization_id,
    run.id,
    run.experiment_id,
    run.name as run_name,
    run.status,
    (
        select coalesce(jsonb_object_agg(parameter.key, parameter.value), '{}')
        from run_parameters as parameter
        where parameter.organization_id = run.organization_id and parameter.run_id = run.id
    ) as parameters,
    (
        select
            coalesce(
                jsonb_object_agg(
                    summary.key,
                    case
                        when
                            summary.last_value
                            in ('NaN'::float8, 'Infinity'::float8, '-Infinity'::float8)
                            then to_jsonb(summary.last_value::text)
                        else to_jsonb(summary.last_value)
                    end
                ),
                '{}'
            )
        from run_metric_summaries as summary
        where summary.organization_id = run.organization_id and summary.run_id = run.id
    ) as metrics,
    (
        select coalesce(jsonb_object_agg(tag.key, tag.value), '{}')
        from run_tags as tag
        where tag.organization_id = run.organization_id and tag.run_id = run.id
    ) as tags,
    (
        select
            coalesce(
                jsonb_object_agg(
                    artifact.path,
                    jsonb_build_object(
                        'size_bytes', artifact.size_bytes,
                        'sha256', encode(artifact.sha256, 'hex')
                    )
                ),
                '{}'
            )
        from artifacts as artifact
        where artifact.organization_id = run.organization_id and artifact.run_id = run.id
    ) as artifacts,
    (
        select string_agg(line.text, e'\n' order by line.chunk_id, line.line_number)
        from run_log_lines as line
        where line.organization_id = run.organization_id and line.run_id = run.id
    ) as logs,
    run.started_at,
    run.completed_at,
    (run.duration_ms / 1000)::integer as duration_seconds,
    run.created_at,
    run.updated_at
from runs as run
where run.deleted_at is null;

grant select on run_dataset_fields, run_final_metrics, experiment_runs
to needletail_app, needletail_maintenance;

-- squawk-ignore renaming-object
alter function needletail_purge_runs(uuid, uuid[], bigint) rename to needletail_purge_unlinked_runs;

-- Removes runs with all that they have, or a batch of that, their links first; says how many rows
-- went.
create function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    foreach table_name in array array['run_inputs', 'run_models'] loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and run_id = any($2) limit $3))',
            table_name
        ) using owner_id, run_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    return needletail_purge_unlinked_runs(owner_id, run_ids, batch_size);
end;
$$;
revoke execute on function needletail_purge_runs(uuid, uuid[], bigint) from public;
grant execute on function needletail_purge_runs(uuid, uuid[], bigint) to needletail_maintenance;

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
    delete from input_datasets
    where
        (organization_id, id) in (
            select dataset.organization_id, dataset.id
            from input_datasets as dataset
            where dataset.organization_id = owner_id and dataset.project_id = doomed_id
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
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
