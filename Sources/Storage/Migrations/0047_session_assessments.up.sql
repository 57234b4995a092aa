-- An assessment whose metadata names a session is of all traces of its trace's session.
-- Of those there are few, and a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation
set local role needletail_owner;

-- What searches look up.
create index idx_trace_assessments_session on trace_assessments (organization_id, name, trace_id)
where metadata_json::jsonb ? 'mlflow.trace.session';

-- What searches see of the feedback on sessions, a row for each of their traces: with where the
-- trace is that has it, so that one which a search does not look at counts for no other.
create view trace_session_feedback with (security_invoker = true) as
select
    holder.organization_id,
    member.trace_id,
    holder.project_id,
    holder.experiment_id,
    assessment.name as key,
    assessment.value,
    assessment.value_number
from trace_assessments as assessment
inner join traces as holder
    on
        assessment.organization_id = holder.organization_id
        and assessment.trace_id = holder.id
inner join trace_metadata as session
    on
        holder.organization_id = session.organization_id
        and holder.id = session.trace_id
        and session.key = 'mlflow.trace.session'
inner join trace_metadata as member
    on
        session.organization_id = member.organization_id
        and session.key = member.key
        and session.value_head = member.value_head
        and session.value = member.value
where
    assessment.kind = 'feedback'
    and assessment.is_valid
    and assessment.metadata_json::jsonb ? 'mlflow.trace.session';

-- The same of what was expected of them.
create view trace_session_expectations with (security_invoker = true) as
select
    holder.organization_id,
    member.trace_id,
    holder.project_id,
    holder.experiment_id,
    assessment.name as key,
    assessment.value,
    assessment.value_number
from trace_assessments as assessment
inner join traces as holder
    on
        assessment.organization_id = holder.organization_id
        and assessment.trace_id = holder.id
inner join trace_metadata as session
    on
        holder.organization_id = session.organization_id
        and holder.id = session.trace_id
        and session.key = 'mlflow.trace.session'
inner join trace_metadata as member
    on
        session.organization_id = member.organization_id
        and session.key = member.key
        and session.value_head = member.value_head
        and session.value = member.value
where
    assessment.kind = 'expectation'
    and assessment.is_valid
    and assessment.metadata_json::jsonb ? 'mlflow.trace.session';

grant select on trace_session_feedback, trace_session_expectations
to needletail_app, needletail_maintenance;
