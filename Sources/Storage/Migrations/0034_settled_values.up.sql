-- A run that logs changes its last values all the time. Were they in an index, each change would
-- be a new entry in every index of the row, which was two fifths of what a summary cost. So the
-- index has a value once it has rested; of those that have not, only which they are.
-- The table has a row a metric of a run, all of which satisfy the check: the column is new. A
-- migration is one transaction.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
-- squawk-ignore-file adding-not-nullable-field, constraint-missing-not-valid
set local role needletail_owner;

-- The last value as the index has it; null = it changed since.
alter table run_metric_summaries
add column settled_value double precision,
add column unsettled_at timestamptz not null default now(),
add constraint run_metric_summaries_settled_value_check
check (settled_value is null or settled_value = last_value);

drop index idx_run_metric_summaries_key_value;
create index idx_run_metric_summaries_key_value
on run_metric_summaries (organization_id, key, settled_value, run_id)
where settled_value is not null;
create index idx_run_metric_summaries_unsettled
on run_metric_summaries (organization_id, key, run_id)
where settled_value is null;

-- Whoever changes a value unsettles it, also a server that knows nothing of this.
create function needletail_unsettle() returns trigger
language plpgsql
set search_path = public, pg_temp
as $$
begin
    new.settled_value := null;
    new.unsettled_at := now();
    return new;
end;
$$;
create trigger run_metric_summaries_unsettle
before update of last_value on run_metric_summaries
for each row
when (old.settled_value is not null and new.last_value is distinct from old.last_value)
execute function needletail_unsettle();

-- Settles one batch of the values that changed before a time; says how many. What somebody is
-- changing just now is left for the next time.
create function needletail_settle_metrics(
    unsettled_before timestamptz, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    settled bigint;
begin
    if batch_size not between 1 and 100000 then
        raise exception 'batch_size must be 1 to 100000, not %', batch_size;
    end if;
    update run_metric_summaries as summary
    set settled_value = summary.last_value
    from (
        select
            resting.organization_id,
            resting.run_id,
            resting.key
        from run_metric_summaries as resting
        where resting.settled_value is null and resting.unsettled_at < unsettled_before
        order by resting.organization_id, resting.key, resting.run_id
        limit batch_size
        for no key update skip locked
    ) as item
    where
        summary.organization_id = item.organization_id
        and summary.run_id = item.run_id
        and summary.key = item.key;
    get diagnostics settled = row_count;
    return settled;
end;
$$;
revoke execute on function needletail_settle_metrics(timestamptz, bigint) from public;
grant execute on function needletail_settle_metrics(timestamptz, bigint)
to needletail_maintenance;
