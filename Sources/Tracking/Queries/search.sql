-- The parameters of found runs: all or those of these keys, in the order of the runs and the keys,
-- up to the one with which they are more than `bytes_max` bytes together.
-- name: listFoundParameters :many
select
    found.run_id as "run_id!",
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
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
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
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
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
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

-- The datasets of found runs, all or those of these names, as their parameters; the newest link of
-- a run first.
-- name: listFoundInputs :many
select
    page.run_id as "run_id!",
    page.context as "context!",
    page.created_at as "created_at!",
    page.name as "name!",
    page.digest as "digest!",
    page.source_type as "source_type!",
    page.source as "source!",
    page.schema_text as "schema_text!",
    page.profile_text as "profile_text!",
    case
        when page.long_profile_bytes is null then octet_length(page.profile_text)
        when
            exists (
                select from input_dataset_profiles as piece
                where
                    piece.organization_id = :organization_id
                    and piece.dataset_id = page.dataset_id
                    and piece.end_byte = page.long_profile_bytes
            )
            then page.long_profile_bytes
        else 0
    end as "profile_bytes!",
    array(
        select tag.key
        from jsonb_each_text(page.tags) as tag
        order by convert_to(tag.key, 'UTF8')
    ) as "tag_keys!",
    array(
        select tag.value
        from jsonb_each_text(page.tags) as tag
        order by convert_to(tag.key, 'UTF8')
    ) as "tag_values!",
    page.bytes as "bytes!",
    page.own_bytes as "own_bytes!"
from (
    select
        found.place,
        found.id,
        found.run_id,
        found.context,
        found.created_at,
        found.tags,
        found.name,
        found.digest,
        found.source_type,
        found.source,
        found.schema_text,
        found.profile_text,
        found.long_profile_bytes,
        found.dataset_id,
        found.own_bytes,
        sum(found.own_bytes) over (order by found.place asc, found.id desc) as bytes
    from (
        select
            asked.place,
            link.id,
            link.run_id,
            link.context,
            link.created_at,
            link.tags,
            dataset.name,
            dataset.digest,
            dataset.source_type,
            dataset.source,
            dataset.schema_text,
            dataset.profile_text,
            dataset.long_profile_bytes,
            dataset.id as dataset_id,
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
    found.key as "key!",
    found.value as "value!",
    found.bytes as "bytes!",
    found.own_bytes as "own_bytes!"
from (
    select
        asked.place,
        tag.experiment_id,
        tag.key,
        tag.value,
        sum(octet_length(tag.key) + octet_length(tag.value))
            over (order by asked.place, tag.key) as bytes,
        octet_length(tag.key) + octet_length(tag.value) as own_bytes
    from unnest(:experiment_ids::uuid[]) with ordinality as asked (experiment_id, place)
    inner join experiment_tags as tag
        on
            tag.organization_id = :organization_id
            and asked.experiment_id = tag.experiment_id
            and (:takes_all or tag.key = any(:keys::text[]))
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place, found.key;
