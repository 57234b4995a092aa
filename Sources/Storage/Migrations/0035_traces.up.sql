-- What applications did, request by request: traces, their spans, and what was thought of them.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- A trace is known by the identifier that its client gives it. Times are the client's, in
-- milliseconds since 1970, as its spans tell them.
create table traces (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    experiment_id uuid not null,
    public_id text collate "C" not null,
    state text not null,
    request_time_ms bigint not null,
    execution_ms bigint,
    end_time_ms bigint generated always as (
        request_time_ms + coalesce(execution_ms, 0)
    ) stored,
    request_preview text,
    response_preview text,
    client_request_id text,
    is_told boolean not null,
    constraint traces_pkey primary key (organization_id, id),
    constraint traces_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete cascade,
    constraint traces_public_id_check check (octet_length(public_id) between 1 and 250),
    constraint traces_state_check check (state in ('unspecified', 'ok', 'error', 'in_progress')),
    constraint traces_request_time_ms_check
    check (request_time_ms between 0 and 253402300799999),
    constraint traces_execution_ms_check check (execution_ms between 0 and 253402300799999),
    constraint traces_request_preview_check check (octet_length(request_preview) <= 65536),
    constraint traces_response_preview_check check (octet_length(response_preview) <= 65536),
    constraint traces_client_request_id_check check (octet_length(client_request_id) <= 1000)
);
create unique index idx_traces_public_id on traces (organization_id, project_id, public_id);
create index idx_traces_experiment on traces (organization_id, experiment_id, request_time_ms, id);

create table trace_tags (
    organization_id uuid not null,
    trace_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint trace_tags_pkey primary key (organization_id, trace_id, key),
    constraint trace_tags_trace_id_fkey
    foreign key (organization_id, trace_id)
    references traces (organization_id, id) on delete cascade,
    constraint trace_tags_key_check check (octet_length(key) between 1 and 250),
    constraint trace_tags_value_check check (octet_length(value) <= 32000)
);
create index idx_trace_tags_key_value on trace_tags (organization_id, key, value_head, trace_id);

-- What a trace's client told of it once.
create table trace_metadata (
    organization_id uuid not null,
    trace_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint trace_metadata_pkey primary key (organization_id, trace_id, key),
    constraint trace_metadata_trace_id_fkey
    foreign key (organization_id, trace_id)
    references traces (organization_id, id) on delete cascade,
    constraint trace_metadata_key_check check (octet_length(key) between 1 and 250),
    constraint trace_metadata_value_check check (octet_length(value) <= 32000)
);
create index idx_trace_metadata_key_value
on trace_metadata (organization_id, key, value_head, trace_id);

-- The spans of a trace lie beside one another in the index of their key. Times are nanoseconds
-- since 1970; the content is the client's JSON, as it came.
create table trace_spans (
    organization_id uuid not null,
    trace_id uuid not null,
    span_id text collate "C" not null,
    parent_span_id text collate "C",
    name text not null,
    type text,
    status text not null,
    start_ns bigint not null,
    end_ns bigint,
    content text not null,
    constraint trace_spans_pkey primary key (organization_id, trace_id, span_id),
    constraint trace_spans_trace_id_fkey
    foreign key (organization_id, trace_id)
    references traces (organization_id, id) on delete cascade,
    constraint trace_spans_span_id_check check (octet_length(span_id) between 1 and 50),
    constraint trace_spans_parent_span_id_check check (octet_length(parent_span_id) <= 50),
    constraint trace_spans_name_check check (octet_length(name) <= 1000),
    constraint trace_spans_type_check check (octet_length(type) <= 500),
    constraint trace_spans_status_check check (octet_length(status) <= 50),
    constraint trace_spans_start_ns_check check (start_ns >= 0),
    constraint trace_spans_end_ns_check check (end_ns >= 0),
    constraint trace_spans_content_check check (octet_length(content) <= 2097152)
);

-- What somebody or something thinks of a trace or of one of its spans.
create table trace_assessments (
    organization_id uuid not null,
    trace_id uuid not null,
    public_id text collate "C" not null,
    kind text not null,
    name text collate "C" not null,
    value_json text not null,
    value text generated always as (value_json::jsonb #>> '{}') stored,
    value_number double precision,
    error_json text,
    rationale text,
    source_type text not null,
    source_id text,
    metadata_json text not null,
    span_id text,
    run_id text,
    overrides text collate "C",
    is_valid boolean not null,
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint trace_assessments_pkey primary key (organization_id, trace_id, public_id),
    constraint trace_assessments_trace_id_fkey
    foreign key (organization_id, trace_id)
    references traces (organization_id, id) on delete cascade,
    constraint trace_assessments_public_id_check check (octet_length(public_id) between 1 and 50),
    constraint trace_assessments_kind_check
    check (kind in ('feedback', 'expectation', 'issue')),
    constraint trace_assessments_name_check check (octet_length(name) between 1 and 250),
    constraint trace_assessments_value_json_check check (octet_length(value_json) <= 65536),
    constraint trace_assessments_error_json_check check (octet_length(error_json) <= 65536),
    constraint trace_assessments_rationale_check check (octet_length(rationale) <= 65536),
    constraint trace_assessments_source_type_check check (octet_length(source_type) <= 50),
    constraint trace_assessments_source_id_check check (octet_length(source_id) <= 250),
    constraint trace_assessments_metadata_json_check
    check (octet_length(metadata_json) <= 65536),
    constraint trace_assessments_span_id_check check (octet_length(span_id) <= 50),
    constraint trace_assessments_run_id_check check (octet_length(run_id) <= 50),
    constraint trace_assessments_overrides_check check (octet_length(overrides) <= 50)
);

-- What searches look up.
create index idx_trace_assessments_name on trace_assessments (organization_id, name, trace_id);

-- Which runs a trace belongs to, beside the one that its metadata may name.
create table trace_runs (
    organization_id uuid not null,
    trace_id uuid not null,
    run_id uuid not null,
    constraint trace_runs_pkey primary key (organization_id, trace_id, run_id),
    constraint trace_runs_trace_id_fkey
    foreign key (organization_id, trace_id)
    references traces (organization_id, id) on delete cascade,
    constraint trace_runs_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade
);
create index idx_trace_runs_run on trace_runs (organization_id, run_id, trace_id);
-- What searches look up.
create index idx_trace_runs_run_text on trace_runs (organization_id, (run_id::text));
create index idx_trace_runs_run_digits
on trace_runs (organization_id, (replace(run_id::text, '-', '')));

select needletail_isolate('traces');
select needletail_isolate('trace_tags');
select needletail_isolate('trace_metadata');
select needletail_isolate('trace_spans');
select needletail_isolate('trace_assessments');
select needletail_isolate('trace_runs');

grant select, insert, update, delete
on traces, trace_tags, trace_metadata, trace_spans, trace_assessments, trace_runs
to needletail_app, needletail_maintenance;

-- What searches see of the runs of a trace: those that it is linked to, and the one that its
-- metadata names, as UUIDs and as their 32 digits.
create view trace_run_fields with (security_invoker = true) as
select
    link.organization_id,
    link.trace_id,
    'run_id' as key,
    link.run_id::text as value
from trace_runs as link
union all
select
    link.organization_id,
    link.trace_id,
    'run_id' as key,
    replace(link.run_id::text, '-', '') as value
from trace_runs as link
union all
select
    entry.organization_id,
    entry.trace_id,
    'run_id' as key,
    entry.value_head as value
from trace_metadata as entry
where entry.key = 'mlflow.sourceRun';

-- What searches see of the issues of a trace.
create view trace_issue_fields with (security_invoker = true) as
select
    assessment.organization_id,
    assessment.trace_id,
    'id' as key,
    assessment.name as value
from trace_assessments as assessment
where assessment.kind = 'issue' and assessment.is_valid;

-- What searches see of the feedback on a trace, by its name: the value as text, and as a number
-- where it is one.
create view trace_feedback with (security_invoker = true) as
select
    assessment.organization_id,
    assessment.trace_id,
    assessment.name as key,
    assessment.value,
    assessment.value_number
from trace_assessments as assessment
where assessment.kind = 'feedback' and assessment.is_valid;

-- The same of what was expected of it.
create view trace_expectations with (security_invoker = true) as
select
    assessment.organization_id,
    assessment.trace_id,
    assessment.name as key,
    assessment.value,
    assessment.value_number
from trace_assessments as assessment
where assessment.kind = 'expectation' and assessment.is_valid;

grant select on trace_run_fields, trace_issue_fields, trace_feedback, trace_expectations
to needletail_app, needletail_maintenance;

-- An attribute of a span, from its content: a text without the quotes that its client's JSON may
-- have put around it, anything else as JSON.
create function needletail_span_attribute(content text, name text) returns text
language sql immutable parallel safe
return (
    select
        case
            when attribute.value like '"%"'
                then substr(attribute.value, 2, length(attribute.value) - 2)
            else attribute.value
        end
    from (select content::jsonb -> 'attributes' ->> name as value) as attribute
);

-- Removes a batch of what traces have, or, once nothing is left, of the traces.
create function needletail_purge_traces(
    owner_id uuid, trace_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    foreach table_name in array
        array['trace_spans', 'trace_assessments', 'trace_runs', 'trace_metadata', 'trace_tags']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and trace_id = any($2) limit $3))',
            table_name
        ) using owner_id, trace_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from traces where organization_id = owner_id and id = any(trace_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

alter function needletail_purge_runs(uuid, uuid[], bigint)
rename to needletail_purge_traceless_runs;

-- Removes runs with all that they have, or a batch of that, their traces' links first; says how
-- many rows went.
create function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from trace_runs
    where
        (organization_id, trace_id, run_id) in (
            select link.organization_id, link.trace_id, link.run_id
            from trace_runs as link
            where link.organization_id = owner_id and link.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_traceless_runs(owner_id, run_ids, batch_size);
end;
$$;

alter function needletail_purge_experiments(uuid, uuid[], bigint)
rename to needletail_purge_traceless_experiments;

-- Removes a batch of experiments' traces, or, once none is left, of what else they have, and at
-- last the experiments.
create function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    trace_ids uuid[] := array(
        select trace.id
        from traces as trace
        where trace.organization_id = owner_id and trace.experiment_id = any(experiment_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(trace_ids) > 0 then
        return needletail_purge_traces(owner_id, trace_ids, batch_size);
    end if;
    return needletail_purge_traceless_experiments(owner_id, experiment_ids, batch_size);
end;
$$;

revoke execute on function
needletail_purge_traces(uuid, uuid[], bigint),
needletail_purge_runs(uuid, uuid[], bigint),
needletail_purge_experiments(uuid, uuid[], bigint)
from public;
grant execute on function
needletail_purge_traces(uuid, uuid[], bigint),
needletail_purge_runs(uuid, uuid[], bigint),
needletail_purge_experiments(uuid, uuid[], bigint)
to needletail_maintenance;
