-- Writes spans of traces that the transaction holds; those that are there are replaced. What is
-- empty in `parent_span_ids` and `types` is absent, and so is an end before 1970.
-- name: writeSpans :exec
insert into trace_spans (
    organization_id, trace_id, span_id, parent_span_id, name, type, status, start_ns, end_ns,
    content
)
select
    :organization_id,
    item.trace_id,
    item.span_id,
    nullif(item.parent_span_id, ''),
    item.name,
    nullif(item.type, ''),
    item.status,
    item.start_ns,
    nullif(item.end_ns, -1),
    item.content
from
    unnest(
        :trace_ids::uuid[], :span_ids::text[], :parent_span_ids::text[], :names::text[],
        :types::text[], :statuses::text[], :starts_ns::bigint[], :ends_ns::bigint[],
        :contents::text[]
    ) as item (
        trace_id, span_id, parent_span_id, name, type, status, start_ns, end_ns, content
    )
on conflict (organization_id, trace_id, span_id) do update set
    parent_span_id = excluded.parent_span_id,
    name = excluded.name,
    type = excluded.type,
    status = excluded.status,
    start_ns = excluded.start_ns,
    end_ns = excluded.end_ns,
    content = excluded.content;

-- A page of the spans of traces, by (trace, span), behind a place. It ends early, with the one that
-- goes beyond `bytes_max`.
-- name: listSpans :many
select
    page.trace_id as "trace_id!",
    page.span_id as "span_id!",
    page.parent_span_id as "parent_span_id?",
    page.name as "name!",
    page.type as "type?",
    page.status as "status!",
    page.start_ns as "start_ns!",
    page.end_ns as "end_ns?",
    page.content as "content!",
    page.bytes as "bytes!"
from (
    select
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.name,
        span.type,
        span.status,
        span.start_ns,
        span.end_ns,
        span.content,
        span.own_bytes,
        sum(span.own_bytes) over (order by span.trace_id, span.span_id) as bytes
    from (
        select
            stored.trace_id,
            stored.span_id,
            stored.parent_span_id,
            stored.name,
            stored.type,
            stored.status,
            stored.start_ns,
            stored.end_ns,
            stored.content,
            octet_length(stored.content) + octet_length(stored.name)
            + octet_length(stored.span_id) + octet_length(stored.status)
            + coalesce(octet_length(stored.parent_span_id), 0)
            + coalesce(octet_length(stored.type), 0) + 350 as own_bytes
        from trace_spans as stored
        where
            stored.organization_id = :organization_id
            and stored.trace_id = any(:trace_ids::uuid[])
            and (stored.trace_id, stored.span_id) > (:after_trace_id, :after_span_id)
        order by stored.trace_id, stored.span_id
        limit :page_size::bigint
    ) as span
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.trace_id, page.span_id;
