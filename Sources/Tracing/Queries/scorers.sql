-- Creates the next version of a scorer of a live experiment, the first one where there is none of
-- the name; nothing where there is no such experiment. Nobody else changes the scorer until the
-- transaction ends.
-- name: registerScorer :optional
with registered as (
    insert into scorers as scorer (
        organization_id, id, project_id, experiment_id, name, last_version
    )
    select
        :organization_id,
        :id,
        :project_id,
        experiment.resource_id,
        :name,
        1
    from resource_projects as experiment
    where
        experiment.organization_id = :organization_id
        and experiment.resource_type = 'experiment'
        and experiment.resource_id = :experiment_id
        and experiment.project_id = :project_id
    on conflict (organization_id, experiment_id, name) do update
        set last_version = scorer.last_version + 1
    returning scorer.id, scorer.last_version
)

insert into scorer_versions as version (
    organization_id, scorer_id, version, serialized_scorer, create_time_ms, created_by
)
select
    :organization_id,
    registered.id,
    registered.last_version,
    :serialized_scorer,
    :now_ms,
    :user_id
from registered
returning
    version.scorer_id as "scorer_id!",
    version.version as "version!";

-- Refuses a held scorer that has more versions than it may.
-- name: checkScorerVersions :exec
select needletail_refuse('SCORER_VERSION_LIMIT_REACHED')
from (
    select count(*) as count
    from scorer_versions as version
    where version.organization_id = :organization_id and version.scorer_id = :scorer_id
) as versions
where versions.count > :versions_max::bigint;

-- A version of a scorer of a live experiment, or its latest: nothing where there is no such
-- experiment, no scorer's id where there is no such scorer, no version where it has none such.
-- name: getScorer :optional
select
    scorer.id as "scorer_id?",
    version.version as "version?",
    version.serialized_scorer as "serialized_scorer?",
    version.create_time_ms as "create_time_ms?",
    version.created_by as "created_by?"
from resource_projects as experiment
left join scorers as scorer
    on
        scorer.organization_id = :organization_id
        and experiment.resource_id = scorer.experiment_id
        and scorer.name = :name
left join scorer_versions as version
    on
        version.organization_id = :organization_id
        and scorer.id = version.scorer_id
        and version.version = coalesce((:version?::bigint), scorer.last_version)
where
    experiment.organization_id = :organization_id
    and experiment.resource_type = 'experiment'
    and experiment.resource_id = :experiment_id
    and experiment.project_id = :project_id;

-- The latest versions of a page of the scorers of live experiments, all of a project or those that
-- are named, behind one of them. It ends early, with the one that goes beyond `bytes_max`.
-- name: listScorers :many
select
    page.id as "scorer_id!",
    page.experiment_id as "experiment_id!",
    page.name as "name!",
    page.version as "version!",
    page.serialized_scorer as "serialized_scorer!",
    page.create_time_ms as "create_time_ms!",
    page.created_by as "created_by!",
    page.bytes::bigint as "bytes!"
from (
    select
        found.id,
        found.experiment_id,
        found.name,
        found.version,
        found.serialized_scorer,
        found.create_time_ms,
        found.created_by,
        found.own_bytes,
        sum(found.own_bytes) over (order by found.experiment_id, found.name) as bytes
    from (
        select
            scorer.id,
            scorer.experiment_id,
            scorer.name,
            version.version,
            version.serialized_scorer,
            version.create_time_ms,
            version.created_by,
            octet_length(version.serialized_scorer) + octet_length(scorer.name) + 250 as own_bytes
        from scorers as scorer
        inner join resource_projects as experiment
            on
                experiment.organization_id = :organization_id
                and experiment.resource_type = 'experiment'
                and scorer.experiment_id = experiment.resource_id
        inner join scorer_versions as version
            on
                version.organization_id = :organization_id
                and scorer.id = version.scorer_id
                and scorer.last_version = version.version
        where
            scorer.organization_id = :organization_id
            and scorer.project_id = :project_id
            and (
                cardinality(:experiment_ids::uuid[]) = 0
                or scorer.experiment_id = any(:experiment_ids::uuid[])
            )
            and (scorer.experiment_id, scorer.name) > (:after_experiment_id, :after_name)
        order by scorer.experiment_id, scorer.name
        limit :page_size::bigint
    ) as found
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.experiment_id, page.name;

-- A page of the versions of a scorer, the oldest first, behind one of them. It ends early, with the
-- one that goes beyond `bytes_max`.
-- name: listScorerVersions :many
select
    page.version as "version!",
    page.serialized_scorer as "serialized_scorer!",
    page.create_time_ms as "create_time_ms!",
    page.created_by as "created_by!",
    page.bytes::bigint as "bytes!"
from (
    select
        found.version,
        found.serialized_scorer,
        found.create_time_ms,
        found.created_by,
        found.own_bytes,
        sum(found.own_bytes) over (order by found.version) as bytes
    from (
        select
            version.version,
            version.serialized_scorer,
            version.create_time_ms,
            version.created_by,
            octet_length(version.serialized_scorer) + :name_bytes::bigint + 250 as own_bytes
        from scorer_versions as version
        where
            version.organization_id = :organization_id
            and version.scorer_id = :scorer_id
            and version.version > :after_version
        order by version.version
        limit :page_size::bigint
    ) as found
) as page
where page.bytes - page.own_bytes <= :bytes_max::bigint
order by page.version;

-- Lets nobody else change a scorer of a live experiment until the transaction ends; refuses where
-- there is none.
-- name: holdScorer :exec
with live as (
    select experiment.resource_id
    from resource_projects as experiment
    where
        experiment.organization_id = :organization_id
        and experiment.resource_type = 'experiment'
        and experiment.resource_id = :experiment_id
        and experiment.project_id = :project_id
),

held as materialized (
    select scorer.id
    from scorers as scorer
    where
        scorer.organization_id = :organization_id
        and scorer.experiment_id = :experiment_id
        and scorer.name = :name
    for no key update of scorer
)

select
    needletail_refuse(
        case
            when exists (select from live) then 'SCORER_NOT_FOUND'
            else 'SCORER_EXPERIMENT_NOT_FOUND'
        end
    )
where not (exists (select from live) and exists (select from held));

-- Deletes one version of a held scorer or all, and with the last the scorer; says how many.
-- name: deleteScorer :optional
with doomed as (
    select
        scorer.id,
        scorer.last_version,
        (
            -- What is deleted beside this is still seen.
            select max(version.version)
            from scorer_versions as version
            where
                version.organization_id = :organization_id
                and version.scorer_id = scorer.id
                and version.version <> :version?::bigint
        ) as next_version
    from scorers as scorer
    where
        scorer.organization_id = :organization_id
        and scorer.experiment_id = :experiment_id
        and scorer.name = :name
),

gone as (
    delete from scorer_versions as version
    using doomed
    where
        version.organization_id = :organization_id
        and version.scorer_id = doomed.id
        and version.version = coalesce(:version?::bigint, version.version)
    returning version.version
),

changed as (
    update scorers as scorer
    set last_version = doomed.next_version
    from doomed
    where
        scorer.organization_id = :organization_id
        and scorer.id = doomed.id
        and doomed.next_version <> doomed.last_version
),

emptied as (
    delete from scorers as scorer
    using doomed
    where
        scorer.organization_id = :organization_id
        and scorer.id = doomed.id
        and doomed.next_version is null
)

select
    doomed.id as "scorer_id!",
    (select count(*) from gone) as "count!"
from doomed;
