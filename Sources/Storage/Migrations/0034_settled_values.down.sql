-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
set local role needletail_owner;

drop function needletail_settle_metrics(timestamptz, bigint);
drop index idx_run_metric_summaries_unsettled;
drop index idx_run_metric_summaries_key_value;
drop trigger run_metric_summaries_unsettle on run_metric_summaries;
drop function needletail_unsettle();
alter table run_metric_summaries drop column settled_value, drop column unsettled_at;
create index idx_run_metric_summaries_key_value
on run_metric_summaries (organization_id, key, last_value, run_id);
