-- Evaluation datasets: what applications are asked, and what is expected of them then.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- What applications are evaluated with. Times are in milliseconds since 1970, authors as clients
-- tell them.
create table evaluation_datasets (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    name text collate "C" not null,
    digest text not null,
    schema text,
    record_count bigint not null default 0,
    author text collate "C",
    last_author text collate "C",
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint evaluation_datasets_pkey primary key (organization_id, id),
    constraint evaluation_datasets_project_id_fkey
    foreign key (organization_id, project_id)
    references projects (organization_id, id) on delete cascade,
    constraint evaluation_datasets_name_check check (octet_length(name) between 1 and 500),
    constraint evaluation_datasets_schema_check check (octet_length(schema) <= 1048576),
    constraint evaluation_datasets_record_count_check check (record_count >= 0),
    constraint evaluation_datasets_author_check check (octet_length(author) <= 250),
    constraint evaluation_datasets_last_author_check check (octet_length(last_author) <= 250)
);
create index idx_evaluation_datasets_project
on evaluation_datasets (organization_id, project_id, create_time_ms, id);

create table evaluation_dataset_tags (
    organization_id uuid not null,
    evaluation_dataset_id uuid not null,
    key text collate "C" not null,
    value text not null,
    value_head text collate "C" generated always as (left(value, 200)) stored,
    constraint evaluation_dataset_tags_pkey
    primary key (organization_id, evaluation_dataset_id, key),
    constraint evaluation_dataset_tags_evaluation_dataset_id_fkey
    foreign key (organization_id, evaluation_dataset_id)
    references evaluation_datasets (organization_id, id) on delete cascade,
    constraint evaluation_dataset_tags_key_check check (octet_length(key) between 1 and 250),
    constraint evaluation_dataset_tags_value_check check (octet_length(value) <= 32000)
);
create index idx_evaluation_dataset_tags_key_value
on evaluation_dataset_tags (organization_id, key, value_head, evaluation_dataset_id);

-- In which experiments a dataset is used.
create table evaluation_dataset_experiments (
    organization_id uuid not null,
    evaluation_dataset_id uuid not null,
    experiment_id uuid not null,
    constraint evaluation_dataset_experiments_pkey
    primary key (organization_id, evaluation_dataset_id, experiment_id),
    constraint evaluation_dataset_experiments_evaluation_dataset_id_fkey
    foreign key (organization_id, evaluation_dataset_id)
    references evaluation_datasets (organization_id, id) on delete cascade,
    constraint evaluation_dataset_experiments_experiment_id_fkey
    foreign key (organization_id, experiment_id)
    references experiments (organization_id, id) on delete cascade
);
create index idx_evaluation_dataset_experiments_experiment
on evaluation_dataset_experiments (organization_id, experiment_id, evaluation_dataset_id);

-- One record of the same inputs in a dataset, by a digest of what they mean as JSON. Texts are the
-- client's JSON.
create table evaluation_records (
    organization_id uuid not null,
    evaluation_dataset_id uuid not null,
    id uuid not null,
    inputs_digest bytea not null,
    inputs text not null,
    outputs text,
    expectations text,
    tags text,
    source text,
    author text,
    last_author text,
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint evaluation_records_pkey primary key (organization_id, evaluation_dataset_id, id),
    constraint evaluation_records_evaluation_dataset_id_fkey
    foreign key (organization_id, evaluation_dataset_id)
    references evaluation_datasets (organization_id, id) on delete cascade,
    constraint evaluation_records_inputs_check check (octet_length(inputs) <= 1048576),
    constraint evaluation_records_outputs_check check (octet_length(outputs) <= 1048576),
    constraint evaluation_records_expectations_check
    check (octet_length(expectations) <= 524288),
    constraint evaluation_records_tags_check check (octet_length(tags) <= 65536),
    constraint evaluation_records_source_check check (octet_length(source) <= 65536),
    constraint evaluation_records_author_check check (octet_length(author) <= 250),
    constraint evaluation_records_last_author_check check (octet_length(last_author) <= 250)
);
create unique index idx_evaluation_records_inputs
on evaluation_records (organization_id, evaluation_dataset_id, inputs_digest);

select needletail_isolate('evaluation_datasets');
select needletail_isolate('evaluation_dataset_tags');
select needletail_isolate('evaluation_dataset_experiments');
select needletail_isolate('evaluation_records');

grant select, insert, update, delete
on evaluation_datasets, evaluation_dataset_tags, evaluation_dataset_experiments, evaluation_records
to needletail_app, needletail_maintenance;

-- Which kinds the members of JSON objects have, by their names, as the first with the name tells;
-- names of more than 250 bytes are left out, and what is empty or no object has none.
create function needletail_json_kinds(texts text[]) returns jsonb
language sql immutable parallel safe
return (
    select coalesce(jsonb_object_agg(member.key, member.kind), '{}')
    from (
        select distinct on (entry.key)
            entry.key,
            case
                when jsonb_typeof(entry.value) <> 'number' then jsonb_typeof(entry.value)
                when entry.value::text like '%.%' then 'float'
                else 'integer'
            end as kind
        from unnest(needletail_json_kinds.texts) with ordinality as item (content, place)
        cross join
            lateral jsonb_each(
                case
                    when jsonb_typeof(nullif(item.content, '')::jsonb) = 'object'
                        then item.content::jsonb
                    else '{}'
                end
            ) as entry
        where octet_length(entry.key) <= 250
        order by entry.key, item.place
    ) as member
);

-- Both together: those of `before`, and of others as many as 500 have room for.
create function needletail_merge_kinds(before jsonb, others jsonb) returns jsonb
language sql immutable parallel safe
return (
    select coalesce(jsonb_object_agg(entry.key, entry.value), '{}')
    from (
        select
            kind.key,
            kind.value
        from (
            select
                old.key,
                old.value,
                0 as rank
            from jsonb_each(needletail_merge_kinds.before) as old
            union all
            select
                new.key,
                new.value,
                1 as rank
            from jsonb_each(needletail_merge_kinds.others) as new
            where not needletail_merge_kinds.before ? new.key
        ) as kind
        order by kind.rank, kind.key
        limit 500
    ) as entry
);

-- Writes records of a dataset of a project, one after the other; nothing where there is no such
-- dataset. What is empty in `outputs` and behind it is absent.
create function needletail_write_evaluation_records(
    owner_id uuid, in_project_id uuid, dataset_id uuid, ids uuid[], inputs text[],
    outputs text[], expectations text[], tags text[], sources text[], authors text[],
    now_ms bigint, count_max bigint
) returns table (inserted bigint, updated bigint)
language plpgsql
set search_path = public, pg_temp
as $$
declare
    held record;
    item record;
    kinds jsonb;
    output_kinds jsonb;
    is_new boolean;
    writer text;
begin
    select
        dataset.schema,
        dataset.record_count
    into held
    from evaluation_datasets as dataset
    where
        dataset.organization_id = owner_id
        and dataset.project_id = in_project_id
        and dataset.id = dataset_id
    for no key update of dataset;
    if not found then
        return;
    end if;
    inserted := 0;
    updated := 0;
    for item in
        select
            one.id,
            one.inputs,
            one.outputs,
            one.expectations,
            one.tags,
            one.source,
            one.author
        from unnest(ids, inputs, outputs, expectations, tags, sources, authors) with ordinality
            as one (id, inputs, outputs, expectations, tags, source, author, place)
        order by one.place
    loop
        insert into evaluation_records as stored (
            organization_id, evaluation_dataset_id, id, inputs_digest, inputs, outputs,
            expectations, tags, source, author, last_author, create_time_ms, update_time_ms
        )
        values (
            owner_id,
            dataset_id,
            item.id,
            sha256(convert_to((item.inputs::jsonb)::text, 'UTF8')),
            item.inputs,
            nullif(item.outputs, ''),
            nullif(item.expectations, ''),
            nullif(item.tags, ''),
            nullif(item.source, ''),
            nullif(item.author, ''),
            nullif(item.author, ''),
            now_ms,
            now_ms
        )
        on conflict (organization_id, evaluation_dataset_id, inputs_digest) do update set
            outputs = coalesce(excluded.outputs, stored.outputs),
            expectations = case
                when excluded.expectations is null then stored.expectations
                else (
                    coalesce(stored.expectations, '{}')::jsonb || excluded.expectations::jsonb
                )::text
            end,
            tags = case
                when excluded.tags is null then stored.tags
                else (coalesce(stored.tags, '{}')::jsonb || excluded.tags::jsonb)::text
            end,
            last_author = coalesce(excluded.last_author, stored.last_author),
            update_time_ms = excluded.update_time_ms
        returning stored.id = item.id into is_new;
        inserted := inserted + is_new::integer;
        updated := updated + (not is_new)::integer;
        writer := coalesce(nullif(item.author, ''), writer);
    end loop;
    if held.record_count + inserted > count_max and inserted > 0 then
        perform needletail_refuse('EVALUATION_RECORD_LIMIT_REACHED');
    end if;
    kinds := coalesce(
        held.schema::jsonb, '{"inputs": {}, "outputs": {}, "expectations": {}}'::jsonb
    );
    output_kinds := kinds -> 'outputs';
    if jsonb_typeof(output_kinds) = 'object' then
        output_kinds := needletail_merge_kinds(output_kinds, needletail_json_kinds(outputs));
    end if;
    -- Outputs that are no objects have one kind.
    if output_kinds = '{}' then
        output_kinds := coalesce(
            (
                select jsonb_path_query_first(needletail_json_kinds(array[
                    '{"v": ' || one.content || '}'
                ]), '$.v')
                from unnest(outputs) with ordinality as one (content, place)
                where
                    one.content <> ''
                    and jsonb_typeof(one.content::jsonb) not in ('null', 'object')
                order by one.place
                limit 1
            ),
            output_kinds
        );
    end if;
    update evaluation_datasets as dataset
    set
        schema = jsonb_build_object(
            'inputs', needletail_merge_kinds(kinds -> 'inputs', needletail_json_kinds(inputs)),
            'outputs', output_kinds,
            'expectations',
            needletail_merge_kinds(kinds -> 'expectations', needletail_json_kinds(expectations)),
            'version', '1.0'
        )::text,
        record_count = dataset.record_count + inserted,
        digest = needletail_evaluation_digest(dataset.name, now_ms),
        last_author = writer,
        update_time_ms = now_ms
    where dataset.organization_id = owner_id and dataset.id = dataset_id;
    return next;
end;
$$;

-- The digest of a dataset that was written then.
create function needletail_evaluation_digest(name text, now_ms bigint) returns text
language sql stable parallel safe
return left(encode(sha256(convert_to(name || ':' || now_ms, 'UTF8')), 'hex'), 8);

alter function needletail_purge_project(uuid, uuid, bigint)
rename to needletail_purge_unevaluated_project;

-- Removes a batch of the records of a project's evaluation datasets, or, once none is left, of the
-- datasets, then of what else is in it, and at last the project; says how many rows went.
create function needletail_purge_project(
    owner_id uuid, doomed_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
    dataset_ids uuid[] := array(
        select dataset.id
        from evaluation_datasets as dataset
        where dataset.organization_id = owner_id and dataset.project_id = doomed_id
        limit least(batch_size, 100)
    );
begin
    if cardinality(dataset_ids) = 0 then
        return needletail_purge_unevaluated_project(owner_id, doomed_id, batch_size);
    end if;
    foreach table_name in array
        array['evaluation_records', 'evaluation_dataset_experiments', 'evaluation_dataset_tags']
    loop
        execute format(
            'delete from %1$I where ctid = any(array('
            'select ctid from %1$I'
            ' where organization_id = $1 and evaluation_dataset_id = any($2) limit $3))',
            table_name
        ) using owner_id, dataset_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    delete from evaluation_datasets where organization_id = owner_id and id = any(dataset_ids);
    get diagnostics removed = row_count;
    return removed;
end;
$$;

revoke execute on function needletail_purge_project(uuid, uuid, bigint) from public;
grant execute on function needletail_purge_project(uuid, uuid, bigint) to needletail_maintenance;
