-- The file of a run at a path.
-- name: getArtifact :optional
select
    artifact.run_id,
    artifact.path,
    artifact.id,
    artifact.sha256,
    artifact.size_bytes,
    artifact.created_by,
    artifact.created_at
from artifacts as artifact
where
    artifact.organization_id = :organization_id
    and artifact.run_id = :run_id
    and artifact.path = :path;

-- The file that an upload brought.
-- name: getUploadedArtifact :optional
select
    artifact.run_id,
    artifact.path,
    artifact.id,
    artifact.sha256,
    artifact.size_bytes,
    artifact.created_by,
    artifact.created_at
from artifacts as artifact
where artifact.organization_id = :organization_id and artifact.id = :upload_id;

-- Holds a live run: nobody else changes it or its files until the transaction ends.
-- name: holdRunOfArtifact :exec
select run.id
from runs as run
where run.organization_id = :organization_id and run.id = :run_id and run.deleted_at is null
for no key update of run;

-- What is at a path of a held run, and what is in the way of a file there: files at `parent_paths`,
-- or files below the path.
-- name: getArtifactPlace :optional
select
    run.project_id,
    needletail_project_role(run.project_id, :user_id) as "role?",
    (
        exists (
            select from artifacts as above
            where
                above.organization_id = :organization_id
                and above.run_id = :run_id
                and above.path = any(:parent_paths::text[])
        )
        or exists (
            select from artifacts as below
            where
                below.organization_id = :organization_id
                and below.run_id = :run_id
                and below.path > :path || '/'
                and below.path < :path || '0'
        )
    ) as "is_taken!",
    artifact.id as "id?",
    artifact.sha256 as "sha256?",
    artifact.size_bytes as "size_bytes?",
    artifact.created_by as "created_by?",
    artifact.created_at as "created_at?"
from runs as run
left join artifacts as artifact
    on
        artifact.organization_id = :organization_id
        and run.id = artifact.run_id
        and artifact.path = :path
where
    run.organization_id = :organization_id
    and run.id = :run_id
    and run.deleted_at is null;

-- Puts a file in its place; one that is there is replaced.
-- name: putArtifact :exec
insert into artifacts (
    organization_id, run_id, path, id, sha256, size_bytes, created_by, created_at
)
values (
    :organization_id, :run_id, :path, :id, :sha256, :size_bytes, :created_by, :created_at
)
on conflict (organization_id, run_id, path) do update
    set
        id = excluded.id,
        sha256 = excluded.sha256,
        size_bytes = excluded.size_bytes,
        created_by = excluded.created_by,
        created_at = excluded.created_at;

-- Removes a file of a held run.
-- name: deleteArtifact :exec
delete from artifacts
where organization_id = :organization_id and run_id = :run_id and path = :path;

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
        and artifact.run_id = :run_id
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
    and artifact.run_id = :run_id
    and artifact.path >= :prefix
    and artifact.path < :prefix_end
    and artifact.path > :after_path
order by artifact.path
limit :page_size::bigint;
