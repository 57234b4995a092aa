-- Logged models: what code logged as a model within an experiment, with the parameters it was made
-- from and the metrics it was measured by. Versions in the registry refer to them.
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
    -- A run of this installation as the client named it; it may be gone by now.
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
on logged_models (organization_id, experiment_id, created_at, id);
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
-- none was). Times are the client's, in milliseconds since 1970.
create table logged_model_metrics (
    organization_id uuid not null,
    logged_model_id uuid not null,
    key text collate "C" not null,
    time_ms bigint not null,
    step bigint not null,
    run_id uuid not null,
    dataset_name text collate "C" not null,
    dataset_digest text collate "C" not null,
    value double precision not null,
    constraint logged_model_metrics_pkey
    primary key (organization_id, logged_model_id, key, time_ms, step, run_id),
    constraint logged_model_metrics_logged_model_id_fkey
    foreign key (organization_id, logged_model_id)
    references logged_models (organization_id, id) on delete cascade,
    constraint logged_model_metrics_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint logged_model_metrics_key_check check (octet_length(key) between 1 and 250),
    constraint logged_model_metrics_time_ms_check
    check (time_ms between 0 and 253402300799999),
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
