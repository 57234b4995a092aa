-- Claims an idempotency key with its answer, in the change's transaction. A key that is taken
-- fails with idempotency_records_pkey, after waiting for the transaction that took it.
-- name: insertIdempotencyRecord :exec
insert into idempotency_records (
    organization_id, principal_id, key, method, request_digest, response, resource_id,
    is_permanent
)
values (
    :organization_id, :principal_id, :key, :method, :request_digest, :response?,
    :resource_id?, :is_permanent
);

-- Stores the answer of a key that this transaction claimed before it knew the answer. No response:
-- it holds a secret that is shown once.
-- name: completeIdempotencyRecord :exec
update idempotency_records
set response = :response?, resource_id = :resource_id?
where
    organization_id = :organization_id
    and principal_id = :principal_id
    and key = :key;

-- The answer given to a key. No response: it held a secret that is shown once.
-- name: getIdempotencyRecord :optional
select
    method,
    request_digest,
    response,
    resource_id
from idempotency_records
where
    organization_id = :organization_id
    and principal_id = :principal_id
    and key = :key;

-- Writes an audit entry.
-- name: insertAuditLog :exec
insert into audit_logs (
    organization_id, id, actor_type, actor_id, actor_label, api_key_id, action, outcome, reason,
    resource_type, resource_id, project_id, details, ip_address, user_agent, request_id,
    created_at
)
values (
    :organization_id, :id, :actor_type, :actor_id?, :actor_label, :api_key_id?, :action,
    :outcome, :reason?, :resource_type, :resource_id?, :project_id?,
    (:details_json::text)::jsonb, (:ip_address?::text)::inet, :user_agent?, :request_id?,
    :created_at
);

-- Writes a change to the outbox, in the change's transaction.
-- name: insertEvent :exec
insert into events (
    organization_id, id, type, resource_type, resource_id, project_id, actor_type, actor_id,
    request_id, data, created_at
)
values (
    :organization_id, :id, :type, :resource_type, :resource_id, :project_id?, :actor_type,
    :actor_id?, :request_id?, (:data_json::text)::jsonb, :created_at
);

-- From here on the transaction acts for another organization.
-- name: enterOrganization :exec
select set_config('needletail.organization_id', (:organization_id::uuid)::text, true);
