-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge(timestamptz, bigint);
alter function needletail_purge_unlogged(timestamptz, bigint) rename to needletail_purge;
drop function needletail_purge_experiments(uuid, uuid[], bigint);
alter function needletail_purge_modelless_experiments(uuid, uuid[], bigint)
rename to needletail_purge_experiments;
drop function needletail_purge_runs(uuid, uuid[], bigint);
alter function needletail_purge_modelless_runs(uuid, uuid[], bigint)
rename to needletail_purge_runs;
drop function needletail_purge_logged_models(uuid, uuid[], bigint);

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
where run.deleted_at is null
union all
select
    model.organization_id,
    'model' as resource_type,
    model.id as resource_id,
    model.project_id
from models as model
where model.deleted_at is null
union all
select
    version.organization_id,
    'model_version' as resource_type,
    version.id as resource_id,
    version.project_id
from registered_model_versions as version
where version.deleted_at is null;

drop table logged_model_metrics;
drop table logged_model_parameters;
drop table logged_model_tags;
drop table logged_models;
