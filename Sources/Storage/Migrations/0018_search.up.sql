-- The index is of summaries, a row a metric of a run, and a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation

-- What searches by a metric read: its runs in the order of its last value.
set local role needletail_owner;

create index idx_run_metric_summaries_key_value
on run_metric_summaries (organization_id, key, last_value, run_id);
