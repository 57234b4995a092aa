-- Refuses label schemas that are not of an experiment.
-- name: checkReviewLabelSchemas :exec
select
    needletail_refuse(
        'REVIEW_LABEL_SCHEMA_NOT_FOUND',
        jsonb_build_object('label_schema_ids', missing.ids),
        false
    )
from (
    select string_agg(asked.id::text, ' ' order by asked.id) as ids
    from unnest(:label_schema_ids::uuid[]) as asked (id)
    where
        not exists (
            select
            from label_schemas as schema
            where
                schema.organization_id = :organization_id
                and schema.id = asked.id
                and schema.project_id = :project_id
                and schema.experiment_id = :experiment_id
        )
) as missing
where missing.ids is not null;

-- Creates a review queue of a live experiment; nothing where there is no such experiment.
-- name: createReviewQueue :optional
insert into review_queues (
    organization_id, id, project_id, experiment_id, name, name_folded, kind, users,
    label_schema_ids, owner, create_time_ms, update_time_ms
)
select
    :organization_id,
    :id,
    experiment.project_id,
    experiment.resource_id,
    :name,
    :name_folded,
    :kind,
    :users::text[],
    :label_schema_ids::uuid[],
    :owner?,
    :now_ms,
    :now_ms
from resource_projects as experiment
where
    experiment.organization_id = :organization_id
    and experiment.resource_type = 'experiment'
    and experiment.resource_id = :experiment_id
    and experiment.project_id = :project_id
returning id;

-- One review queue of a project.
-- name: getReviewQueue :optional
select
    -- part: review_queue_columns
    queue.id,
    queue.project_id,
    queue.experiment_id,
    queue.name,
    queue.kind,
    queue.users,
    array(
        select schema.id
        from label_schemas as schema
        where
            schema.organization_id = :organization_id
            and schema.id = any(queue.label_schema_ids)
        order by schema.id
    ) as "label_schema_ids!",
    queue.owner,
    queue.create_time_ms,
    queue.update_time_ms
    -- end of review_queue_columns
from review_queues as queue
where
    queue.organization_id = :organization_id
    and queue.project_id = :project_id
    and queue.id = :id;

-- The same, and nobody else changes it or its items until the transaction ends.
-- name: lockReviewQueue :optional
select part('review_queue_columns')
from review_queues as queue
where
    queue.organization_id = :organization_id
    and queue.project_id = :project_id
    and queue.id = :id
for no key update of queue;

-- Lets nobody else change a review queue or its items until the transaction ends; refuses where
-- there is none.
-- name: holdReviewQueue :exec
with held as materialized (
    select queue.id
    from review_queues as queue
    where
        queue.organization_id = :organization_id
        and queue.project_id = :project_id
        and queue.id = :id
    for no key update of queue
)

select needletail_refuse('REVIEW_QUEUE_NOT_FOUND')
where not exists (select from held);

-- A page of the review queues of a live experiment, newest first: of a name, of a user, or with a
-- trace, where these are given.
-- name: listReviewQueues :many
select part('review_queue_columns')
from review_queues as queue
inner join resource_projects as experiment
    on
        experiment.organization_id = :organization_id
        and experiment.resource_type = 'experiment'
        and queue.experiment_id = experiment.resource_id
where
    queue.organization_id = :organization_id
    and queue.project_id = :project_id
    and queue.experiment_id = :experiment_id
    and queue.id
    < coalesce((:before_id?)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and (queue.name_folded = (:name_folded?)::text) is not false
    and ((:user?)::text is null or (:user?)::text = any(queue.users))
    and (
        (:trace_id?)::text is null
        or exists (
            select
            from review_items as item
            where
                item.organization_id = :organization_id
                and item.review_queue_id = queue.id
                and item.trace_id = (:trace_id?)::text
        )
    )
order by queue.id desc
limit :page_size::bigint;

-- Refuses a held review queue that has items.
-- name: checkReviewQueueIsEmpty :exec
select needletail_refuse('REVIEW_QUEUE_HAS_ITEMS')
where
    exists (
        select
        from review_items as item
        where item.organization_id = :organization_id and item.review_queue_id = :id
    );

-- Writes what may change of a locked review queue.
-- name: updateReviewQueue :exec
update review_queues
set
    name = :name,
    name_folded = :name_folded,
    users = :users::text[],
    label_schema_ids = :label_schema_ids::uuid[],
    owner = :owner?,
    update_time_ms = :now_ms
where organization_id = :organization_id and id = :id;

-- Deletes a locked review queue and its items.
-- name: deleteReviewQueue :exec
delete from review_queues
where organization_id = :organization_id and id = :id;

-- Refuses traces of other experiments than a review queue's.
-- name: checkReviewTraces :exec
select
    needletail_refuse(
        'REVIEW_TRACE_NOT_FOUND',
        jsonb_build_object('trace_ids', strange.ids),
        false
    )
from (
    select string_agg(trace.public_id, ' ' order by trace.public_id) as ids
    from review_queues as queue
    inner join traces as trace
        on
            trace.organization_id = :organization_id
            and queue.project_id = trace.project_id
            and trace.public_id = any(:trace_ids::text[])
            and queue.experiment_id <> trace.experiment_id
    where queue.organization_id = :organization_id and queue.id = :id
) as strange
where strange.ids is not null;

-- Adds traces to a held review queue; returns what it has of them, in their order.
-- name: addReviewItems :many
with added as (
    insert into review_items as item (
        organization_id, review_queue_id, project_id, trace_id, status, create_time_ms,
        update_time_ms
    )
    select
        :organization_id,
        :review_queue_id,
        :project_id,
        asked.trace_id,
        'pending',
        :now_ms::bigint,
        :now_ms::bigint
    from unnest(:trace_ids::text[]) as asked (trace_id)
    on conflict (organization_id, review_queue_id, trace_id) do nothing
    returning
        item.trace_id,
        item.status,
        item.completed_by,
        item.complete_time_ms,
        item.create_time_ms,
        item.update_time_ms
)

select
    item.trace_id as "trace_id!",
    item.status as "status!",
    item.completed_by as "completed_by?",
    item.complete_time_ms as "complete_time_ms?",
    item.create_time_ms as "create_time_ms!",
    item.update_time_ms as "update_time_ms!"
from unnest(:trace_ids::text[]) with ordinality as asked (trace_id, place)
inner join (
    select
        added.trace_id,
        added.status,
        added.completed_by,
        added.complete_time_ms,
        added.create_time_ms,
        added.update_time_ms
    from added
    union all
    select
        older.trace_id,
        older.status,
        older.completed_by,
        older.complete_time_ms,
        older.create_time_ms,
        older.update_time_ms
    from review_items as older
    where
        older.organization_id = :organization_id
        and older.review_queue_id = :review_queue_id
        and older.trace_id = any(:trace_ids::text[])
) as item
    on asked.trace_id = item.trace_id
order by asked.place;

-- Takes traces out of a held review queue; returns which were in it.
-- name: removeReviewItems :one
with gone as (
    delete from review_items
    where
        organization_id = :organization_id
        and review_queue_id = :review_queue_id
        and trace_id = any(:trace_ids::text[])
    returning trace_id
)

select
    array(
        select gone.trace_id
        from gone
        order by gone.trace_id
    ) as "trace_ids!";

-- A page of the items of a review queue, or of those of a status, the latest first, behind one of
-- them.
-- name: listReviewItems :many
select
    -- part: review_item_columns
    item.trace_id,
    item.status,
    item.completed_by,
    item.complete_time_ms,
    item.create_time_ms,
    item.update_time_ms
    -- end of review_item_columns
from review_items as item
where
    item.organization_id = :organization_id
    and item.review_queue_id = :review_queue_id
    and (item.status = (:status?)::text) is not false
    and item.create_time_ms <= :after_time_ms
    and (item.create_time_ms < :after_time_ms or item.trace_id > :after_trace_id)
order by item.create_time_ms desc, item.trace_id
limit :page_size::bigint;

-- One item of a held review queue.
-- name: getReviewItem :optional
select part('review_item_columns')
from review_items as item
where
    item.organization_id = :organization_id
    and item.review_queue_id = :review_queue_id
    and item.trace_id = :trace_id;

-- Writes what has become of an item of a held review queue.
-- name: updateReviewItem :exec
update review_items
set
    status = :status,
    completed_by = :completed_by?,
    complete_time_ms = :complete_time_ms?,
    update_time_ms = :now_ms
where
    organization_id = :organization_id
    and review_queue_id = :review_queue_id
    and trace_id = :trace_id;
