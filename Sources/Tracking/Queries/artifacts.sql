-- The project of something that may have files.
-- name: getArtifactOwner :optional
select owner.project_id as "project_id!"
from artifact_owners as owner
where
    owner.organization_id = :organization_id
    and owner.kind = :kind
    and owner.id = :id;

-- The trace that its project knows by a name.
-- name: getTraceWithFiles :optional
select trace.id as "id!"
from live_traces as trace
where
    trace.organization_id = :organization_id
    and trace.project_id = :project_id
    and trace.public_id = :public_id;

-- The file at a path.
-- name: getArtifact :optional
select
    artifact.id,
    artifact.sha256,
    artifact.size_bytes,
    artifact.created_by,
    artifact.created_at
from artifacts as artifact
where
    artifact.organization_id = :organization_id
    and artifact.owner_id = :owner_id
    and artifact.path = :path;

-- The file that an upload brought.
-- name: getUploadedArtifact :optional
select
    artifact.run_id,
    artifact.logged_model_id,
    artifact.trace_id,
    trace.public_id as "public_trace_id?",
    artifact.path,
    artifact.id,
    artifact.sha256,
    artifact.size_bytes,
    artifact.created_by,
    artifact.created_at
from artifacts as artifact
left join live_traces as trace
    on artifact.organization_id = trace.organization_id and artifact.trace_id = trace.id
where artifact.organization_id = :organization_id and artifact.id = :upload_id;

-- Holds a live run: nobody else changes it or its files until the transaction ends.
-- name: holdRunOfArtifact :exec
select run.id
from runs as run
where run.organization_id = :organization_id and run.id = :run_id and run.deleted_at is null
for no key update of run;

-- The same of a logged model.
-- name: holdLoggedModelOfArtifact :exec
select model.id
from logged_models as model
where
    model.organization_id = :organization_id
    and model.id = :logged_model_id
    and model.deleted_at is null
for no key update of model;

-- Holds the files of a trace alone, which another service may change meanwhile.
-- name: holdTraceOfArtifact :exec
select pg_advisory_xact_lock(hashtextextended(:trace_id::uuid::text, 0));

-- What is at a path of a held owner, and what is in the way of a file there: files at
-- `parent_paths`, or files below the path.
-- name: getArtifactPlace :optional
select
    owner.project_id as "project_id!",
    needletail_project_role(owner.project_id, :user_id) as "role?",
    (
        exists (
            select from artifacts as above
            where
                above.organization_id = :organization_id
                and above.owner_id = :owner_id
                and above.path = any(:parent_paths::text[])
        )
        or exists (
            select from artifacts as below
            where
                below.organization_id = :organization_id
                and below.owner_id = :owner_id
                and below.path > :path || '/'
                and below.path < :path || '0'
        )
    ) as "is_taken!",
    artifact.id as "id?",
    artifact.sha256 as "sha256?",
    artifact.size_bytes as "size_bytes?",
    artifact.created_by as "created_by?",
    artifact.created_at as "created_at?"
from artifact_owners as owner
left join artifacts as artifact
    on
        artifact.organization_id = :organization_id
        and artifact.owner_id = :owner_id
        and artifact.path = :path
where
    owner.organization_id = :organization_id
    and owner.kind = :owner_kind
    and owner.id = :owner_id;

-- Puts a file in its place; one that is there is replaced.
-- name: putArtifact :exec
insert into artifacts (
    organization_id, run_id, logged_model_id, trace_id, path, id, sha256, size_bytes, created_by,
    created_at
)
values (
    :organization_id,
    :run_id?,
    :logged_model_id?,
    :trace_id?,
    :path,
    :id,
    :sha256,
    :size_bytes,
    :created_by,
    :created_at
)
on conflict (organization_id, owner_id, path) do update
    set
        id = excluded.id,
        sha256 = excluded.sha256,
        size_bytes = excluded.size_bytes,
        created_by = excluded.created_by,
        created_at = excluded.created_at;

-- Removes a file of a held owner.
-- name: deleteArtifact :exec
delete from artifacts
where organization_id = :organization_id and owner_id = :owner_id and path = :path;

-- A page of the files and folders in a folder, whose paths begin with `prefix` and are below
-- `prefix_end`, after the name `after_name`.
-- name: listArtifactFolder :many
select
    inside.name as "name!",
    bool_or(inside.is_below) as "is_folder!",
    sum(inside.size_bytes)::bigint as "size_bytes!",
    count(*) as "file_count!",
    (array_agg(inside.sha256))[1] as "sha256!"
from (
    select
        artifact.size_bytes,
        artifact.sha256,
        split_part(substr(artifact.path, length(:prefix) + 1), '/', 1) as name,
        strpos(substr(artifact.path, length(:prefix) + 1), '/') > 0 as is_below
    from artifacts as artifact
    where
        artifact.organization_id = :organization_id
        and artifact.owner_id = :owner_id
        and artifact.path >= :prefix
        and artifact.path < :prefix_end
) as inside
where inside.name > :after_name
group by inside.name
order by inside.name
limit :page_size::bigint;

-- A page of all files below a folder, after the path `after_path`.
-- name: listArtifactsBelow :many
select
    artifact.path,
    artifact.size_bytes,
    artifact.sha256
from artifacts as artifact
where
    artifact.organization_id = :organization_id
    and artifact.owner_id = :owner_id
    and artifact.path >= :prefix
    and artifact.path < :prefix_end
    and artifact.path > :after_path
order by artifact.path
limit :page_size::bigint;
