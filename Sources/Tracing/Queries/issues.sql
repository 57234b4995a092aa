-- Creates an issue.
-- name: createIssue :exec
insert into issues (
    organization_id, id, project_id, experiment_id, name, description, status, severity,
    root_causes, categories, source_run_id, author, create_time_ms, update_time_ms
)
values (
    :organization_id,
    :id,
    :project_id,
    :experiment_id,
    :name,
    :description,
    :status,
    :severity?,
    :root_causes::text[],
    :categories::text[],
    :source_run_id?,
    :author?,
    :now_ms,
    :now_ms
);

-- Refuses an experiment, or a run where one is named, that is not live, or in another project.
-- name: checkIssueOwners :exec
select needletail_refuse(asked.refusal)
from (
    values
    ('experiment', :experiment_id::uuid, 'ISSUE_EXPERIMENT_NOT_FOUND'),
    ('run', :source_run_id?::uuid, 'ISSUE_RUN_NOT_FOUND')
) as asked (resource_type, resource_id, refusal)
where
    asked.resource_id is not null
    and not exists (
        select
        from resource_projects as live
        where
            live.organization_id = :organization_id
            and live.resource_type = asked.resource_type
            and live.resource_id = asked.resource_id
            and live.project_id = :project_id
    );

-- Lets nobody else change an issue until the transaction ends; refuses where there is none.
-- name: holdIssue :exec
with held as materialized (
    select issue.id
    from issues as issue
    where
        issue.organization_id = :organization_id
        and issue.project_id = :project_id
        and issue.id = :id
    for no key update of issue
)

select needletail_refuse('ISSUE_NOT_FOUND')
where not exists (select from held);

-- Writes the fields of a held issue that may change.
-- name: updateIssue :exec
update issues
set
    name = :name,
    description = :description,
    status = :status,
    severity = :severity?,
    update_time_ms = :now_ms
where organization_id = :organization_id and id = :id;

-- Issues of a project by their ids, in that order, up to the one with which they are more than
-- `bytes_max` bytes together.
-- name: getIssues :many
select
    found.id as "id!",
    found.project_id as "project_id!",
    found.experiment_id as "experiment_id!",
    found.name as "name!",
    found.description as "description!",
    found.status as "status!",
    found.severity as "severity?",
    found.root_causes as "root_causes!",
    found.categories as "categories!",
    found.source_run_id as "source_run_id?",
    found.author as "author?",
    found.create_time_ms as "create_time_ms!",
    found.update_time_ms as "update_time_ms!",
    found.counted as "trace_count?",
    found.bytes as "bytes!"
from (
    select
        asked.place,
        issue.*,
        case when :with_trace_counts::boolean then issue.trace_count end as counted,
        sized.bytes as own_bytes,
        (sum(sized.bytes) over (order by asked.place))::bigint as bytes
    from unnest(:ids::uuid[]) with ordinality as asked (id, place)
    inner join live_issues as issue
        on asked.id = issue.id
    cross join
        lateral (
            select
                octet_length(issue.name) + octet_length(issue.description)
                + octet_length(array_to_string(issue.root_causes, ''))
                + octet_length(array_to_string(issue.categories, '')) + 2000 as bytes
        ) as sized
    where issue.organization_id = :organization_id and issue.project_id = :project_id
) as found
where found.bytes - found.own_bytes <= :bytes_max::bigint
order by found.place;
