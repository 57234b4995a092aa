drop table idempotency_records;
drop table audit_logs;
drop table events;
drop function needletail_ensure_partitions(integer);
drop function needletail_close_partition(text, text);
drop function needletail_uuid_floor(timestamptz);
