-- Issues: what is wrong with applications, as their traces show.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- What is wrong with the application of an experiment. The traces that show it have assessments
-- with its id as their name. Times are in milliseconds since 1970, the author as clients tell.
create table issues (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    experiment_id uuid not null,
    name text collate "C" not null,
    description text not null,
    status text not null,
    severity text,
    -- The worst have the greatest: searches go by it.
    severity_rank bigint not null generated always as (
        case severity
            when 'not_an_issue' then 1
            when 'low' then 2
            when 'medium' then 3
            when 'high' then 4
            else 0
        end
    ) stored,
    root_causes text[] not null,
    categories text[] not null,
    source_run_id uuid,
    author text collate "C",
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint issues_pkey primary key (organization_id, id),
    constraint issues_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete cascade,
    constraint issues_source_run_id_fkey
    foreign key (organization_id, source_run_id)
    references runs (organization_id, id) on delete set null (source_run_id),
    constraint issues_name_check check (char_length(name) between 1 and 250),
    constraint issues_description_check check (octet_length(description) <= 65536),
    constraint issues_status_check check (status in ('pending', 'rejected', 'resolved')),
    constraint issues_severity_check
    check (severity in ('not_an_issue', 'low', 'medium', 'high')),
    constraint issues_root_causes_check check (
        cardinality(root_causes) <= 100
        and array_position(root_causes, null) is null
        and octet_length(array_to_string(root_causes, '')) <= 65536
    ),
    constraint issues_categories_check check (
        cardinality(categories) <= 100
        and array_position(categories, null) is null
        and char_length(array_to_string(categories, '')) <= 25000
    ),
    constraint issues_author_check check (octet_length(author) <= 250)
);
create index idx_issues_experiment
on issues (organization_id, experiment_id, severity_rank, create_time_ms, id);
create index idx_issues_project
on issues (organization_id, project_id, severity_rank, create_time_ms, id);
create index idx_issues_source_run on issues (organization_id, source_run_id)
where source_run_id is not null;

select needletail_isolate('issues');

grant select, insert, update, delete on issues to needletail_app, needletail_maintenance;

-- The issues of experiments that are there, with how many traces of their project show each.
create view live_issues with (security_invoker = true) as
select
    issue.organization_id,
    issue.id,
    issue.project_id,
    issue.experiment_id,
    issue.name,
    issue.description,
    issue.status,
    issue.severity,
    issue.severity_rank,
    issue.root_causes,
    issue.categories,
    issue.source_run_id,
    issue.author,
    issue.create_time_ms,
    issue.update_time_ms,
    (
        select count(distinct assessment.trace_id)
        from trace_assessments as assessment
        inner join traces as trace
            on
                assessment.organization_id = trace.organization_id
                and assessment.trace_id = trace.id
        inner join experiments as place
            on
                trace.organization_id = place.organization_id
                and trace.experiment_id = place.id
        where
            assessment.organization_id = issue.organization_id
            and assessment.name = issue.id::text
            and assessment.kind = 'issue'
            and assessment.is_valid
            and trace.project_id = issue.project_id
            and place.deleted_at is null
    ) as trace_count
from issues as issue
inner join experiments as experiment
    on
        issue.organization_id = experiment.organization_id
        and issue.experiment_id = experiment.id
where experiment.deleted_at is null;

grant select on live_issues to needletail_app, needletail_maintenance;

alter function needletail_purge_experiments(uuid, uuid[], bigint)
rename to needletail_purge_issueless_experiments;

-- Removes a batch of experiments' issues, or, once none is left, of what else they have, and at
-- last the experiments; says how many rows went.
create function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from issues where ctid = any(array(
        select issue.ctid
        from issues as issue
        where issue.organization_id = owner_id and issue.experiment_id = any(experiment_ids)
        limit batch_size
    ));
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_issueless_experiments(owner_id, experiment_ids, batch_size);
end;
$$;

revoke execute on function needletail_purge_experiments(uuid, uuid[], bigint) from public;
grant execute on function needletail_purge_experiments(uuid, uuid[], bigint)
to needletail_maintenance;
