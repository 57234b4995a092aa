-- Experiments and their runs.
set local role needletail_owner;

-- The trigger of mutable rows that watchers tail by snapshot.
create function needletail_stamp_transaction() returns trigger
language plpgsql
as $$
begin
    new.xid := pg_current_xact_id();
    return new;
end;
$$;

-- What groups the runs of one question. The model it aims at is optional.
create table experiments (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    model_id uuid,
    name text not null,
    name_folded text generated always as (lower(name)) stored,
    description text not null default '',
    status text not null default 'running',
    config jsonb not null default '{}',
    created_by uuid not null,
    started_at timestamptz not null default now(),
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint experiments_pkey primary key (organization_id, id),
    -- What a run refers to, so that its project is always its experiment's.
    constraint experiments_organization_id_id_project_id_key
    unique (organization_id, id, project_id),
    constraint experiments_project_id_fkey
    foreign key (organization_id, project_id)
    references projects (organization_id, id) on delete restrict,
    constraint experiments_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint experiments_name_check check (octet_length(name) between 1 and 500),
    constraint experiments_description_check check (octet_length(description) <= 16384),
    constraint experiments_status_check
    check (status in ('running', 'completed', 'failed', 'cancelled')),
    constraint experiments_config_check check (jsonb_typeof(config) = 'object'),
    constraint experiments_completed_at_check
    check ((completed_at is null) = (status = 'running') and completed_at >= started_at)
);
create unique index idx_experiments_project_name
on experiments (organization_id, project_id, name_folded) where deleted_at is null;
create index idx_experiments_project on experiments (organization_id, project_id, id);
create index idx_experiments_created_by on experiments (created_by);
create index idx_experiments_purge_after on experiments (purge_after)
where purge_after is not null;
create trigger experiments_touch before update on experiments
for each row execute function needletail_touch();

-- One execution of an experiment. `xid` is the last transaction that changed it.
create table runs (
    organization_id uuid not null,
    id uuid not null,
    experiment_id uuid not null,
    project_id uuid not null,
    name text not null,
    description text not null default '',
    status text not null,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms bigint generated always as (
        floor(extract(epoch from completed_at - started_at) * 1000)::bigint
    ) stored,
    created_by uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    xid xid8 not null default pg_current_xact_id(),
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint runs_pkey primary key (organization_id, id),
    constraint runs_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete restrict,
    constraint runs_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint runs_name_check check (octet_length(name) between 1 and 250),
    constraint runs_description_check check (octet_length(description) <= 16384),
    constraint runs_status_check
    check (status in ('scheduled', 'running', 'completed', 'failed', 'cancelled')),
    -- A run that was cancelled before it started has no start.
    constraint runs_started_at_check
    check (
        case status
            when 'scheduled' then started_at is null
            when 'cancelled' then true
            else started_at is not null
        end
    ),
    constraint runs_completed_at_check
    check (
        (completed_at is null) = (status in ('scheduled', 'running'))
        and (completed_at is null or started_at is null or completed_at >= started_at)
    )
);
-- The organization comes second: an index that it leads and that has the id would be taken for as
-- good as the primary key while the table has no statistics, and be read through at every look.
create index idx_runs_experiment on runs (experiment_id, organization_id, id);
create index idx_runs_project on runs (project_id, organization_id, id);
create index idx_runs_status on runs (status, organization_id, id);
create index idx_runs_created_by on runs (created_by);
create index idx_runs_purge_after on runs (purge_after) where purge_after is not null;
create trigger runs_touch before update on runs
for each row execute function needletail_touch();
create trigger runs_stamp_transaction before update on runs
for each row execute function needletail_stamp_transaction();

select needletail_isolate('experiments');
select needletail_isolate('runs');

grant select, insert, update on experiments, runs to needletail_app;
grant select, insert, update, delete on experiments, runs to needletail_maintenance;
