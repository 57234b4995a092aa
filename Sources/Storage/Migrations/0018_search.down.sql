set local role needletail_owner;

drop index idx_run_metric_summaries_key_value;
