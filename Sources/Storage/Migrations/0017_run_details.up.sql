-- What runs and experiments are searched by: tags and parameters in plain columns.
--
-- Values are too long for an index: `value_head`, their beginning, is what searches look up first,
-- with operators that row security lets use an index.
set local role needletail_owner;

alter table experiments add column archived_at timestamptz;

alter table runs
add column parent_run_id uuid,
add column forked_from_run_id uuid,
add column forked_at_step bigint,
add column source jsonb,
add column is_pinned boolean not null default false,
add column archived_at timestamptz;

create table experiment_tags (
    organization_id uuid not null,
    experiment_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint experiment_tags_pkey primary key (organization_id, experiment_id, key),
    constraint experiment_tags_experiment_id_fkey
    foreign key (organization_id, experiment_id)
    references experiments (organization_id, id) on delete cascade,
    constraint experiment_tags_key_check check (octet_length(key) between 1 and 250),
    constraint experiment_tags_value_check check (octet_length(value) <= 80000)
);
create index idx_experiment_tags_key_value
on experiment_tags (organization_id, key, value_head, experiment_id);

create table run_tags (
    organization_id uuid not null,
    run_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint run_tags_pkey primary key (organization_id, run_id, key),
    constraint run_tags_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_tags_key_check check (octet_length(key) between 1 and 250),
    constraint run_tags_value_check check (octet_length(value) <= 32000)
);
create index idx_run_tags_key_value on run_tags (organization_id, key, value_head, run_id);

-- A parameter stays as it was first written; who overwrites one leaves a version.
create table run_parameters (
    organization_id uuid not null,
    run_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint run_parameters_pkey primary key (organization_id, run_id, key),
    constraint run_parameters_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_parameters_key_check check (octet_length(key) between 1 and 250),
    constraint run_parameters_value_check check (octet_length(value) <= 32000)
);
create index idx_run_parameters_key_value
on run_parameters (organization_id, key, value_head, run_id);

select needletail_isolate('experiment_tags');
select needletail_isolate('run_tags');
select needletail_isolate('run_parameters');

grant select, insert, update, delete on experiment_tags, run_tags, run_parameters
to needletail_app, needletail_maintenance;
