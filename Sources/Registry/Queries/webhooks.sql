-- Refuses callers whose role in a project does not suffice.
-- name: requireWebhookRole :exec
select needletail_require_role(
    :project_id, :user_id, :sufficient_roles::text[], 'MODEL_PROJECT_NOT_FOUND'
);

-- Creates a webhook in a live project, where the caller's role in it suffices.
-- name: createWebhook :exec
insert into webhooks (
    organization_id, id, project_id, name, description, url, events, sealed_secret, status,
    created_by, created_at, updated_at
)
values (
    :organization_id,
    :id,
    needletail_require_role(
        :project_id, :user_id, :sufficient_roles::text[], 'MODEL_PROJECT_NOT_FOUND'
    ),
    :name,
    :description,
    :url,
    :events::text[],
    :sealed_secret,
    :status,
    :user_id,
    :created_at,
    :created_at
);

-- One webhook of a project.
-- name: getWebhook :optional
select
    -- part: webhook_columns
    webhook.id,
    webhook.project_id,
    webhook.name,
    webhook.description,
    webhook.url,
    webhook.events,
    webhook.sealed_secret,
    webhook.status,
    webhook.created_by,
    webhook.created_at,
    webhook.updated_at
    -- end of webhook_columns
from webhooks as webhook
where
    webhook.organization_id = :organization_id
    and webhook.project_id = :project_id
    and webhook.id = :id;

-- The same, and nobody else changes it until the transaction ends.
-- name: lockWebhook :optional
select part('webhook_columns')
from webhooks as webhook
where
    webhook.organization_id = :organization_id
    and webhook.project_id = :project_id
    and webhook.id = :id
for no key update of webhook;

-- A page of a project's webhooks, or of those that are told of an event, newest first.
-- name: listWebhooks :many
select part('webhook_columns')
from webhooks as webhook
where
    webhook.organization_id = :organization_id
    and webhook.project_id = :project_id
    and webhook.id
    < coalesce((:before_id?)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and (:event?::text = any(webhook.events)) is not false
order by webhook.id desc
limit :page_size::bigint;

-- Writes what may change of a locked webhook.
-- name: updateWebhook :exec
update webhooks
set
    name = :name,
    description = :description,
    url = :url,
    events = :events::text[],
    sealed_secret = :sealed_secret,
    status = :status,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Deletes a locked webhook.
-- name: deleteWebhook :exec
delete from webhooks
where organization_id = :organization_id and id = :id;
