-- Logged models: what code logged as a model within an experiment, with the parameters it was made
-- from and the metrics it was measured by. Versions in the registry refer to them.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

create table logged_models (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    experiment_id uuid not null,
    name text collate "C" not null,
    model_type text not null default '',
    status text not null default 'pending',
    status_message text not null default '',
    -- The run that made it, as the client says; it may be gone by now.
    source_run_id uuid,
    created_by uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint logged_models_pkey primary key (organization_id, id),
    constraint logged_models_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete cascade,
    constraint logged_models_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint logged_models_name_check check (octet_length(name) between 1 and 1000),
    constraint logged_models_model_type_check check (octet_length(model_type) <= 500),
    constraint logged_models_status_check check (status in ('pending', 'ready', 'failed')),
    constraint logged_models_status_message_check check (octet_length(status_message) <= 4096)
);
create index idx_logged_models_experiment
on logged_models (organization_id, experiment_id, id);
create index idx_logged_models_source_run on logged_models (organization_id, source_run_id)
where source_run_id is not null;
create index idx_logged_models_created_by on logged_models (created_by);
create index idx_logged_models_purge_after on logged_models (purge_after)
where purge_after is not null;
create trigger logged_models_touch before update on logged_models
for each row execute function needletail_touch();
create trigger logged_models_note_purge after delete on logged_models
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('logged_model');

create table logged_model_tags (
    organization_id uuid not null,
    logged_model_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint logged_model_tags_pkey primary key (organization_id, logged_model_id, key),
    constraint logged_model_tags_logged_model_id_fkey
    foreign key (organization_id, logged_model_id)
    references logged_models (organization_id, id) on delete cascade,
    constraint logged_model_tags_key_check check (octet_length(key) between 1 and 250),
    constraint logged_model_tags_value_check check (octet_length(value) <= 32000)
);
create index idx_logged_model_tags_key_value
on logged_model_tags (organization_id, key, value_head, logged_model_id);

create table logged_model_parameters (
    organization_id uuid not null,
    logged_model_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint logged_model_parameters_pkey primary key (organization_id, logged_model_id, key),
    constraint logged_model_parameters_logged_model_id_fkey
    foreign key (organization_id, logged_model_id)
    references logged_models (organization_id, id) on delete cascade,
    constraint logged_model_parameters_key_check check (octet_length(key) between 1 and 250),
    constraint logged_model_parameters_value_check check (octet_length(value) <= 32000)
);
create index idx_logged_model_parameters_key_value
on logged_model_parameters (organization_id, key, value_head, logged_model_id);

-- What a model was measured by: a run, and a dataset where one was named (both texts empty where
-- none was). The last row of a metric is the greatest by its key, which is what searches go by.
create table logged_model_metrics (
    organization_id uuid not null,
    logged_model_id uuid not null,
    key text collate "C" not null,
    -- Microseconds since 1970, as the client tells them.
    time_us bigint not null,
    step bigint not null,
    run_id uuid not null,
    dataset_name text collate "C" not null,
    dataset_digest text collate "C" not null,
    value double precision not null,
    constraint logged_model_metrics_pkey
    primary key (
        organization_id, logged_model_id, key, time_us, step, run_id, dataset_name, dataset_digest
    ),
    constraint logged_model_metrics_logged_model_id_fkey
    foreign key (organization_id, logged_model_id)
    references logged_models (organization_id, id) on delete cascade,
    constraint logged_model_metrics_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint logged_model_metrics_key_check check (octet_length(key) between 1 and 250),
    constraint logged_model_metrics_time_us_check
    check (time_us between 0 and 253402300799999999),
    constraint logged_model_metrics_dataset_name_check
    check (octet_length(dataset_name) <= 500),
    constraint logged_model_metrics_dataset_digest_check
    check (octet_length(dataset_digest) <= 128)
);
create index idx_logged_model_metrics_run on logged_model_metrics (organization_id, run_id);
create index idx_logged_model_metrics_key_value
on logged_model_metrics (organization_id, key, value, logged_model_id);

select needletail_isolate('logged_models');
select needletail_isolate('logged_model_tags');
select needletail_isolate('logged_model_parameters');
select needletail_isolate('logged_model_metrics');

grant select, insert, update on logged_models to needletail_app;
grant select, insert, update, delete
on logged_model_tags, logged_model_parameters, logged_model_metrics
to needletail_app;
grant select, insert, update, delete
on logged_models, logged_model_tags, logged_model_parameters, logged_model_metrics
to needletail_maintenance;

-- Which project a thing is in. Other services ask this view, not the tables.
create or replace view resource_projects with (security_invoker = true) as
select
    experiment.organization_id,
    'experiment' as resource_type,
    experiment.id as resource_id,
    experiment.project_id
from experiments as experiment
where experiment.deleted_at is null
union all
select
    run.organization_id,
    'run' as resource_type,
    run.id as resource_id,
    run.project_id
from runs as run
where run.deleted_at is null
union all
select
    model.organization_id,
    'model' as resource_type,
    model.id as resource_id,
    model.project_id
from models as model
where model.deleted_at is null
union all
select
    version.organization_id,
    'model_version' as resource_type,
    version.id as resource_id,
    version.project_id
from registered_model_versions as version
where version.deleted_at is null
union all
select
    model.organization_id,
    'logged_model' as resource_type,
    model.id as resource_id,
    model.project_id
from logged_models as model
where model.deleted_at is null;

-- Removes a batch of what logged models have, or, once nothing is left, of the models; says how
-- many rows went.
create function needletail_purge_logged_models(
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

alter function needletail_purge_runs(uuid, uuid[], bigint)
rename to needletail_purge_modelless_runs;

-- Removes runs with all that they have, or a batch of that, what they measured of models first;
-- says how many rows went.
create function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from logged_model_metrics
    where
        ctid = any(array(
            select point.ctid
            from logged_model_metrics as point
            where point.organization_id = owner_id and point.run_id = any(run_ids)
            limit batch_size
        ));
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_modelless_runs(owner_id, run_ids, batch_size);
end;
$$;

alter function needletail_purge_experiments(uuid, uuid[], bigint)
rename to needletail_purge_modelless_experiments;

-- Removes a batch of experiments' logged models, or, once none is left, of what else they have,
-- and at last the experiments.
create function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    model_ids uuid[] := array(
        select model.id
        from logged_models as model
        where model.organization_id = owner_id and model.experiment_id = any(experiment_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(model_ids) > 0 then
        return needletail_purge_logged_models(owner_id, model_ids, batch_size);
    end if;
    return needletail_purge_modelless_experiments(owner_id, experiment_ids, batch_size);
end;
$$;

alter function needletail_purge(timestamptz, bigint) rename to needletail_purge_unlogged;

-- Removes for good one batch of logged models that may not be recovered since `before`, and, once
-- none is left, of whatever else; says how many rows went, 0 when none is left or while another
-- server does it.
create function needletail_purge(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    doomed record;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    -- The number is the lock's name: "ntlpurge" in ASCII.
    if not pg_try_advisory_xact_lock(x'6e746c7075726765'::bigint) then
        return 0;
    end if;
    for doomed in
        select organization_id, id from logged_models where purge_after < before limit 1
    loop
        return needletail_purge_logged_models(
            doomed.organization_id, array[doomed.id], batch_size
        );
    end loop;
    return needletail_purge_unlogged(before, batch_size);
end;
$$;

revoke execute on function
needletail_purge_logged_models(uuid, uuid[], bigint),
needletail_purge_runs(uuid, uuid[], bigint),
needletail_purge_experiments(uuid, uuid[], bigint),
needletail_purge(timestamptz, bigint)
from public;
grant execute on function
needletail_purge_logged_models(uuid, uuid[], bigint),
needletail_purge_runs(uuid, uuid[], bigint),
needletail_purge_experiments(uuid, uuid[], bigint),
needletail_purge(timestamptz, bigint)
to needletail_maintenance;
