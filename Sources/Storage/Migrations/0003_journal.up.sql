-- What happened: the outbox, the audit log, and the answers already given.
set local role needletail_owner;

-- The smallest UUIDv7 of a moment: where a monthly partition begins.
create function needletail_uuid_floor(moment timestamptz) returns uuid
language sql immutable strict parallel safe
return (
    lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20)
)::uuid;

-- Makes the monthly partitions (UTC) of every table that is partitioned by its UUIDv7, from
-- this month to `months_ahead` months on, and returns how many were missing. Rows that had to
-- go to the default partition move to the new one. Partitions are closed to every role:
-- access goes through their parent, where the policies are.
create function needletail_ensure_partitions(months_ahead integer) returns bigint
language plpgsql security definer
set search_path = public, pg_temp
set timezone = 'UTC'
as $$
declare
    parent record;
    month timestamptz;
    lower_id uuid;
    upper_id uuid;
    partition_name text;
    default_name text;
    has_strays boolean;
    made bigint := 0;
begin
    if months_ahead not between 0 and 60 then
        raise exception 'months_ahead must be 0 to 60, not %', months_ahead;
    end if;
    for parent in
        select class.relname as name
        from pg_partitioned_table as partitioned
        inner join pg_class as class on partitioned.partrelid = class.oid
        inner join pg_attribute as attribute
            on class.oid = attribute.attrelid and partitioned.partattrs[0] = attribute.attnum
        where
            class.relnamespace = 'public'::regnamespace
            and class.relowner = 'needletail_owner'::regrole
            and partitioned.partstrat = 'r' and partitioned.partnatts = 1
            and attribute.atttypid = 'uuid'::regtype
        order by class.relname
    loop
        default_name := parent.name || '_default';
        if to_regclass(default_name) is null then
            execute format('create table %I partition of %I default', default_name, parent.name);
            perform needletail_close_partition(parent.name, default_name);
        end if;
        for step in 0..months_ahead loop
            month := date_trunc('month', now()) + make_interval(months => step);
            partition_name := parent.name || to_char(month, '_"y"YYYY"m"MM');
            continue when to_regclass(partition_name) is not null;
            lower_id := needletail_uuid_floor(month);
            upper_id := needletail_uuid_floor(month + interval '1 month');
            execute format(
                'create table %I (like %I including defaults including constraints '
                'including generated including storage including compression)',
                partition_name, parent.name
            );
            execute format('alter table %I no force row level security', default_name);
            execute format(
                'select exists (select from %I where id >= %L and id < %L)',
                default_name, lower_id, upper_id
            ) into has_strays;
            if has_strays then
                execute format('alter table %I disable trigger user', default_name);
                execute format(
                    'with moved as (delete from %I where id >= %L and id < %L returning *) '
                    'insert into %I table moved',
                    default_name, lower_id, upper_id, partition_name
                );
                execute format('alter table %I enable trigger user', default_name);
            end if;
            execute format('alter table %I force row level security', default_name);
            execute format(
                'alter table %I attach partition %I for values from (%L) to (%L)',
                parent.name, partition_name, lower_id, upper_id
            );
            perform needletail_close_partition(parent.name, partition_name);
            made := made + 1;
        end loop;
    end loop;
    return made;
end;
$$;
revoke execute on function needletail_ensure_partitions(integer) from public;
grant execute on function needletail_ensure_partitions(integer) to needletail_maintenance;

-- What a new partition does not have from its parent: row security, and the triggers that
-- belong to statements.
create function needletail_close_partition(parent_name text, partition_name text) returns void
language plpgsql
set search_path = public, pg_temp
as $$
begin
    execute format('alter table %I enable row level security', partition_name);
    execute format('alter table %I force row level security', partition_name);
    if exists (
        select from pg_trigger
        where
            tgrelid = parent_name::regclass and tgname = parent_name || '_deny_truncate'
    ) then
        execute format(
            'create trigger %I before truncate on %I '
            'for each statement execute function needletail_deny()',
            parent_name || '_deny_truncate', partition_name
        );
    end if;
end;
$$;
revoke execute on function needletail_close_partition(text, text) from public;

-- The outbox: a row per change, in the change's own transaction. Readers tail it by snapshot:
-- the next read is what the new snapshot sees and the old one did not, by `xid`.
create table events (
    organization_id uuid not null,
    id uuid not null,
    xid xid8 not null default pg_current_xact_id(),
    type text not null,
    resource_type text not null,
    resource_id uuid not null,
    project_id uuid,
    actor_type text not null,
    actor_id uuid,
    request_id text,
    data jsonb not null default '{}',
    created_at timestamptz not null,
    constraint events_pkey primary key (organization_id, id),
    constraint events_type_check check (octet_length(type) between 1 and 100),
    constraint events_resource_type_check check (octet_length(resource_type) between 1 and 50),
    constraint events_actor_type_check
    check (actor_type in ('user', 'service_account', 'system')),
    constraint events_actor_id_check check ((actor_id is null) = (actor_type = 'system')),
    constraint events_data_check check (jsonb_typeof(data) = 'object')
) partition by range (id);
create index idx_events_xid on events (xid, id);
create index idx_events_org_xid on events (organization_id, xid, id);

-- Who did what. The actor is a copy, not a reference: the row must not change when a user
-- goes, and it stays when the organization is purged.
create table audit_logs (
    organization_id uuid not null,
    id uuid not null,
    actor_type text not null,
    actor_id uuid,
    actor_label text not null,
    api_key_id uuid,
    action text not null,
    outcome text not null default 'success',
    reason text,
    resource_type text not null,
    resource_id uuid,
    project_id uuid,
    details jsonb not null default '{}',
    ip_address inet,
    user_agent text,
    request_id text,
    created_at timestamptz not null,
    constraint audit_logs_pkey primary key (organization_id, id),
    constraint audit_logs_actor_type_check
    check (actor_type in ('user', 'service_account', 'system')),
    constraint audit_logs_actor_id_check check ((actor_id is null) = (actor_type = 'system')),
    constraint audit_logs_action_check check (octet_length(action) between 1 and 100),
    constraint audit_logs_outcome_check check (outcome in ('success', 'denied')),
    constraint audit_logs_resource_type_check
    check (octet_length(resource_type) between 1 and 50),
    constraint audit_logs_details_check check (jsonb_typeof(details) = 'object')
) partition by range (id);
create index idx_audit_logs_org_created on audit_logs (organization_id, created_at);
create index idx_audit_logs_actor_created on audit_logs (organization_id, actor_id, created_at);
create index idx_audit_logs_resource
on audit_logs (organization_id, resource_type, resource_id);
create trigger audit_logs_deny_change before update or delete on audit_logs
for each row execute function needletail_deny();
create trigger audit_logs_deny_truncate before truncate on audit_logs
for each statement execute function needletail_deny();

-- The answers given to keyed requests, written in the change's own transaction. A second
-- request with the same key waits on the primary key, and then finds the first one's answer.
-- Without a response the answer held a secret that is shown once.
create table idempotency_records (
    organization_id uuid not null,
    principal_id uuid not null,
    key text collate "C" not null,
    method text not null,
    request_digest bytea not null,
    response bytea,
    resource_id uuid,
    is_permanent boolean not null default false,
    created_at timestamptz not null default now(),
    constraint idempotency_records_pkey primary key (organization_id, principal_id, key),
    constraint idempotency_records_key_check check (octet_length(key) between 1 and 64),
    constraint idempotency_records_method_check check (octet_length(method) between 1 and 200),
    constraint idempotency_records_request_digest_check
    check (octet_length(request_digest) = 32)
);
create index idx_idempotency_records_created_at on idempotency_records (created_at)
where not is_permanent;

select needletail_isolate('events');
select needletail_isolate('audit_logs');
select needletail_isolate('idempotency_records');

grant select, insert on events, audit_logs to needletail_app, needletail_maintenance;
grant select, insert, update on idempotency_records to needletail_app;
-- update: for the row locks of the batches that delete.
grant select, update, delete on idempotency_records to needletail_maintenance;

select needletail_ensure_partitions(3);
