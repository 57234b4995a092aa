-- The indexes and checks are of columns that were just made, and a migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
-- squawk-ignore-file adding-foreign-key-constraint, constraint-missing-not-valid

-- How runs relate to one another, what becomes of them, and what their parameters were.
set local role needletail_owner;

-- A run that went with its experiment comes back with it, and goes for good with it.
alter table runs
add column is_deleted_with_experiment boolean not null default false,
add constraint runs_parent_run_id_fkey
foreign key (organization_id, parent_run_id)
references runs (organization_id, id) on delete set null (parent_run_id),
add constraint runs_forked_from_run_id_fkey
foreign key (organization_id, forked_from_run_id)
references runs (organization_id, id) on delete set null (forked_from_run_id),
add constraint runs_parent_run_id_check check (parent_run_id <> id),
add constraint runs_source_check check (jsonb_typeof(source) = 'object');
-- The organization second: an index of nothing but nulls under it is so small that reads by id were
-- planned on it.
create index idx_runs_parent on runs (parent_run_id, organization_id, id);
create index idx_runs_forked_from on runs (forked_from_run_id, organization_id);
create index idx_runs_deleted on runs (organization_id, id) where deleted_at is not null;

-- The values that parameters had before they were overwritten; never updated.
create table run_parameter_versions (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    key text collate "C" not null,
    value text not null,
    replaced_at timestamptz not null,
    replaced_by uuid not null,
    constraint run_parameter_versions_pkey primary key (organization_id, id),
    constraint run_parameter_versions_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_parameter_versions_replaced_by_fkey
    foreign key (replaced_by) references users (id) on delete restrict,
    constraint run_parameter_versions_key_check check (octet_length(key) between 1 and 250),
    constraint run_parameter_versions_value_check check (octet_length(value) <= 32000)
);
create index idx_run_parameter_versions_run_key
on run_parameter_versions (organization_id, run_id, key, id);
create index idx_run_parameter_versions_replaced_by on run_parameter_versions (replaced_by);

select needletail_isolate('run_parameter_versions');

grant select, insert on run_parameter_versions to needletail_app;
grant select, insert, delete on run_parameter_versions to needletail_maintenance;

-- The fields of a run's source in the order of the API's message; null where nobody said any. Not
-- inlined, because setting up its expressions would cost every look at a run more than the look.
create function needletail_source_texts(source jsonb) returns text[]
language plpgsql immutable strict parallel safe
as $$
begin
    return array[
        coalesce(source ->> 'entry_point', ''),
        coalesce(source ->> 'git_commit', ''),
        coalesce(source ->> 'git_repository', ''),
        coalesce(source ->> 'git_branch', ''),
        coalesce(source ->> 'git_dirty', ''),
        coalesce(source ->> 'code_digest', ''),
        coalesce(source ->> 'host', ''),
        coalesce(source ->> 'process_number', '')
    ];
end;
$$;

-- Demands that a run of a project may be nested under another, and returns that. Who nests runs
-- that exist goes one after the other in an organization, so that two do not make a circle; new
-- runs have nothing under them. Refuses RUN_NOT_FOUND for a parent that is no live run of the
-- project, PARENT_RUN_INVALID for the run itself and those under it, and NESTING_TOO_DEEP where a
-- line from the top would have more than `depth_max` runs.
create function needletail_require_parent(
    owner_id uuid, home_id uuid, child_id uuid, parent_id uuid, is_new boolean, depth_max bigint
) returns uuid
language plpgsql volatile
as $$
declare
    lock_name bigint := hashtextextended('run nesting ' || owner_id, 0);
    above uuid[];
    below bigint;
begin
    if is_new then
        perform pg_advisory_xact_lock_shared(lock_name);
    else
        perform pg_advisory_xact_lock(lock_name);
    end if;
    if not exists (
        select from runs as run
        where
            run.organization_id = owner_id
            and run.id = parent_id
            and run.project_id = home_id
            and run.deleted_at is null
    ) then
        return needletail_refuse(
            'RUN_NOT_FOUND', jsonb_build_object('run_id', parent_id), parent_id
        );
    end if;
    with recursive line as (
        select
            run.id,
            run.parent_run_id,
            1 as height
        from runs as run
        where run.organization_id = owner_id and run.id = parent_id
        union all
        select
            run.id,
            run.parent_run_id,
            line.height + 1
        from line
        inner join runs as run
            on run.organization_id = owner_id and line.parent_run_id = run.id
        where line.height < depth_max
    )

    select array_agg(line.id) into above from line;
    if child_id = any(above) then
        return needletail_refuse('PARENT_RUN_INVALID', null, parent_id);
    end if;
    with recursive tree as (
        select
            child_id as id,
            1 as height
        union all
        select
            run.id,
            tree.height + 1
        from tree
        inner join runs as run
            on run.organization_id = owner_id and tree.id = run.parent_run_id
        where tree.height < depth_max
    )

    select max(tree.height) into below from tree;
    if cardinality(above) + below > depth_max then
        return needletail_refuse('NESTING_TOO_DEEP', null, parent_id);
    end if;
    return parent_id;
end;
$$;

-- Removes runs with their points, log lines, tags and parameters, or a batch of those; says how
-- many rows went.
create or replace function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    delete from metric_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from metric_chunks as chunk
            where chunk.organization_id = owner_id and chunk.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from log_chunks
    where
        (organization_id, id) in (
            select chunk.organization_id, chunk.id
            from log_chunks as chunk
            where chunk.organization_id = owner_id and chunk.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from run_metric_summaries
    where
        (organization_id, run_id, key) in (
            select summary.organization_id, summary.run_id, summary.key
            from run_metric_summaries as summary
            where summary.organization_id = owner_id and summary.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    foreach table_name in array array['run_parameter_versions', 'run_parameters', 'run_tags'] loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 and run_id = any($2) limit $3))',
            table_name
        ) using owner_id, run_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from runs where organization_id = owner_id and id = any(run_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

-- Removes a batch of experiments' runs, or, once none is left, of their tags, and at last the
-- experiments.
create or replace function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    run_ids uuid[] := array(
        select run.id
        from runs as run
        where run.organization_id = owner_id and run.experiment_id = any(experiment_ids)
        limit least(batch_size, 100)
    );
begin
    if cardinality(run_ids) > 0 then
        return needletail_purge_runs(owner_id, run_ids, batch_size);
    end if;
    delete from experiment_tags
    where
        (organization_id, experiment_id, key) in (
            select tag.organization_id, tag.experiment_id, tag.key
            from experiment_tags as tag
            where tag.organization_id = owner_id and tag.experiment_id = any(experiment_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    delete from experiments where organization_id = owner_id and id = any(experiment_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;
