-- Reviews: what people are asked about traces, and the queues of traces that they are to review.
-- squawk-ignore-file renaming-object
set local role needletail_owner;

-- What people are asked. `labels` are the two words of an input of the kind 'pass_fail', and the
-- options of one of the kind 'categorical'. Times are in milliseconds since 1970.
create table label_schemas (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    experiment_id uuid not null,
    name text collate "C" not null,
    kind text not null,
    instruction text,
    allows_comment boolean not null,
    input_kind text not null,
    labels text[] not null,
    is_multi_select boolean not null,
    min_value double precision,
    max_value double precision,
    max_length bigint,
    is_fixed boolean not null,
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint label_schemas_pkey primary key (organization_id, id),
    constraint label_schemas_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete cascade,
    constraint label_schemas_name_check check (char_length(name) between 1 and 250),
    constraint label_schemas_kind_check check (kind in ('feedback', 'expectation')),
    constraint label_schemas_instruction_check check (char_length(instruction) <= 1000),
    constraint label_schemas_input_kind_check
    check (input_kind in ('pass_fail', 'categorical', 'numeric', 'text')),
    constraint label_schemas_labels_check check (
        cardinality(labels) <= 10
        and array_position(labels, null) is null
        and char_length(array_to_string(labels, '')) <= 640
    ),
    constraint label_schemas_min_value_check check (min_value < max_value),
    constraint label_schemas_max_length_check check (max_length > 0)
);
create unique index idx_label_schemas_name on label_schemas (organization_id, experiment_id, name);
create index idx_label_schemas_experiment on label_schemas (organization_id, experiment_id, id);

-- Traces that people are to review. Who they are is what clients tell, in lower case, as is
-- `name_folded`, which is made where letters of all languages have a lower case. Of the label
-- schemas some may be gone. Times are in milliseconds since 1970.
create table review_queues (
    organization_id uuid not null,
    id uuid not null,
    project_id uuid not null,
    experiment_id uuid not null,
    name text collate "C" not null,
    name_folded text collate "C" not null,
    kind text not null,
    users text[] collate "C" not null,
    label_schema_ids uuid[] not null,
    owner text collate "C",
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint review_queues_pkey primary key (organization_id, id),
    constraint review_queues_organization_id_id_project_id_key
    unique (organization_id, id, project_id),
    constraint review_queues_experiment_id_fkey
    foreign key (organization_id, experiment_id, project_id)
    references experiments (organization_id, id, project_id) on delete cascade,
    constraint review_queues_name_check check (char_length(name) between 1 and 250),
    constraint review_queues_kind_check check (kind in ('user', 'custom')),
    constraint review_queues_users_check check (
        cardinality(users) <= 10
        and array_position(users, null) is null
        and char_length(array_to_string(users, '')) <= 2500
    ),
    constraint review_queues_label_schema_ids_check check (
        cardinality(label_schema_ids) <= 100 and array_position(label_schema_ids, null) is null
    ),
    constraint review_queues_owner_check check (char_length(owner) between 1 and 250)
);
create unique index idx_review_queues_name
on review_queues (organization_id, experiment_id, name_folded);
create index idx_review_queues_experiment on review_queues (organization_id, experiment_id, id);

-- A trace in a queue, by the identifier that its client gave it: it may come later.
create table review_items (
    organization_id uuid not null,
    review_queue_id uuid not null,
    project_id uuid not null,
    trace_id text collate "C" not null,
    status text not null,
    completed_by text collate "C",
    complete_time_ms bigint,
    create_time_ms bigint not null,
    update_time_ms bigint not null,
    constraint review_items_pkey primary key (organization_id, review_queue_id, trace_id),
    constraint review_items_review_queue_id_fkey
    foreign key (organization_id, review_queue_id, project_id)
    references review_queues (organization_id, id, project_id) on delete cascade,
    constraint review_items_trace_id_check check (octet_length(trace_id) between 1 and 250),
    constraint review_items_status_check check (status in ('pending', 'complete', 'declined')),
    constraint review_items_completed_by_check check (
        char_length(completed_by) between 1 and 250
        and (status = 'pending') = (completed_by is null)
        and (status = 'pending') = (complete_time_ms is null)
    )
);
create index idx_review_items_queue
on review_items (organization_id, review_queue_id, create_time_ms desc, trace_id);
create index idx_review_items_status
on review_items (organization_id, review_queue_id, status, create_time_ms desc, trace_id);
create index idx_review_items_trace on review_items (organization_id, project_id, trace_id);

select needletail_isolate('label_schemas');
select needletail_isolate('review_queues');
select needletail_isolate('review_items');

grant select, insert, update, delete
on label_schemas, review_queues, review_items to needletail_app, needletail_maintenance;

-- What queues have of a trace goes with it, whatever deletes it.
create function needletail_remove_review_items() returns trigger
language plpgsql
set search_path = public, pg_temp
as $$
begin
    delete from review_items as item
    using gone
    where
        item.organization_id = gone.organization_id
        and item.project_id = gone.project_id
        and item.trace_id = gone.public_id;
    return null;
end;
$$;
create trigger traces_remove_review_items after delete on traces
referencing old table as gone
for each statement execute function needletail_remove_review_items();

alter function needletail_purge_experiments(uuid, uuid[], bigint)
rename to needletail_purge_unreviewed_experiments;

-- Removes a batch of the items of experiments' review queues, or, once none is left, of the queues,
-- then of the label schemas, then of what else they have, and at last the experiments; says how
-- many rows went.
create function needletail_purge_experiments(
    owner_id uuid, experiment_ids uuid[], batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
    table_name text;
begin
    delete from review_items where ctid = any(array(
        select item.ctid
        from review_queues as queue
        inner join review_items as item
            on
                item.organization_id = queue.organization_id
                and item.review_queue_id = queue.id
        where queue.organization_id = owner_id and queue.experiment_id = any(experiment_ids)
        limit batch_size
    ));
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    foreach table_name in array array['review_queues', 'label_schemas'] loop
        execute format(
            'delete from %1$I where ctid = any(array(select ctid from %1$I'
            ' where organization_id = $1 and experiment_id = any($2) limit $3))',
            table_name
        ) using owner_id, experiment_ids, batch_size;
        get diagnostics removed = row_count;
        if removed > 0 then
            return removed;
        end if;
    end loop;
    return needletail_purge_unreviewed_experiments(owner_id, experiment_ids, batch_size);
end;
$$;

revoke execute on function needletail_purge_experiments(uuid, uuid[], bigint) from public;
grant execute on function needletail_purge_experiments(uuid, uuid[], bigint)
to needletail_maintenance;
