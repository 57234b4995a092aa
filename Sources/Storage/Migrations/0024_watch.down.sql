-- Undoes 0024_watch.
set local role needletail_owner;

drop trigger runs_note_departure on runs;
drop function needletail_note_departure();
drop table run_departures;
drop index idx_runs_experiment_open;
drop index idx_runs_experiment_xid;
