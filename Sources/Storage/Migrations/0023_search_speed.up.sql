-- The index is of runs, of which even the largest organizations have few beside their points, and a
-- migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation

-- What searches are planned by: the order in which runs are mostly shown, and which values go with
-- which key.
set local role needletail_owner;

-- Every run has a creation: searches say so, so that no look at one run takes this for its key
-- while the table has no statistics.
create index idx_runs_started on runs (organization_id, started_at, id)
where created_at is not null;

-- Without these a value is thought to be as rare under its key as among those of all keys.
create statistics run_parameters_key_value (mcv) on key, value_head from run_parameters;
create statistics run_tags_key_value (mcv) on key, value_head from run_tags;
create statistics experiment_tags_key_value (mcv) on key, value_head from experiment_tags;
