-- The assessments of traces, the oldest of a trace first, up to the one with which they are more
-- than `bytes_max` bytes together.
-- name: listAssessments :many
select
    found.trace_id as "trace_id!",
    found.public_id as "public_id!",
    found.kind as "kind!",
    found.name as "name!",
    found.value_json as "value_json!",
    found.error_json as "error_json?",
    found.rationale as "rationale?",
    found.source_type as "source_type!",
    found.source_id as "source_id?",
    found.metadata_json as "metadata_json!",
    found.span_id as "span_id?",
    found.run_id as "run_id?",
    found.overrides as "overrides?",
    found.is_valid as "is_valid!",
    found.create_time_ms as "create_time_ms!",
    found.update_time_ms as "update_time_ms!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        stored.*,
        sum(stored.own_bytes)
            over (order by asked.place, stored.create_time_ms, stored.public_id) as bytes
    from unnest(:trace_ids::uuid[]) with ordinality as asked (trace_id, place)
    cross join lateral (
        select
            assessment.trace_id,
            assessment.public_id,
            assessment.kind,
            assessment.name,
            assessment.value_json,
            assessment.error_json,
            assessment.rationale,
            assessment.source_type,
            assessment.source_id,
            assessment.metadata_json,
            assessment.span_id,
            assessment.run_id,
            assessment.overrides,
            assessment.is_valid,
            assessment.create_time_ms,
            assessment.update_time_ms,
            needletail_assessment_bytes(assessment) as own_bytes
        from trace_assessments as assessment
        where
            assessment.organization_id = :organization_id
            and assessment.trace_id = asked.trace_id
    ) as stored
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.create_time_ms, found.public_id;

-- One assessment of a trace of a live experiment, with what is to be added to its metadata; without
-- one, the trace alone.
-- name: getAssessment :optional
select
    trace.id,
    assessment.public_id as "public_id?",
    assessment.kind as "kind?",
    assessment.name as "name?",
    assessment.value_json as "value_json?",
    assessment.error_json as "error_json?",
    assessment.rationale as "rationale?",
    assessment.source_type as "source_type?",
    assessment.source_id as "source_id?",
    (assessment.metadata_json::jsonb || :added_metadata_json::text::jsonb)::text
        as "metadata_json?",
    assessment.span_id as "span_id?",
    assessment.run_id as "run_id?",
    assessment.overrides as "overrides?",
    assessment.is_valid as "is_valid?",
    assessment.create_time_ms as "create_time_ms?",
    assessment.update_time_ms as "update_time_ms?"
from traces as trace
left join trace_assessments as assessment
    on
        trace.organization_id = assessment.organization_id
        and trace.id = assessment.trace_id
        and assessment.public_id = :assessment_id
where
    trace.organization_id = :organization_id
    and trace.project_id = :project_id
    and trace.public_id = :trace_id
    and exists (
        select
        from resource_projects as experiment
        where
            experiment.organization_id = :organization_id
            and experiment.resource_type = 'experiment'
            and experiment.resource_id = trace.experiment_id
    );

-- Holds a trace until the transaction ends: who writes its assessments waits.
-- name: holdAssessedTrace :exec
select trace.id
from traces as trace
where
    trace.organization_id = :organization_id
    and trace.project_id = :project_id
    and trace.public_id = :trace_id
for no key update of trace;

-- Writes an assessment of a held trace.
-- name: createAssessment :exec
insert into trace_assessments (
    organization_id, trace_id, public_id, kind, name, value_json, value_number, error_json,
    rationale, source_type, source_id, metadata_json, span_id, run_id, overrides, is_valid,
    create_time_ms, update_time_ms
)
values (
    :organization_id,
    :trace_id,
    :public_id,
    :kind,
    :name,
    :value_json,
    :value_number?,
    :error_json?,
    :rationale?,
    :source_type,
    :source_id?,
    :metadata_json,
    :span_id?,
    :run_id?,
    :overrides?,
    true,
    :create_time_ms,
    :update_time_ms
);

-- Writes the fields of an assessment of a held trace that may change, and what it has then.
-- name: updateAssessment :exec
update trace_assessments
set
    name = :name,
    value_json = :value_json,
    value_number = :value_number?,
    error_json = :error_json?,
    rationale = :rationale?,
    metadata_json = :metadata_json,
    update_time_ms = :update_time_ms
where
    organization_id = :organization_id
    and trace_id = :trace_id
    and public_id = :public_id;

-- Refuses a held trace that has more assessments than it may, or more bytes of them.
-- name: checkTraceAssessments :exec
select needletail_refuse('TRACE_ASSESSMENT_LIMIT_REACHED')
where
    (
        select
            count(*) > :count_max::bigint
            or sum(needletail_assessment_bytes(assessment)) > :bytes_max::bigint
        from trace_assessments as assessment
        where assessment.organization_id = :organization_id and assessment.trace_id = :trace_id
    );

-- Says whether an assessment of a held trace is valid.
-- name: setAssessmentValid :exec
update trace_assessments
set is_valid = :is_valid
where
    organization_id = :organization_id
    and trace_id = :trace_id
    and public_id = :public_id;

-- Removes an assessment of a held trace.
-- name: deleteAssessment :exec
delete from trace_assessments
where
    organization_id = :organization_id
    and trace_id = :trace_id
    and public_id = :public_id;
