-- A held run with the caller's role in its project, how many datasets it is linked to, and which of
-- those that are asked for are linked already, by their place in the question. Without a context
-- one asks for no more than any link to the dataset says.
-- name: getRunToGiveInputs :optional
select
    run.project_id,
    needletail_project_role(run.project_id, :user_id) as "role?",
    (
        select count(*)
        from run_inputs as link
        where link.organization_id = run.organization_id and link.run_id = run.id
    ) as "link_count!",
    array(
        select asked.place
        from
            unnest(:names::text[], :digests::text[], :contexts::text[])
            with ordinality as asked (name, digest, context, place)
        where
            exists (
                select from run_inputs as link
                where
                    link.organization_id = run.organization_id
                    and link.run_id = run.id
                    and link.dataset_id = (
                        select dataset.id
                        from input_datasets as dataset
                        where
                            dataset.organization_id = run.organization_id
                            and dataset.project_id = run.project_id
                            and dataset.name = asked.name
                            and dataset.digest = asked.digest
                    )
                    and asked.context in (link.context, '')
            )
        order by asked.place
    ) as "linked_places!"
from runs as run
where run.organization_id = :organization_id and run.id = :id and run.deleted_at is null;

-- Keeps datasets of a project that it does not have yet. In the order of their names, so that two
-- who bring the same ones do not wait for each other.
-- name: writeInputDatasets :exec
insert into input_datasets (
    organization_id, id, project_id, name, digest, source_type, source, schema_text, profile_text,
    long_profile_bytes
)
select
    :organization_id,
    item.id,
    :project_id,
    item.name,
    item.digest,
    item.source_type,
    item.source,
    item.schema_text,
    item.profile_text,
    nullif(item.long_profile_bytes, 0)
from
    unnest(
        :ids::uuid[], :names::text[], :digests::text[], :source_types::text[], :sources::text[],
        :schema_texts::text[], :profile_texts::text[], :long_profile_bytes::bigint[]
    ) as item (
        id, name, digest, source_type, source, schema_text, profile_text, long_profile_bytes
    )
order by item.name, item.digest
on conflict (organization_id, project_id, name, digest) do nothing;

-- Links a held run to datasets that its project has.
-- name: writeRunInputs :exec
insert into run_inputs (organization_id, id, run_id, dataset_id, context, tags)
select
    :organization_id,
    item.id,
    :run_id,
    dataset.id as dataset_id,
    item.context,
    item.tags_json::jsonb
from
    unnest(
        :ids::uuid[], :names::text[], :digests::text[], :contexts::text[], :tags_json::text[]
    ) as item (id, name, digest, context, tags_json)
inner join input_datasets as dataset
    on item.name = dataset.name and item.digest = dataset.digest
where dataset.organization_id = :organization_id and dataset.project_id = :project_id;

-- A page of the datasets of a run, the newest link first, before `before_id` (absent: from the
-- newest). `bytes` are those of the texts up to a row; the page ends early, with the one that goes
-- beyond `bytes_max`.
-- name: listRunInputs :many
select
    page.id as "id!",
    -- part: dataset_columns
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
    page.bytes as "bytes!"
    -- end of dataset_columns
from (
    select
        found.id,
        -- part: found_dataset
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
        -- end of found_dataset
        sum(found.own_bytes) over (order by found.id desc) as bytes
    from (
        select
            link.id,
            -- part: linked_dataset
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
            -- end of linked_dataset
            octet_length(dataset.source) + octet_length(dataset.schema_text)
            + octet_length(dataset.profile_text) + octet_length(link.tags::text)
                as own_bytes
        from (
            select
                newest.id,
                newest.dataset_id,
                newest.context,
                newest.created_at,
                newest.tags
            from run_inputs as newest
            where
                newest.organization_id = :organization_id
                and newest.run_id = :run_id
                and newest.id
                < coalesce(  -- noqa: RF03
                    :before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
                )
            order by newest.id desc
            limit :page_size::bigint
        ) as link
        inner join input_datasets as dataset
            on dataset.organization_id = :organization_id and link.dataset_id = dataset.id
    ) as found
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.id desc;

-- A page of the datasets that live runs of experiments read, each once, after a place; from the
-- first: the nil UUID and empty texts. `sees_all_projects`: administrators see whatever is not
-- deleted, which is a shorter look.
-- name: listDatasets :many
select
    run.experiment_id,
    dataset.name,
    dataset.digest,
    link.context
from runs as run
inner join run_inputs as link
    on run.organization_id = link.organization_id and run.id = link.run_id
inner join input_datasets as dataset
    on link.organization_id = dataset.organization_id and link.dataset_id = dataset.id
where
    run.organization_id = :organization_id
    and run.experiment_id = any(:experiment_ids::uuid[])
    and run.deleted_at is null
    and (run.experiment_id, dataset.name, dataset.digest, link.context)
    > (:after_experiment_id::uuid, :after_name, :after_digest, :after_context)
    and case
        when :sees_all_projects
            then
                not exists (
                    select from deleted_projects as gone
                    where
                        gone.organization_id = run.organization_id
                        and gone.project_id = run.project_id
                )
        else needletail_sees_project(run.project_id, :user_id)
    end
group by run.experiment_id, dataset.name, dataset.digest, link.context
order by run.experiment_id, dataset.name, dataset.digest, link.context
limit :page_size::bigint;

-- A held run with the caller's role in its project, how many models it is linked to, and which of
-- those that are asked for are linked already, by their place in the question.
-- name: getRunToGiveModels :optional
select
    run.project_id,
    needletail_project_role(run.project_id, :user_id) as "role?",
    (
        select count(*)
        from run_models as link
        where link.organization_id = run.organization_id and link.run_id = run.id
    ) as "link_count!",
    array(
        select asked.place
        from
            unnest(:roles::text[], :names::text[], :artifact_paths::text[], :steps::bigint[])
            with ordinality as asked (role, name, artifact_path, step, place)
        inner join run_models as link
            on
                asked.role = link.role
                and asked.name = link.name
                and asked.artifact_path = link.artifact_path
                and asked.step = link.step
        where link.organization_id = run.organization_id and link.run_id = run.id
        order by asked.place
    ) as "linked_places!"
from runs as run
where run.organization_id = :organization_id and run.id = :id and run.deleted_at is null;

-- Links a held run to models.
-- name: writeRunModels :exec
insert into run_models (organization_id, id, run_id, role, name, artifact_path, step)
select
    :organization_id,
    item.id,
    :run_id,
    item.role,
    item.name,
    item.artifact_path,
    item.step
from unnest(
    :ids::uuid[], :roles::text[], :names::text[], :artifact_paths::text[], :steps::bigint[]
) as item (id, role, name, artifact_path, step);

-- A page of the models of a run, the newest link first.
-- name: listRunModels :many
select
    link.id,
    link.role,
    link.name,
    link.artifact_path,
    link.step,
    link.created_at
from run_models as link
where
    link.organization_id = :organization_id
    and link.run_id = :run_id
    and link.id < coalesce(  -- noqa: RF03
        :before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
    )
    and link.role = coalesce(:role?::text, link.role)
order by link.id desc
limit :page_size::bigint;
