-- Opens an upload to something that may have files. Refuses with `refusal` where the caller does
-- not see its project, and PERMISSION_MISSING where their role in it does not suffice.
-- name: createUpload :exec
insert into artifact_uploads (
    organization_id, id, run_id, logged_model_id, trace_id, path, size_bytes, sha256
)
select
    :organization_id,
    :id,
    case when :owner_kind = 'run' then owner.id end,
    case when :owner_kind = 'logged_model' then owner.id end,
    case when :owner_kind = 'trace' then owner.id end,
    :path,
    :size_bytes?,
    :sha256?
from (
    select
        coalesce(
            (
                select found.id
                from artifact_owners as found
                where
                    found.organization_id = :organization_id
                    and found.kind = :owner_kind
                    and found.id = :owner_id
                    and needletail_require_role(
                        found.project_id, :user_id, :sufficient_roles::text[], :refusal
                    ) is not null
            ),
            needletail_refuse(:refusal, null, null::uuid)
        ) as id
) as owner;

-- An upload under way.
-- name: getUpload :optional
select
    upload.run_id,
    upload.logged_model_id,
    upload.trace_id,
    trace.public_id as "public_trace_id?",
    upload.path,
    upload.size_bytes,
    upload.sha256,
    upload.durable_bytes,
    upload.updated_at
from artifact_uploads as upload
left join live_traces as trace
    on upload.organization_id = trace.organization_id and upload.trace_id = trace.id
where upload.organization_id = :organization_id and upload.id = :id;

-- Goes on with an upload from what is on disk; refuses as createUpload does.
-- name: resumeUpload :optional
update artifact_uploads as upload
set updated_at = now()
from artifact_owners as owner
where
    upload.organization_id = :organization_id
    and upload.id = :id
    and coalesce(upload.run_id, upload.logged_model_id, upload.trace_id) = :owner_id
    and owner.organization_id = :organization_id
    and owner.kind = :owner_kind
    and owner.id = :owner_id
    and needletail_require_role(
        owner.project_id, :user_id, :sufficient_roles::text[], :refusal
    ) is not null
returning upload.path, upload.size_bytes, upload.sha256, upload.durable_bytes;

-- Notes how much of an upload is on disk; no row where it was given up.
-- name: advanceUpload :optional
update artifact_uploads as upload
set durable_bytes = :durable_bytes, updated_at = now()
where upload.organization_id = :organization_id and upload.id = :id
returning upload.durable_bytes;

-- Forgets an upload.
-- name: deleteUpload :exec
delete from artifact_uploads
where organization_id = :organization_id and id = :id;

-- How many bytes are stored for the organization, and whether those of a digest are among them.
-- name: getArtifactUsage :one
select
    coalesce(sum(blob.size_bytes), 0)::bigint as "used_bytes!",
    coalesce(bool_or(blob.sha256 = :sha256), false) as "is_stored!"
from artifact_blobs as blob
where blob.organization_id = :organization_id;

-- Lets one upload after the other of an organization ask for room.
-- name: lockArtifactQuota :exec
select pg_advisory_xact_lock(hashtextextended(:organization_id::uuid::text, 0));

-- Claims bytes for an hour, so that they may be put into the store and be referred to. Refuses
-- ARTIFACT_QUOTA_EXCEEDED where they are new and do not fit; a quota of 0 is none.
-- name: claimBlob :one
insert into artifact_blobs as blob (organization_id, sha256, size_bytes, claimed_until)
select
    :organization_id,
    :sha256,
    case
        when :quota_bytes::bigint = 0 then :size_bytes::bigint
        when
            exists (
                select from artifact_blobs as stored
                where stored.organization_id = :organization_id and stored.sha256 = :sha256
            )
            then :size_bytes
        when
            :size_bytes + (
                select coalesce(sum(stored.size_bytes), 0)
                from artifact_blobs as stored
                where stored.organization_id = :organization_id
            ) > :quota_bytes
            then needletail_refuse('ARTIFACT_QUOTA_EXCEEDED', null, null::bigint)
        else :size_bytes
    end,
    now() + interval '1 hour'
on conflict (organization_id, sha256) do update
    set claimed_until = greatest(blob.claimed_until, excluded.claimed_until)
returning blob.size_bytes;
