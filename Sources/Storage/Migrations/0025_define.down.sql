set local role needletail_owner;

drop function needletail_purge_runs(uuid, uuid[], bigint);
-- squawk-ignore renaming-object
alter function needletail_purge_undefined_runs(uuid, uuid[], bigint)
rename to needletail_purge_runs;

drop table run_metric_definitions;
