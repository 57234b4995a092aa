-- Roles, the guards every later migration uses, and who may do what.
--
-- Three roles without login own, serve and look after the schema. They belong to the whole
-- cluster, so several databases may share them. Whoever connects is granted them and then
-- acts as one of them (`set role`): never as itself, because a member of two roles has the
-- policies of both.
do $$
declare
    role_name text;
begin
    if current_setting('server_version_num')::integer < 150000 then
        raise exception 'needletail needs PostgreSQL 15 or later, this is %',
            current_setting('server_version');
    end if;
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'needletail needs a database in UTF8, this one is in %',
            current_setting('server_encoding');
    end if;
    foreach role_name in array
        array['needletail_owner', 'needletail_app', 'needletail_maintenance']
    loop
        begin
            if not exists (select from pg_roles where rolname = role_name) then
                execute format('create role %I nologin', role_name);
            end if;
        exception
            -- Another database of the cluster is being migrated at the same time.
            when duplicate_object or unique_violation then null;
        end;
        if exists (
            select from pg_roles
            where rolname = role_name and (rolsuper or rolbypassrls)
        ) then
            raise exception 'role % must be neither superuser nor bypassrls', role_name;
        end if;
        if not pg_has_role(current_user, role_name, 'member') then
            execute format('grant %I to %I', role_name, current_user);
        end if;
    end loop;
    grant usage, create on schema public to needletail_owner;
    grant usage on schema public to needletail_app, needletail_maintenance;
    if not has_schema_privilege('needletail_owner', 'public', 'create') then
        raise insufficient_privilege using message = 'schema public belongs to another role';
    end if;
exception
    when insufficient_privilege then
        raise insufficient_privilege using
            message = format('role %I may not prepare this database', current_user),
            detail = sqlerrm,
            hint = 'Own the database and have CREATEROLE, or let an administrator create '
            || 'the roles needletail_owner, needletail_app and needletail_maintenance '
            || '(nologin) and grant them to this role.';
end;
$$;

set local role needletail_owner;

-- The organization this transaction acts for; null where none is set, and then no row matches.
create function needletail_organization_id() returns uuid
language sql stable parallel safe
return nullif(current_setting('needletail.organization_id', true), '')::uuid;

-- Ends the transaction with an error reason of the API, in a statement that would return
-- `witness`'s type. The reason arrives as the error's constraint, `details` as its detail.
create function needletail_refuse(reason text, details jsonb, witness anyelement)
returns anyelement
language plpgsql volatile
as $$
begin
    raise exception using
        errcode = 'NT001', message = reason, constraint = reason,
        detail = coalesce(details, '{}'::jsonb)::text;
end;
$$;

create function needletail_refuse(reason text) returns void
language plpgsql volatile
as $$
begin
    perform needletail_refuse(reason, null::jsonb, null::boolean);
end;
$$;

-- The one trigger of mutable tables: `revision` is the etag. A statement that sets
-- updated_at itself knows what it will have stored.
create function needletail_touch() returns trigger
language plpgsql
as $$
begin
    if new.updated_at is not distinct from old.updated_at then
        new.updated_at := now();
    end if;
    new.revision := old.revision + 1;
    return new;
end;
$$;

-- The trigger of append-only tables. Their rows end with their partition.
create function needletail_deny() returns trigger
language plpgsql
as $$
begin
    raise exception using
        errcode = 'restrict_violation', constraint = tg_table_name || '_append_only',
        message = format('%s is append-only: %s is refused', tg_table_name, tg_op);
end;
$$;

-- Closes a tenant table: each organization sees its own rows, maintenance sees all, and not
-- even the owner is exempt.
create function needletail_isolate(target regclass) returns void
language plpgsql
set search_path = public, pg_temp
as $$
declare
    table_name text := (select relname from pg_class where oid = target);
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy %I on %s to needletail_app '
        'using (organization_id = (select needletail_organization_id())) '
        'with check (organization_id = (select needletail_organization_id()))',
        table_name || '_organization', target
    );
    execute format(
        'create policy %I on %s to needletail_maintenance using (true) with check (true)',
        table_name || '_maintenance', target
    );
end;
$$;
revoke execute on function needletail_isolate(regclass) from public;

-- Which cluster, database and timeline transaction numbers belong to: a resume token of
-- another one means nothing here.
create function needletail_cluster_id() returns text
language sql stable
return (
    select
        control.system_identifier::text || '-' || current_database.oid::text || '-'
        || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    from pg_control_system() as control
    cross join pg_database as current_database
    where current_database.datname = current_database()
);

-- One row: what this database is, through backups and restores.
create table installation (
    singleton boolean not null default true,
    id uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now(),
    constraint installation_pkey primary key (singleton),
    constraint installation_singleton_check check (singleton)
);
insert into installation default values;

-- What a plan includes, where an organization has no limit of its own; null = no limit.
create table tier_limits (
    tier text not null,
    max_users bigint,
    max_models bigint,
    constraint tier_limits_pkey primary key (tier),
    constraint tier_limits_tier_check
    check (tier in ('free', 'starter', 'professional', 'enterprise')),
    constraint tier_limits_max_users_check check (max_users > 0),
    constraint tier_limits_max_models_check check (max_models > 0)
);
insert into tier_limits (tier, max_users, max_models)
values
('free', 1, 2),
('starter', 1, 2),
('professional', 25, 100),
('enterprise', null, null);

grant select on installation, tier_limits to needletail_app, needletail_maintenance;
-- For the row lock that lets one bootstrap run at a time.
grant update on installation to needletail_maintenance;
