-- Registered models, their versions, stages and aliases.
set local role needletail_owner;

-- What is registered under a name, exactly as written.
create table models (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    name text collate "C" not null,
    description text not null default '',
    metadata jsonb not null default '{}',
    model_type text not null default '',
    framework text not null default '',
    task_type text not null default '',
    last_ordinal bigint not null default 0,
    created_by uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint models_pkey primary key (organization_id, id),
    constraint models_project_id_fkey
    foreign key (organization_id, project_id)
    references projects (organization_id, id) on delete restrict,
    constraint models_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint models_name_check
    check (char_length(name) between 1 and 255 and name !~ '[/:]'),
    constraint models_description_check check (octet_length(description) <= 16384),
    constraint models_metadata_check check (jsonb_typeof(metadata) = 'object'),
    constraint models_model_type_check check (octet_length(model_type) <= 100),
    constraint models_framework_check check (octet_length(framework) <= 100),
    constraint models_task_type_check check (octet_length(task_type) <= 100),
    constraint models_last_ordinal_check check (last_ordinal >= 0)
);
create unique index idx_models_project_name
on models (organization_id, project_id, name) where deleted_at is null;
create index idx_models_project on models (organization_id, project_id, id);
create index idx_models_created_by on models (created_by);
create index idx_models_purge_after on models (purge_after) where purge_after is not null;
create trigger models_touch before update on models
for each row execute function needletail_touch();
create trigger models_note_purge after delete on models
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('model');

create table model_tags (
    organization_id uuid not null,
    model_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint model_tags_pkey primary key (organization_id, model_id, key),
    constraint model_tags_model_id_fkey
    foreign key (organization_id, model_id)
    references models (organization_id, id) on delete cascade,
    constraint model_tags_key_check check (octet_length(key) between 1 and 250),
    constraint model_tags_value_check check (char_length(value) <= 100000)
);
create index idx_model_tags_key_value on model_tags (organization_id, key, value_head, model_id);

-- One version of a model. `stage` is the stage of its interval in model_version_stages that has
-- not ended. `source_run` is the run as the client knows it, `source_run_id` the same where it is
-- one of ours.
create table model_versions (
    organization_id uuid not null,
    id uuid not null,
    model_id uuid not null,
    ordinal bigint not null,
    version text collate "C" not null,
    -- What tells versions apart: build metadata does not.
    version_key text collate "C" generated always as (split_part(version, '+', 1)) stored,
    status text not null,
    status_message text not null,
    stage text not null default 'none',
    source text not null,
    source_run_id uuid,
    source_run text collate "C" not null,
    run_link text not null,
    logged_model text collate "C" not null,
    description text not null,
    user_name text not null,
    requirements text not null,
    input_schema jsonb,
    output_schema jsonb,
    performance_metrics jsonb,
    training_metrics jsonb,
    hyperparameters jsonb,
    -- About how long it is in an answer.
    text_bytes bigint generated always as (
        1000 + octet_length(description) + octet_length(requirements)
        + coalesce(octet_length(input_schema::text), 0)
        + coalesce(octet_length(output_schema::text), 0)
        + coalesce(octet_length(performance_metrics::text), 0)
        + coalesce(octet_length(training_metrics::text), 0)
        + coalesce(octet_length(hyperparameters::text), 0)
    ) stored,
    created_by uuid not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    revision bigint not null default 1,
    deleted_at timestamptz,
    purge_after timestamptz,
    constraint model_versions_pkey primary key (organization_id, id),
    constraint model_versions_organization_id_model_id_ordinal_key
    unique (organization_id, model_id, ordinal),
    constraint model_versions_model_id_fkey
    foreign key (organization_id, model_id)
    references models (organization_id, id) on delete restrict,
    constraint model_versions_source_run_id_fkey
    foreign key (organization_id, source_run_id)
    references runs (organization_id, id) on delete set null (source_run_id),
    constraint model_versions_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint model_versions_ordinal_check check (ordinal > 0),
    constraint model_versions_version_check check (octet_length(version) between 5 and 100),
    constraint model_versions_status_check check (status in ('pending', 'ready', 'failed')),
    constraint model_versions_status_message_check check (octet_length(status_message) <= 4096),
    constraint model_versions_stage_check
    check (stage in ('none', 'staging', 'production', 'archived')),
    constraint model_versions_source_check check (char_length(source) <= 1000),
    constraint model_versions_source_run_check check (octet_length(source_run) <= 500),
    constraint model_versions_run_link_check check (char_length(run_link) <= 1000),
    constraint model_versions_logged_model_check check (octet_length(logged_model) <= 250),
    constraint model_versions_description_check check (octet_length(description) <= 16384),
    constraint model_versions_user_name_check check (octet_length(user_name) <= 250),
    constraint model_versions_requirements_check check (octet_length(requirements) <= 65536),
    constraint model_versions_input_schema_check check (jsonb_typeof(input_schema) = 'object'),
    constraint model_versions_output_schema_check check (jsonb_typeof(output_schema) = 'object'),
    constraint model_versions_performance_metrics_check
    check (jsonb_typeof(performance_metrics) = 'object'),
    constraint model_versions_training_metrics_check
    check (jsonb_typeof(training_metrics) = 'object'),
    constraint model_versions_hyperparameters_check
    check (jsonb_typeof(hyperparameters) = 'object')
);
create unique index idx_model_versions_model_version
on model_versions (organization_id, model_id, version_key) where deleted_at is null;
create index idx_model_versions_model_stage
on model_versions (organization_id, model_id, stage, ordinal) where deleted_at is null;
-- The organization second: an index of nothing but nulls under it is so small that reads by id
-- would be planned on it.
create index idx_model_versions_source_run
on model_versions (source_run_id, organization_id);
create index idx_model_versions_created_by on model_versions (created_by);
create index idx_model_versions_purge_after on model_versions (purge_after)
where purge_after is not null;
create trigger model_versions_touch before update on model_versions
for each row execute function needletail_touch();
create trigger model_versions_note_purge after delete on model_versions
for each row when (old.purge_after is not null)
execute function needletail_note_purged_row('model_version');

create table model_version_tags (
    organization_id uuid not null,
    model_version_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint model_version_tags_pkey primary key (organization_id, model_version_id, key),
    constraint model_version_tags_model_version_id_fkey
    foreign key (organization_id, model_version_id)
    references model_versions (organization_id, id) on delete cascade,
    constraint model_version_tags_key_check check (octet_length(key) between 1 and 250),
    constraint model_version_tags_value_check check (char_length(value) <= 100000)
);
create index idx_model_version_tags_key_value
on model_version_tags (organization_id, key, value_head, model_version_id);

-- From when until when a version was in a stage; null = it still is. Only the end is written later.
create table model_version_stages (
    organization_id uuid not null,
    id uuid not null,
    model_version_id uuid not null,
    from_stage text,
    stage text not null,
    comment text not null,
    actor_id uuid not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    constraint model_version_stages_pkey primary key (organization_id, id),
    constraint model_version_stages_model_version_id_fkey
    foreign key (organization_id, model_version_id)
    references model_versions (organization_id, id) on delete cascade,
    constraint model_version_stages_actor_id_fkey
    foreign key (actor_id) references users (id) on delete restrict,
    constraint model_version_stages_from_stage_check
    check (from_stage in ('none', 'staging', 'production', 'archived')),
    constraint model_version_stages_stage_check
    check (stage in ('none', 'staging', 'production', 'archived')),
    constraint model_version_stages_comment_check check (octet_length(comment) <= 4096),
    constraint model_version_stages_ended_at_check check (ended_at >= started_at)
);
create unique index idx_model_version_stages_current
on model_version_stages (organization_id, model_version_id) where ended_at is null;
create index idx_model_version_stages_version
on model_version_stages (organization_id, model_version_id, id);
create index idx_model_version_stages_actor on model_version_stages (actor_id);

-- From when until when an alias stood for a version; null = it still does. Only the end is written
-- later.
create table model_aliases (
    organization_id uuid not null,
    id uuid not null,
    model_id uuid not null,
    alias text collate "C" not null,
    model_version_id uuid not null,
    set_by uuid not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    constraint model_aliases_pkey primary key (organization_id, id),
    constraint model_aliases_model_id_fkey
    foreign key (organization_id, model_id)
    references models (organization_id, id) on delete cascade,
    constraint model_aliases_model_version_id_fkey
    foreign key (organization_id, model_version_id)
    references model_versions (organization_id, id) on delete cascade,
    constraint model_aliases_set_by_fkey
    foreign key (set_by) references users (id) on delete restrict,
    constraint model_aliases_alias_check
    check (
        alias ~ '^[A-Za-z0-9_-]{1,255}$' and lower(alias) <> 'latest' and alias !~ '^[vV][0-9]+$'
    ),
    constraint model_aliases_ended_at_check check (ended_at >= started_at)
);
create unique index idx_model_aliases_current
on model_aliases (organization_id, model_id, alias) where ended_at is null;
create index idx_model_aliases_model_alias
on model_aliases (organization_id, model_id, alias, started_at);
create index idx_model_aliases_version on model_aliases (organization_id, model_version_id);
create index idx_model_aliases_set_by on model_aliases (set_by);

select needletail_isolate('models');
select needletail_isolate('model_tags');
select needletail_isolate('model_versions');
select needletail_isolate('model_version_tags');
select needletail_isolate('model_version_stages');
select needletail_isolate('model_aliases');

grant select, insert, update on models, model_versions, model_version_stages, model_aliases
to needletail_app;
grant select, insert, update, delete on model_tags, model_version_tags to needletail_app;
grant select, insert, update, delete
on models, model_tags, model_versions, model_version_tags, model_version_stages, model_aliases
to needletail_maintenance;

-- The live model that a caller means, by its id or, without one, by its project and name; null =
-- there is none.
create function needletail_model_id(
    owner_id uuid, wanted_id uuid, home_id uuid, wanted_name text
) returns uuid
language plpgsql stable
as $$
begin
    if wanted_id is not null then
        return (
            select model.id
            from models as model
            where
                model.organization_id = owner_id
                and model.id = wanted_id
                and model.deleted_at is null
        );
    end if;
    return (
        select model.id
        from models as model
        where
            model.organization_id = owner_id
            and model.project_id = home_id
            and model.name = wanted_name
            and model.deleted_at is null
    );
end;
$$;

-- The live version that a caller means, by its id or, without one, by its model and ordinal; null =
-- there is none.
create function needletail_model_version_id(
    owner_id uuid, version_id uuid, wanted_id uuid, home_id uuid, wanted_name text,
    wanted_ordinal bigint
) returns uuid
language plpgsql stable
as $$
begin
    if version_id is not null then
        return (
            select version.id
            from model_versions as version
            inner join models as model
                on
                    version.organization_id = model.organization_id
                    and version.model_id = model.id
            where
                version.organization_id = owner_id
                and version.id = version_id
                and version.deleted_at is null
                and model.deleted_at is null
        );
    end if;
    return (
        select version.id
        from model_versions as version
        where
            version.organization_id = owner_id
            and version.model_id
            = needletail_model_id(owner_id, wanted_id, home_id, wanted_name)
            and version.ordinal = wanted_ordinal
            and version.deleted_at is null
    );
end;
$$;

-- Versions of live models, deleted ones too, with what their models are called.
create view registered_model_versions with (security_invoker = true) as
select
    version.organization_id,
    version.id,
    version.model_id,
    model.name as model_name,
    model.project_id,
    version.ordinal,
    version.version,
    version.status,
    version.status_message,
    version.stage,
    version.source,
    version.source_run_id,
    version.source_run,
    version.run_link,
    version.logged_model,
    version.description,
    version.user_name,
    version.requirements,
    version.input_schema::text as input_schema_text,
    version.output_schema::text as output_schema_text,
    version.performance_metrics::text as performance_metrics_text,
    version.training_metrics::text as training_metrics_text,
    version.hyperparameters::text as hyperparameters_text,
    version.created_by,
    version.created_at,
    version.updated_at,
    version.revision,
    version.deleted_at,
    array(
        select alias.alias
        from model_aliases as alias
        where
            alias.organization_id = version.organization_id
            and alias.model_version_id = version.id
            and alias.ended_at is null
        order by alias.alias
    ) as aliases
from model_versions as version
inner join models as model
    on version.organization_id = model.organization_id and version.model_id = model.id
where model.deleted_at is null;

grant select on registered_model_versions to needletail_app, needletail_maintenance;
