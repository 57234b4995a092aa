set local role needletail_owner;

drop view runs_behind_models;

drop function needletail_purge(timestamptz, bigint);
alter function needletail_purge_unregistered(timestamptz, bigint) rename to needletail_purge;
drop function needletail_purge_project(uuid, uuid, bigint);
alter function needletail_purge_unregistered_project(uuid, uuid, bigint) rename to
needletail_purge_project;
drop function needletail_purge_models(uuid, uuid[], bigint);
drop function needletail_purge_model_versions(uuid, uuid[], bigint);

-- Which project a thing is in. Other services ask this view, not the tables.
create or replace view resource_projects with (security_invoker = true) as
select
    experiment.organization_id,
    'experiment' as resource_type,
    experiment.id as resource_id,
    experiment.project_id
from experiments as experiment
where experiment.deleted_at is null
union all
select
    run.organization_id,
    'run' as resource_type,
    run.id as resource_id,
    run.project_id
from runs as run
where run.deleted_at is null;
