-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge_experiments(uuid, uuid[], bigint);
alter function needletail_purge_traceless_experiments(uuid, uuid[], bigint)
rename to needletail_purge_experiments;
drop function needletail_purge_runs(uuid, uuid[], bigint);
alter function needletail_purge_traceless_runs(uuid, uuid[], bigint)
rename to needletail_purge_runs;
drop function needletail_purge_traces(uuid, uuid[], bigint);
drop function needletail_span_attribute(text, text);
drop view trace_expectations;
drop view trace_feedback;
drop view trace_issue_fields;
drop view trace_run_fields;
drop table trace_runs;
drop table trace_assessments;
drop table trace_spans;
drop table trace_metadata;
drop table trace_tags;
drop table traces;
