set local role needletail_owner;

drop function needletail_json_number(text, text);
drop function needletail_expire_traces(timestamptz, bigint);
drop function needletail_assessment_bytes(trace_assessments);
