-- The index and the table's constraints are made at once: a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation, adding-foreign-key-constraint

-- Following the runs of an experiment.
set local role needletail_owner;

-- What of an experiment has changed, and which of its runs go on.
create index idx_runs_experiment_xid on runs (experiment_id, organization_id, xid, id);
create index idx_runs_experiment_open on runs (organization_id, experiment_id, id)
where completed_at is null;

-- The runs that were moved out of an experiment, and by which transaction last: whoever follows the
-- experiment would not see that otherwise.
create table run_departures (
    organization_id uuid not null,
    experiment_id uuid not null,
    run_id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    constraint run_departures_pkey primary key (organization_id, experiment_id, run_id),
    constraint run_departures_experiment_id_fkey
    foreign key (organization_id, experiment_id)
    references experiments (organization_id, id) on delete cascade,
    constraint run_departures_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade
);
create index idx_run_departures_xid
on run_departures (organization_id, experiment_id, xid, run_id);
create index idx_run_departures_run on run_departures (organization_id, run_id);

create function needletail_note_departure() returns trigger
language plpgsql
as $$
begin
    insert into run_departures (organization_id, experiment_id, run_id)
    values (old.organization_id, old.experiment_id, old.id)
    on conflict (organization_id, experiment_id, run_id)
    do update set xid = pg_current_xact_id();
    return null;
end;
$$;
create trigger runs_note_departure after update of experiment_id on runs
for each row when (old.experiment_id <> new.experiment_id)
execute function needletail_note_departure();

select needletail_isolate('run_departures');

grant select, insert, update on run_departures to needletail_app;
grant select, insert, update, delete on run_departures to needletail_maintenance;
