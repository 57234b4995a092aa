set local role needletail_owner;

-- Removes one batch of the points, or then of the rollups, that came before a time, except those
-- of pinned runs; says how many rows went, 0 when none is left or while another server does it.
create or replace function needletail_expire_metrics(
    points_before timestamptz, rollups_before timestamptz, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    removed bigint;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    -- What is merged is not removed at the same time: "ntlmerge".
    if not pg_try_advisory_xact_lock(x'6e746c6d65726765'::bigint) then
        return 0;
    end if;
    delete from metric_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from metric_chunks as chunk
            inner join runs as run
                on chunk.organization_id = run.organization_id and chunk.run_id = run.id
            where chunk.id < needletail_uuid_floor(points_before) and not run.is_pinned
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from metric_rollups
    where
        (organization_id, id, exponent) in (
            select rollup.organization_id, rollup.id, rollup.exponent
            from metric_rollups as rollup
            inner join runs as run
                on rollup.organization_id = run.organization_id and rollup.run_id = run.id
            where rollup.id < needletail_uuid_floor(rollups_before) and not run.is_pinned
            limit batch_size
        );
    get diagnostics removed = row_count;
    return removed;
end;
$$;

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
