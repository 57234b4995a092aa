-- The parameters of found runs: all or those of these keys, in the order of the runs and the keys,
-- up to the one with which they are more than `bytes_max` bytes together.
-- name: listFoundParameters :many
select
    found.run_id as "run_id!",
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        parameter.run_id,
        parameter.key,
        parameter.value,
        sum(octet_length(parameter.key) + octet_length(parameter.value))
            over (order by asked.place, parameter.key) as bytes,
        octet_length(parameter.key) + octet_length(parameter.value) as own_bytes
    from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
    inner join run_parameters as parameter
        on
            parameter.organization_id = :organization_id
            and asked.run_id = parameter.run_id
            and (:takes_all or parameter.key = any(:keys::text[]))
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.key;

-- The tags of found runs, as their parameters.
-- name: listFoundTags :many
select
    found.run_id as "run_id!",
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        tag.run_id,
        tag.key,
        tag.value,
        sum(octet_length(tag.key) + octet_length(tag.value))
            over (order by asked.place, tag.key) as bytes,
        octet_length(tag.key) + octet_length(tag.value) as own_bytes
    from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
    inner join run_tags as tag
        on
            tag.organization_id = :organization_id
            and asked.run_id = tag.run_id
            and (:takes_all or tag.key = any(:keys::text[]))
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.key;

-- The metrics of found runs, as their parameters; each counts as its key and 64 bytes.
-- name: listFoundMetrics :many
select
    found.run_id as "run_id!",
    found.key as "key!",
    found.point_count as "point_count!",
    found.first_step as "first_step!",
    found.last_step as "last_step!",
    found.last_time_us as "last_time_us!",
    found.last_value as "last_value!",
    found.min_value as "min_value!",
    found.max_value as "max_value!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        summary.run_id,
        summary.key,
        summary.point_count,
        summary.first_step,
        summary.last_step,
        summary.last_time_us,
        summary.last_value,
        summary.min_value,
        summary.max_value,
        sum(octet_length(summary.key) + 64)
            over (order by asked.place, summary.key) as bytes,
        octet_length(summary.key) + 64 as own_bytes
    from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
    inner join run_metric_summaries as summary
        on
            summary.organization_id = :organization_id
            and asked.run_id = summary.run_id
            and (:takes_all or summary.key = any(:keys::text[]))
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.key;
