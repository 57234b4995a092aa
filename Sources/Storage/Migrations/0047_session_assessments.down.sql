set local role needletail_owner;

drop view trace_session_expectations;
drop view trace_session_feedback;
drop index idx_trace_assessments_session;
