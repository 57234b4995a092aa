drop view run_metrics;
drop table run_metric_summaries;
drop table metric_chunks;
drop function needletail_refuse_sequence(bigint, bigint);
drop table metric_writers;
drop function needletail_time(bigint);
