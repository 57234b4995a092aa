-- What metrics of a run are to whoever looks at them.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- By a metric's key, or by the beginning of keys with a * behind it.
create table run_metric_definitions (
    organization_id uuid not null,
    run_id uuid not null,
    pattern text collate "C" not null,
    goal text not null,
    summary text not null,
    step_metric text collate "C" not null,
    is_hidden boolean not null,
    constraint run_metric_definitions_pkey primary key (organization_id, run_id, pattern),
    constraint run_metric_definitions_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint run_metric_definitions_pattern_check
    check (octet_length(pattern) between 1 and 250),
    constraint run_metric_definitions_goal_check check (goal in ('none', 'minimize', 'maximize')),
    constraint run_metric_definitions_summary_check
    check (
        summary in ('default', 'last', 'min', 'max', 'mean', 'best', 'none')
        and (summary <> 'best' or goal <> 'none')
    ),
    constraint run_metric_definitions_step_metric_check check (octet_length(step_metric) <= 250)
);

select needletail_isolate('run_metric_definitions');
grant select, insert, update, delete on run_metric_definitions
to needletail_app, needletail_maintenance;

alter function needletail_purge_runs(uuid, uuid[], bigint)
rename to needletail_purge_undefined_runs;

-- Removes runs with all that they have, or a batch of that, the definitions of their metrics first;
-- says how many rows went.
create function needletail_purge_runs(
    owner_id uuid, run_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from run_metric_definitions
    where
        (organization_id, run_id, pattern) in (
            select definition.organization_id, definition.run_id, definition.pattern
            from run_metric_definitions as definition
            where definition.organization_id = owner_id and definition.run_id = any(run_ids)
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
            where rollup.organization_id = owner_id and rollup.run_id = any(run_ids)
            limit batch_size
        );
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_undefined_runs(owner_id, run_ids, batch_size);
end;
$$;
revoke execute on function needletail_purge_runs(uuid, uuid[], bigint) from public;
grant execute on function needletail_purge_runs(uuid, uuid[], bigint) to needletail_maintenance;
