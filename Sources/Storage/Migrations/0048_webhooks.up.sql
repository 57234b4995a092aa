-- Webhooks: where to tell of changes of models.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- What is kept for servers of MLflow's, which deliver it. The secret is encrypted by its client.
create table webhooks (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    name text collate "C" not null,
    description text not null,
    url text not null,
    events text[] not null,
    sealed_secret text not null,
    status text not null,
    created_by uuid not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint webhooks_pkey primary key (organization_id, id),
    constraint webhooks_project_id_fkey
    foreign key (organization_id, project_id)
    references projects (organization_id, id) on delete restrict,
    constraint webhooks_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint webhooks_name_check
    check (name ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'),
    constraint webhooks_description_check check (octet_length(description) <= 4096),
    constraint webhooks_url_check
    check (octet_length(url) <= 2048 and url ~* '^https?://[^[:space:][:cntrl:]]+$'),
    constraint webhooks_events_check check (
        cardinality(events) between 1 and 100
        and array_position(events, null) is null
        and octet_length(array_to_string(events, '')) <= 10000
    ),
    constraint webhooks_sealed_secret_check check (octet_length(sealed_secret) <= 4096),
    constraint webhooks_status_check check (status in ('active', 'disabled'))
);
create index idx_webhooks_project on webhooks (organization_id, project_id, id);
create index idx_webhooks_created_by on webhooks (created_by);

select needletail_isolate('webhooks');

grant select, insert, update, delete on webhooks to needletail_app, needletail_maintenance;

alter function needletail_purge_project(uuid, uuid, bigint)
rename to needletail_purge_unhooked_project;

-- Removes a batch of a project's webhooks, or, once none is left, of what else is in it, and at
-- last the project; says how many rows went.
create function needletail_purge_project(
    owner_id uuid, doomed_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from webhooks where ctid = any(array(
        select webhook.ctid
        from webhooks as webhook
        where webhook.organization_id = owner_id and webhook.project_id = doomed_id
        limit batch_size
    ));
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_unhooked_project(owner_id, doomed_id, batch_size);
end;
$$;

revoke execute on function needletail_purge_project(uuid, uuid, bigint) from public;
grant execute on function needletail_purge_project(uuid, uuid, bigint) to needletail_maintenance;
