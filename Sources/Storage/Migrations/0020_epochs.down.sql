set local role needletail_owner;

create or replace view run_metrics with (security_invoker = true) as
select distinct
    chunk.organization_id,
    chunk.run_id,
    chunk.key as metric_name,
    chunk.epoch,
    coalesce(
        point.step,
        chunk.first_step + point.step_offset,
        chunk.first_step + chunk.step_stride * (point.ordinal - 1)
    ) as step,
    needletail_time(
        coalesce(
            point.time_us,
            chunk.first_time_us + point.time_offset_us,
            chunk.first_time_us + chunk.time_stride_us * (point.ordinal - 1)
        )
    ) as timestamp,
    point.value
from metric_chunks as chunk
cross join lateral unnest(
    chunk.point_values, chunk.step_offsets, chunk.steps,
    chunk.time_offsets_us, chunk.times_us
) with ordinality
    as point (value, step_offset, step, time_offset_us, time_us, ordinal);

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

revoke delete on run_metric_summaries from needletail_app;
drop function needletail_open_epoch(uuid, uuid, bigint, bigint, uuid);
drop function needletail_summarize(uuid, uuid, bigint);
drop function needletail_total(double precision, double precision);
drop function needletail_sum(double precision, double precision);
alter table run_metric_summaries drop column number_count, drop column value_sum,
drop column min_step, drop column max_step;
drop table run_epochs;
alter table runs drop column metric_epoch;
