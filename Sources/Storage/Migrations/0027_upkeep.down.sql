set local role needletail_owner;
drop function needletail_drop_empty_partition(timestamptz, timestamptz);
drop function needletail_expire_metrics(timestamptz, timestamptz, bigint);
drop function needletail_compact_metrics(timestamptz, bigint);
drop table maintenance_tasks;
