-- A writer numbers its batches of points and of log lines alike: the table is not the metrics'.
-- squawk-ignore-file renaming-table, renaming-object
set local role needletail_owner;

alter table metric_writers rename to writers;
alter table writers rename constraint metric_writers_pkey to writers_pkey;
alter table writers
rename constraint metric_writers_last_sequence_check to writers_last_sequence_check;
alter policy metric_writers_organization on writers rename to writers_organization;
alter policy metric_writers_maintenance on writers rename to writers_maintenance;

-- The name that servers of the program before this one know, until they are restarted.
create view metric_writers with (security_invoker = true) as
select
    organization_id,
    writer_id,
    last_sequence,
    created_at,
    updated_at
from writers;
grant select, insert, update on metric_writers to needletail_app;

-- As before, of the table by its new name.
create or replace function needletail_purge_organization(
    owner_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    project_id uuid := (
        select project.id from projects as project where project.organization_id = owner_id limit 1
    );
    table_name text;
begin
    if project_id is not null then
        return needletail_purge_project(owner_id, project_id, batch_size);
    end if;
    foreach table_name in array array['idempotency_records', 'writers', 'api_keys'] loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I where organization_id = $1 limit $2))',
            table_name
        ) using owner_id, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    with ended as (
        delete from organization_memberships
        where
            (organization_id, id) in (
                select membership.organization_id, membership.id
                from organization_memberships as membership
                where membership.organization_id = owner_id
                limit batch_size
            )
        returning user_id
    )
    update users
    set deleted_at = coalesce(deleted_at, now()), purge_after = '-infinity'
    where kind = 'service_account' and id in (select ended.user_id from ended);
    if exists (select from organization_memberships where organization_id = owner_id) then
        return batch_size;
    end if;
    delete from organizations where id = owner_id;
    get diagnostics removed = row_count;
    return removed;
end;
$$;
