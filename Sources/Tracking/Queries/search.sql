-- What comes along with found runs is read a row a run, with an array a column: a row a pair costs
-- more than twice as much.

-- The parameters of found runs: all or those of these keys, in the order of the keys, a row a run
-- that has any, in the order of the runs, up to the one with which they are more than `bytes_max`
-- bytes together. Of that one only the bytes come.
-- name: listFoundParameters :many
select
    found.run_id as "run_id!",
    -- part: found_pairs
    case when found.bytes <= :bytes_max::bigint then found.keys else '{}' end as "keys!",
    case when found.bytes <= :bytes_max::bigint then found.pair_values else '{}' end
        as "pair_values!",
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
    -- end of found_pairs
from (
    select
        asked.place,
        asked.run_id,
        -- part: own_pairs
        own.keys,
        own.pair_values,
        own.bytes as own_bytes,
        (sum(own.bytes) over (order by asked.place))::bigint as bytes
        -- end of own_pairs
    from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
    cross join
        lateral (
            select
                -- part: pairs
                array_agg(pair.key) as keys,
                array_agg(pair.value) as pair_values,
                sum(octet_length(pair.key) + octet_length(pair.value)) as bytes
                -- end of pairs
            from (
                select
                    parameter.key,
                    parameter.value
                from run_parameters as parameter
                where
                    parameter.organization_id = :organization_id
                    and parameter.run_id = asked.run_id
                    and (:takes_all or parameter.key = any(:keys::text[]))
                order by parameter.key
            ) as pair
        ) as own
    where own.bytes is not null
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;

-- The tags of found runs, as their parameters.
-- name: listFoundTags :many
select
    found.run_id as "run_id!",
    part('found_pairs')
from (
    select
        asked.place,
        asked.run_id,
        part('own_pairs')
    from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
    cross join
        lateral (
            select part('pairs')
            from (
                select
                    tag.key,
                    tag.value
                from run_tags as tag
                where
                    tag.organization_id = :organization_id
                    and tag.run_id = asked.run_id
                    and (:takes_all or tag.key = any(:keys::text[]))
                order by tag.key
            ) as pair
        ) as own
    where own.bytes is not null
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;

-- The metrics of found runs, as their parameters; each counts as its key and 64 bytes.
-- name: listFoundMetrics :many
select
    found.run_id as "run_id!",
    case when found.bytes <= :bytes_max::bigint then found.keys else '{}' end
        as "keys!",
    case when found.bytes <= :bytes_max::bigint then found.point_counts else '{}' end
        as "point_counts!",
    case when found.bytes <= :bytes_max::bigint then found.first_steps else '{}' end
        as "first_steps!",
    case when found.bytes <= :bytes_max::bigint then found.last_steps else '{}' end
        as "last_steps!",
    case when found.bytes <= :bytes_max::bigint then found.last_times_us else '{}' end
        as "last_times_us!",
    case when found.bytes <= :bytes_max::bigint then found.last_values else '{}' end
        as "last_values!",
    case when found.bytes <= :bytes_max::bigint then found.min_values else '{}' end
        as "min_values!",
    case when found.bytes <= :bytes_max::bigint then found.max_values else '{}' end
        as "max_values!",
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
from (
    select
        asked.place,
        asked.run_id,
        own.keys,
        own.point_counts,
        own.first_steps,
        own.last_steps,
        own.last_times_us,
        own.last_values,
        own.min_values,
        own.max_values,
        own.bytes as own_bytes,
        (sum(own.bytes) over (order by asked.place))::bigint as bytes
    from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
    cross join
        lateral (
            select
                array_agg(summary.key) as keys,
                array_agg(summary.point_count) as point_counts,
                array_agg(summary.first_step) as first_steps,
                array_agg(summary.last_step) as last_steps,
                array_agg(summary.last_time_us) as last_times_us,
                array_agg(summary.last_value) as last_values,
                array_agg(summary.min_value) as min_values,
                array_agg(summary.max_value) as max_values,
                sum(octet_length(summary.key) + 64) as bytes
            from (
                select
                    stored.key,
                    stored.point_count,
                    stored.first_step,
                    stored.last_step,
                    stored.last_time_us,
                    stored.last_value,
                    stored.min_value,
                    stored.max_value
                from run_metric_summaries as stored
                where
                    stored.organization_id = :organization_id
                    and stored.run_id = asked.run_id
                    and (:takes_all or stored.key = any(:keys::text[]))
                order by stored.key
            ) as summary
        ) as own
    where own.bytes is not null
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;

-- The datasets of found runs, all or those of these names, as their parameters; the newest link of
-- a run first.
-- name: listFoundInputs :many
select
    page.run_id as "run_id!",
    part('dataset_columns'),
    page.own_bytes as "own_bytes!"
from (
    select
        found.place,
        found.id,
        found.run_id,
        part('found_dataset'),
        sum(found.own_bytes) over (order by found.place asc, found.id desc) as bytes
    from (
        select
            asked.place,
            link.id,
            link.run_id,
            part('linked_dataset'),
            octet_length(dataset.name) + octet_length(link.context) + 256
            + octet_length(dataset.source) + octet_length(dataset.schema_text)
            + octet_length(dataset.profile_text) + octet_length(link.tags::text)
                as own_bytes
        from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
        inner join run_inputs as link
            on link.organization_id = :organization_id and asked.run_id = link.run_id
        inner join input_datasets as dataset
            on
                dataset.organization_id = :organization_id
                and link.dataset_id = dataset.id
                and (:takes_all or dataset.name = any(:names::text[]))
    ) as found
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.place asc, page.id desc;

-- The models of found runs, as their datasets; each counts as its texts and 64 bytes.
-- name: listFoundModels :many
select
    page.run_id as "run_id!",
    page.role as "role!",
    page.name as "name!",
    page.artifact_path as "artifact_path!",
    page.step as "step!",
    page.created_at as "created_at!",
    page.bytes as "bytes!",
    page.own_bytes as "own_bytes!"
from (
    select
        found.place,
        found.id,
        found.run_id,
        found.role,
        found.name,
        found.artifact_path,
        found.step,
        found.created_at,
        found.own_bytes,
        sum(found.own_bytes) over (order by found.place asc, found.id desc) as bytes
    from (
        select
            asked.place,
            link.id,
            link.run_id,
            link.role,
            link.name,
            link.artifact_path,
            link.step,
            link.created_at,
            octet_length(link.name) + octet_length(link.artifact_path) + 64 as own_bytes
        from unnest(:run_ids::uuid[]) with ordinality as asked (run_id, place)
        inner join run_models as link
            on
                link.organization_id = :organization_id
                and asked.run_id = link.run_id
                and (:takes_all or link.name = any(:names::text[]))
    ) as found
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.place asc, page.id desc;

-- The tags of found experiments, as those of runs.
-- name: listFoundExperimentTags :many
select
    found.experiment_id as "experiment_id!",
    part('found_pairs')
from (
    select
        asked.place,
        asked.experiment_id,
        part('own_pairs')
    from unnest(:experiment_ids::uuid[]) with ordinality as asked (experiment_id, place)
    cross join
        lateral (
            select part('pairs')
            from (
                select
                    tag.key,
                    tag.value
                from experiment_tags as tag
                where
                    tag.organization_id = :organization_id
                    and tag.experiment_id = asked.experiment_id
                    and (:takes_all or tag.key = any(:keys::text[]))
                order by tag.key
            ) as pair
        ) as own
    where own.bytes is not null
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;
