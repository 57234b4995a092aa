-- Forgets a batch of uploads that nobody has gone on with since `before`. Maintenance only.
-- name: purgeUploads :many
select
    upload.organization_id as "organization_id!",
    upload.id as "id!"
from needletail_purge_artifact_uploads(:before, :batch_size::bigint) as upload;

-- Forgets a batch of bytes that nothing refers to; they are removed before the transaction ends.
-- Maintenance only.
-- name: purgeBlobs :many
select
    blob.organization_id as "organization_id!",
    blob.sha256 as "sha256!"
from needletail_purge_artifact_blobs(:batch_size::bigint) as blob;

-- Makes rows for bytes that have none, if the organization is there; then they go like all others
-- that nothing refers to. Maintenance only.
-- name: adoptBlobs :exec
insert into artifact_blobs (organization_id, sha256, size_bytes, claimed_until)
select
    organization.id,
    found.sha256,
    0,
    now()
from organizations as organization
cross join unnest(:digests::bytea[]) as found (sha256)
where organization.id = :organization_id
on conflict (organization_id, sha256) do nothing;

-- Those of some organizations that are there. Maintenance only.
-- name: listKnownOrganizations :many
select organization.id
from organizations as organization
where organization.id = any(:ids::uuid[]);

-- Those of an organization's uploads that are there. Maintenance only.
-- name: listKnownUploads :many
select upload.id
from artifact_uploads as upload
where upload.organization_id = :organization_id and upload.id = any(:ids::uuid[]);

-- What the store's marker calls this database: its cluster and itself. A failover changes the
-- timeline, but neither of them. Maintenance only.
-- name: getStoreOwner :one
select control.system_identifier::text || '-' || own.oid::text as "id!"
from pg_control_system() as control
cross join pg_database as own
where own.datname = current_database();
