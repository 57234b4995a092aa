-- What services see of models, and how they go for good.
set local role needletail_owner;

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

-- Removes a batch of versions with what they have, that first; says how many rows went.
create function needletail_purge_model_versions(
    owner_id uuid, version_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    foreach table_name in
        array array['model_version_tags', 'model_version_stages', 'model_aliases']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and model_version_id = any($2)'
            ' limit $3))',
            table_name
        ) using owner_id, version_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from model_versions where organization_id = owner_id and id = any(version_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of models' versions, or, once none is left, of their tags, and at last the
-- models; says how many rows went.
create function needletail_purge_models(
    owner_id uuid, model_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    version_ids uuid[] := array(
        select version.id
        from model_versions as version
        where version.organization_id = owner_id and version.model_id = any(model_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(version_ids) > 0 then
        return needletail_purge_model_versions(owner_id, version_ids, batch_size);
    end if;
    delete from model_tags
    where
        (organization_id, model_id, key) in (
            select tag.organization_id, tag.model_id, tag.key
            from model_tags as tag
            where tag.organization_id = owner_id and tag.model_id = any(model_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from models where organization_id = owner_id and id = any(model_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- squawk-ignore renaming-object
alter function needletail_purge_project(uuid, uuid, bigint) rename to
needletail_purge_unregistered_project;

-- Removes a batch of a project's models, or, once none is left, of what else is in it, and at last
-- the project; says how many rows went.
create function needletail_purge_project(
    owner_id uuid, doomed_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    model_ids uuid[] := array(
        select model.id
        from models as model
        where model.organization_id = owner_id and model.project_id = doomed_id
        limit least(batch_size, 100)
    );
begin
    if cardinality(model_ids) > 0 then
        return needletail_purge_models(owner_id, model_ids, batch_size);
    end if;
    return needletail_purge_unregistered_project(owner_id, doomed_id, batch_size);
end;
$$;

-- squawk-ignore renaming-object
alter function needletail_purge(timestamptz, bigint) rename to needletail_purge_unregistered;

-- Removes for good one batch of models and versions that may not be recovered since `before`, and,
-- once none is left, of whatever else; says how many rows went, 0 when none is left or while
-- another server does it.
create function needletail_purge(before timestamptz, batch_size bigint) returns bigint
language plpgsql
set search_path = public, pg_temp
set lock_timeout = '5s'
as $$
declare
    doomed record;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    -- The number is the lock's name: "ntlpurge" in ASCII.
    if not pg_try_advisory_xact_lock(x'6e746c7075726765'::bigint) then
        return 0;
    end if;
    for doomed in select organization_id, id from models where purge_after < before limit 1 loop
        return needletail_purge_models(doomed.organization_id, array[doomed.id], batch_size);
    end loop;
    for doomed in
        select organization_id, id from model_versions where purge_after < before limit 1
    loop
        return needletail_purge_model_versions(
            doomed.organization_id, array[doomed.id], batch_size
        );
    end loop;
    return needletail_purge_unregistered(before, batch_size);
end;
$$;

revoke execute on function
needletail_purge_model_versions(uuid, uuid[], bigint),
needletail_purge_models(uuid, uuid[], bigint),
needletail_purge_project(uuid, uuid, bigint),
needletail_purge(timestamptz, bigint)
from public;
grant execute on function
needletail_purge_model_versions(uuid, uuid[], bigint),
needletail_purge_models(uuid, uuid[], bigint),
needletail_purge_project(uuid, uuid, bigint),
needletail_purge(timestamptz, bigint)
to needletail_maintenance;

-- The runs that made versions of live models which are in use: in staging or production, or with an
-- alias that stands for them. Their points stay.
create view runs_behind_models with (security_invoker = true) as
select
    version.organization_id,
    version.source_run_id as run_id
from model_versions as version
inner join models as model
    on version.organization_id = model.organization_id and version.model_id = model.id
where
    version.source_run_id is not null
    and version.deleted_at is null
    and model.deleted_at is null
    and (
        version.stage in ('staging', 'production')
        or exists (
            select from model_aliases as alias
            where
                alias.organization_id = version.organization_id
                and alias.model_version_id = version.id
                and alias.ended_at is null
        )
    );

grant select on runs_behind_models to needletail_app, needletail_maintenance;
