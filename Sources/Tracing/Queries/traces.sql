-- Refuses callers whose role in a project does not suffice.
-- name: requireTraceRole :exec
select needletail_require_role(
    :project_id, :user_id, :sufficient_roles::text[], 'TRACE_PROJECT_NOT_FOUND'
);

-- Creates a trace in a live experiment, or replaces what is known of it; nothing where there is no
-- such experiment. Until the transaction ends, nobody else writes it.
-- name: startTrace :optional
insert into traces as trace (
    organization_id, id, project_id, experiment_id, public_id, state, request_time_ms,
    execution_ms, request_preview, response_preview, client_request_id, is_told
)
select
    :organization_id,
    :id,
    :project_id,
    experiment.resource_id,
    :public_id,
    :state,
    :request_time_ms,
    :execution_ms?::bigint,
    :request_preview?::text,
    :response_preview?::text,
    :client_request_id?::text,
    true
from resource_projects as experiment
where
    experiment.organization_id = :organization_id
    and experiment.resource_type = 'experiment'
    and experiment.resource_id = :experiment_id
    and experiment.project_id = :project_id
on conflict (organization_id, project_id, public_id) do update
    set
        experiment_id = excluded.experiment_id,
        state = excluded.state,
        request_time_ms = excluded.request_time_ms,
        execution_ms = excluded.execution_ms,
        request_preview = coalesce(excluded.request_preview, trace.request_preview),
        response_preview = coalesce(excluded.response_preview, trace.response_preview),
        client_request_id = excluded.client_request_id,
        is_told = true
returning trace.id as "id!";

-- Creates the traces that spans are of, in a live experiment, and moves those that are there, as
-- their spans tell: an end of -1 is absent, and so are empty previews. Times that a trace's own
-- client told stay. Nothing where there is no such experiment. Until the transaction ends, nobody
-- else writes them.
-- name: openTraces :many
insert into traces as trace (
    organization_id, id, project_id, experiment_id, public_id, state, request_time_ms,
    execution_ms, request_preview, response_preview, is_told
)
select
    :organization_id,
    item.id,
    :project_id,
    experiment.resource_id,
    item.public_id,
    item.state,
    item.start_ms,
    nullif(item.end_ms, -1) - item.start_ms,
    nullif(item.request_preview, ''),
    nullif(item.response_preview, ''),
    false
from
    unnest(
        :ids::uuid[], :public_ids::text[], :states::text[], :starts_ms::bigint[],
        :ends_ms::bigint[], :request_previews::text[], :response_previews::text[]
    ) as item (id, public_id, state, start_ms, end_ms, request_preview, response_preview)
inner join resource_projects as experiment
    on
        experiment.organization_id = :organization_id
        and experiment.resource_type = 'experiment'
        and experiment.resource_id = :experiment_id
        and experiment.project_id = :project_id
order by item.public_id
on conflict (organization_id, project_id, public_id) do update
    set
        request_time_ms = case
            when trace.is_told then trace.request_time_ms
            else least(trace.request_time_ms, excluded.request_time_ms)
        end,
        execution_ms = case
            when not trace.is_told
                then greatest(
                    trace.request_time_ms + trace.execution_ms,
                    excluded.request_time_ms + excluded.execution_ms
                ) - least(trace.request_time_ms, excluded.request_time_ms)
            when trace.execution_ms is null
                then excluded.request_time_ms + excluded.execution_ms - least(
                    trace.request_time_ms, excluded.request_time_ms + excluded.execution_ms
                )
            else trace.execution_ms
        end,
        state = case
            when trace.state in ('unspecified', 'in_progress') and excluded.state <> 'in_progress'
                then excluded.state
            else trace.state
        end,
        request_preview = coalesce(trace.request_preview, excluded.request_preview),
        response_preview = coalesce(trace.response_preview, excluded.response_preview)
returning trace.id as "id!", trace.public_id as "public_id!", trace.is_told as "is_told!";

-- Sets tags of traces that the transaction holds.
-- name: writeTraceTags :exec
insert into trace_tags as tag (organization_id, trace_id, key, value)
select
    :organization_id,
    item.trace_id,
    item.key,
    item.value
from
    unnest(:trace_ids::uuid[], :keys::text[], :tag_values::text[])
        as item (trace_id, key, value)
order by item.trace_id, item.key
on conflict (organization_id, trace_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Writes metadata of traces that the transaction holds; what is there stays where `is_kept`.
-- name: writeTraceMetadata :exec
insert into trace_metadata as entry (organization_id, trace_id, key, value)
select
    :organization_id,
    item.trace_id,
    item.key,
    item.value
from
    unnest(:trace_ids::uuid[], :keys::text[], :entry_values::text[])
        as item (trace_id, key, value)
where
    not :is_kept
    or not exists (
        select
        from trace_metadata as stored
        where
            stored.organization_id = :organization_id
            and stored.trace_id = item.trace_id
            and stored.key = item.key
    )
order by item.trace_id, item.key
on conflict (organization_id, trace_id, key) do update set
    value = excluded.value
where entry.value is distinct from excluded.value;

-- Refuses traces that the transaction holds where one has more spans than it may.
-- name: checkTraceSpans :exec
select needletail_refuse('TRACE_SPAN_LIMIT_REACHED')
from unnest(:trace_ids::uuid[]) as asked (trace_id)
where
    (
        select count(*)
        from trace_spans as span
        where span.organization_id = :organization_id and span.trace_id = asked.trace_id
    ) > :count_max::bigint;

-- Refuses traces that the transaction holds where one has more tags than it may, or more bytes.
-- name: checkTraceTags :exec
select needletail_refuse('TRACE_TAG_LIMIT_REACHED')
from unnest(:trace_ids::uuid[]) as asked (trace_id)
where
    (
        select
            count(*) > :count_max::bigint
            or sum(octet_length(tag.key) + octet_length(tag.value)) > :bytes_max::bigint
        from trace_tags as tag
        where tag.organization_id = :organization_id and tag.trace_id = asked.trace_id
    );

-- Refuses traces that the transaction holds where one has more metadata than it may, or more bytes.
-- name: checkTraceMetadata :exec
select needletail_refuse('TRACE_METADATA_LIMIT_REACHED')
from unnest(:trace_ids::uuid[]) as asked (trace_id)
where
    (
        select
            count(*) > :count_max::bigint
            or sum(octet_length(entry.key) + octet_length(entry.value)) > :bytes_max::bigint
        from trace_metadata as entry
        where entry.organization_id = :organization_id and entry.trace_id = asked.trace_id
    );

-- Finds a trace of a live experiment. Until the transaction ends, nobody else writes it.
-- name: holdTrace :optional
select
    trace.id,
    array(
        select tag.key
        from trace_tags as tag
        where
            tag.organization_id = trace.organization_id
            and tag.trace_id = trace.id
            and tag.key = any(:keys::text[])
        order by tag.key
    ) as "keys!"
from traces as trace
where
    trace.organization_id = :organization_id
    and trace.project_id = :project_id
    and trace.public_id = :public_id
    and trace.experiment_id in (
        select experiment.resource_id
        from resource_projects as experiment
        where
            experiment.organization_id = :organization_id
            and experiment.resource_type = 'experiment'
            and experiment.resource_id = trace.experiment_id
    )
for no key update of trace;

-- Removes tags of a held trace.
-- name: deleteTraceTags :exec
delete from trace_tags
where organization_id = :organization_id and trace_id = :trace_id and key = any(:keys::text[]);

-- Traces of live experiments by their identifiers.
-- name: getTraces :many
select
    trace.id,
    trace.experiment_id,
    trace.public_id,
    trace.state,
    trace.request_time_ms,
    trace.execution_ms,
    trace.request_preview,
    trace.response_preview,
    trace.client_request_id
from traces as trace
inner join resource_projects as experiment
    on
        trace.organization_id = experiment.organization_id
        and trace.experiment_id = experiment.resource_id
        and experiment.resource_type = 'experiment'
where
    trace.organization_id = :organization_id
    and trace.project_id = :project_id
    and trace.public_id = any(:public_ids::text[]);

-- The tags and metadata of traces, in the order of the traces and the keys, up to the one with
-- which they are more than `bytes_max` bytes together.
-- name: listTracePairs :many
select
    found.trace_id as "trace_id!",
    found.is_tag as "is_tag!",
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        pair.trace_id,
        pair.is_tag,
        pair.key,
        pair.value,
        sum(octet_length(pair.key) + octet_length(pair.value) + 16)
            over (order by asked.place, pair.is_tag, pair.key) as bytes,
        octet_length(pair.key) + octet_length(pair.value) + 16 as own_bytes
    from unnest(:trace_ids::uuid[]) with ordinality as asked (trace_id, place)
    cross join lateral (
        select
            tag.trace_id,
            true as is_tag,
            tag.key,
            tag.value
        from trace_tags as tag
        where tag.organization_id = :organization_id and tag.trace_id = asked.trace_id
        union all
        select
            entry.trace_id,
            false as is_tag,
            entry.key,
            entry.value
        from trace_metadata as entry
        where entry.organization_id = :organization_id and entry.trace_id = asked.trace_id
    ) as pair
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.is_tag, found.key;

-- Deletes traces of a live experiment, the oldest first; returns which. Nothing where there is no
-- such experiment.
-- name: deleteTraces :optional
with doomed as (
    select trace.id
    from traces as trace
    where
        trace.organization_id = :organization_id
        and trace.experiment_id = :experiment_id
        and (not :is_named or trace.public_id = any(:public_ids::text[]))
        and trace.request_time_ms <= :request_time_ms_max
    order by trace.request_time_ms, trace.id
    limit :count_max::bigint
    for update
),

gone as (
    delete from traces as trace
    using doomed
    where trace.organization_id = :organization_id and trace.id = doomed.id
    returning trace.public_id
)

select
    array(
        select gone.public_id
        from gone
        order by gone.public_id
    ) as "public_ids!"
from resource_projects as experiment
where
    experiment.organization_id = :organization_id
    and experiment.resource_type = 'experiment'
    and experiment.resource_id = :experiment_id
    and experiment.project_id = :project_id;

-- Finds a live run of a project, and which of some traces there are.
-- name: findRunOfTraces :optional
select
    array(
        select trace.public_id
        from traces as trace
        where
            trace.organization_id = :organization_id
            and trace.project_id = :project_id
            and trace.public_id = any(:public_ids::text[])
        order by trace.public_id
    ) as "public_ids!"
from resource_projects as run
where
    run.organization_id = :organization_id
    and run.resource_type = 'run'
    and run.resource_id = :run_id
    and run.project_id = :project_id;

-- Links traces of a project to a run.
-- name: writeTraceRuns :exec
insert into trace_runs (organization_id, trace_id, run_id)
select
    :organization_id,
    trace.id,
    :run_id
from traces as trace
where
    trace.organization_id = :organization_id
    and trace.project_id = :project_id
    and trace.public_id = any(:public_ids::text[])
order by trace.id
on conflict (organization_id, trace_id, run_id) do nothing;

-- Takes links of traces to a run away.
-- name: deleteTraceRuns :exec
delete from trace_runs
where
    organization_id = :organization_id
    and run_id = :run_id
    and trace_id in (
        select trace.id
        from traces as trace
        where
            trace.organization_id = :organization_id
            and trace.project_id = :project_id
            and trace.public_id = any(:public_ids::text[])
    );

-- Removes one batch of what traces have that came before a time, or of those traces once they have
-- nothing; says how many rows went. Maintenance only.
-- name: expireTraces :one
select needletail_expire_traces(:before, :batch_size::bigint) as "removed!";
