-- Creates an evaluation dataset without records.
-- name: createEvaluationDataset :exec
insert into evaluation_datasets (
    organization_id, id, project_id, name, digest, author, last_author, create_time_ms,
    update_time_ms
)
values (
    :organization_id,
    :id,
    :project_id,
    :name,
    needletail_evaluation_digest(:name, :now_ms),
    :author?,
    :author?,
    :now_ms,
    :now_ms
);

-- Lets nobody else change an evaluation dataset until the transaction ends; refuses where there is
-- none.
-- name: holdEvaluationDataset :exec
with held as materialized (
    select dataset.id
    from evaluation_datasets as dataset
    where
        dataset.organization_id = :organization_id
        and dataset.project_id = :project_id
        and dataset.id = :id
    for no key update of dataset
)

select needletail_refuse('EVALUATION_DATASET_NOT_FOUND')
where not exists (select from held);

-- Sets tags of a held evaluation dataset.
-- name: writeEvaluationDatasetTags :exec
insert into evaluation_dataset_tags as tag (organization_id, evaluation_dataset_id, key, value)
select
    :organization_id,
    :id,
    item.key,
    item.value
from unnest(:keys::text[], :tag_values::text[]) as item (key, value)
order by item.key
on conflict (organization_id, evaluation_dataset_id, key) do update set
    value = excluded.value
where tag.value is distinct from excluded.value;

-- Removes tags of a held evaluation dataset.
-- name: deleteEvaluationDatasetTags :exec
delete from evaluation_dataset_tags
where
    organization_id = :organization_id
    and evaluation_dataset_id = :id
    and key = any(:keys::text[]);

-- Refuses a held evaluation dataset that has more tags than it may, more bytes of them, or more
-- experiments.
-- name: checkEvaluationDataset :exec
with tags as (
    select
        count(*) as count,
        coalesce(sum(octet_length(tag.key) + octet_length(tag.value)), 0) as bytes
    from evaluation_dataset_tags as tag
    where tag.organization_id = :organization_id and tag.evaluation_dataset_id = :id
),

links as (
    select count(*) as count
    from evaluation_dataset_experiments as link
    where link.organization_id = :organization_id and link.evaluation_dataset_id = :id
)

select
    needletail_refuse(
        case
            when links.count > :experiments_max::bigint
                then 'EVALUATION_EXPERIMENT_LIMIT_REACHED'
            else 'EVALUATION_TAG_LIMIT_REACHED'
        end
    )
from tags
cross join links
where
    tags.count > :tags_max::bigint
    or tags.bytes > :bytes_max::bigint
    or links.count > :experiments_max::bigint;

-- Refuses experiments of which one is not live, or in another project.
-- name: checkEvaluationExperiments :exec
select needletail_refuse('EVALUATION_EXPERIMENT_NOT_FOUND')
from unnest(:experiment_ids::uuid[]) as asked (experiment_id)
where
    not exists (
        select
        from resource_projects as experiment
        where
            experiment.organization_id = :organization_id
            and experiment.resource_type = 'experiment'
            and experiment.resource_id = asked.experiment_id
            and experiment.project_id = :project_id
    );

-- Changes in which experiments a held evaluation dataset is used.
-- name: linkEvaluationDataset :exec
with gone as (
    delete from evaluation_dataset_experiments as link
    where
        link.organization_id = :organization_id
        and link.evaluation_dataset_id = :id
        and link.experiment_id = any(:removed_ids::uuid[])
    returning link.experiment_id
),

made as (
    insert into evaluation_dataset_experiments (
        organization_id, evaluation_dataset_id, experiment_id
    )
    select
        :organization_id,
        :id,
        asked.experiment_id
    from unnest(:added_ids::uuid[]) as asked (experiment_id)
    order by asked.experiment_id
    on conflict (organization_id, evaluation_dataset_id, experiment_id) do nothing
    returning experiment_id
)

update evaluation_datasets
set update_time_ms = :now_ms
where
    organization_id = :organization_id
    and id = :id
    and (
        cardinality(:added_ids::uuid[]) > 0
        or exists (select from gone)
        or exists (select from made)
    );

-- Deletes an evaluation dataset with all that it has; returns its name.
-- name: deleteEvaluationDataset :optional
delete from evaluation_datasets
where organization_id = :organization_id and project_id = :project_id and id = :id
returning name;

-- Evaluation datasets of a project by their ids, in that order, up to the one with which they are
-- more than `bytes_max` bytes together.
-- name: getEvaluationDatasets :many
select
    found.id as "id!",
    found.project_id as "project_id!",
    found.name as "name!",
    found.digest as "digest!",
    found.schema as "schema?",
    found.record_count as "record_count!",
    found.author as "author?",
    found.last_author as "last_author?",
    found.create_time_ms as "create_time_ms!",
    found.update_time_ms as "update_time_ms!",
    array(
        select tag.key
        from evaluation_dataset_tags as tag
        where tag.organization_id = :organization_id and tag.evaluation_dataset_id = found.id
        order by tag.key
    ) as "tag_keys!",
    array(
        select tag.value
        from evaluation_dataset_tags as tag
        where tag.organization_id = :organization_id and tag.evaluation_dataset_id = found.id
        order by tag.key
    ) as "tag_values!",
    array(
        select link.experiment_id
        from evaluation_dataset_experiments as link
        where link.organization_id = :organization_id and link.evaluation_dataset_id = found.id
        order by link.experiment_id
    ) as "experiment_ids!",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        dataset.*,
        sized.bytes as own_bytes,
        (sum(sized.bytes) over (order by asked.place))::bigint as bytes
    from unnest(:ids::uuid[]) with ordinality as asked (id, place)
    inner join evaluation_datasets as dataset
        on asked.id = dataset.id
    cross join
        lateral (
            select
                coalesce(octet_length(dataset.schema), 0) + 1500
                + (
                    select coalesce(sum(octet_length(tag.key) + octet_length(tag.value) + 16), 0)
                    from evaluation_dataset_tags as tag
                    where
                        tag.organization_id = :organization_id
                        and tag.evaluation_dataset_id = dataset.id
                )
                + 40 * (
                    select count(*)
                    from evaluation_dataset_experiments as link
                    where
                        link.organization_id = :organization_id
                        and link.evaluation_dataset_id = dataset.id
                ) as bytes
        ) as sized
    where dataset.organization_id = :organization_id and dataset.project_id = :project_id
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;

-- Writes records of an evaluation dataset; nothing where there is none. What is empty is absent.
-- name: writeEvaluationRecords :optional
select
    written.inserted as "inserted!",
    written.updated as "updated!"
from needletail_write_evaluation_records(
    :organization_id, :project_id, :dataset_id, :ids::uuid[], :inputs::text[], :outputs::text[],
    :expectations::text[], :tags::text[], :sources::text[], :authors::text[], :now_ms, :count_max
) as written;

-- A page of the records of an evaluation dataset, the oldest first, behind one of them. It ends
-- early, with the one that goes beyond `bytes_max`.
-- name: listEvaluationRecords :many
select
    page.id as "id!",
    page.inputs as "inputs!",
    page.outputs as "outputs?",
    page.expectations as "expectations?",
    page.tags as "tags?",
    page.source as "source?",
    page.author as "author?",
    page.last_author as "last_author?",
    page.create_time_ms as "create_time_ms!",
    page.update_time_ms as "update_time_ms!",
    page.bytes as "bytes!"
from (
    select
        record.id,
        record.inputs,
        record.outputs,
        record.expectations,
        record.tags,
        record.source,
        record.author,
        record.last_author,
        record.create_time_ms,
        record.update_time_ms,
        record.own_bytes,
        sum(record.own_bytes) over (order by record.id) as bytes
    from (
        select
            stored.id,
            stored.inputs,
            stored.outputs,
            stored.expectations,
            stored.tags,
            stored.source,
            stored.author,
            stored.last_author,
            stored.create_time_ms,
            stored.update_time_ms,
            octet_length(stored.inputs) + coalesce(octet_length(stored.outputs), 0)
            + coalesce(octet_length(stored.expectations), 0)
            + coalesce(octet_length(stored.tags), 0)
            + coalesce(octet_length(stored.source), 0) + 700 as own_bytes
        from evaluation_records as stored
        where
            stored.organization_id = :organization_id
            and stored.evaluation_dataset_id = :dataset_id
            and stored.id > :after_id
        order by stored.id
        limit :page_size::bigint
    ) as record
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.id;

-- Deletes records of an evaluation dataset; says how many. Nothing where there is no such dataset.
-- name: deleteEvaluationRecords :optional
with held as (
    select dataset.id
    from evaluation_datasets as dataset
    where
        dataset.organization_id = :organization_id
        and dataset.project_id = :project_id
        and dataset.id = :dataset_id
    for no key update of dataset
),

gone as (
    delete from evaluation_records as record
    using held
    where
        record.organization_id = :organization_id
        and record.evaluation_dataset_id = held.id
        and record.id = any(:ids::uuid[])
    returning record.id
),

counted as (
    update evaluation_datasets as dataset
    set record_count = dataset.record_count - (select count(*) from gone)
    from held
    where dataset.organization_id = :organization_id and dataset.id = held.id
)

select (select count(*) from gone) as "count!"
from held;
