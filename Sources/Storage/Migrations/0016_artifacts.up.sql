-- The files of runs. Bytes are kept outside the database, once for each organization and SHA-256;
-- a file is visible when its row is.
set local role needletail_owner;

-- What is stored. A row comes before its bytes and goes after them: while `claimed_until` is to
-- come, somebody is about to refer to it.
create table artifact_blobs (
    organization_id uuid not null,
    sha256 bytea not null,
    size_bytes bigint not null,
    claimed_until timestamptz not null,
    created_at timestamptz not null default now(),
    constraint artifact_blobs_pkey primary key (organization_id, sha256),
    constraint artifact_blobs_organization_id_fkey
    foreign key (organization_id) references organizations (id) on delete cascade,
    constraint artifact_blobs_sha256_check check (octet_length(sha256) = 32),
    constraint artifact_blobs_size_bytes_check check (size_bytes >= 0)
);
create index idx_artifact_blobs_claimed_until on artifact_blobs (claimed_until);

-- The file of a run at a path; its id is that of the upload that brought it. Paths are ordered by
-- their bytes, so that a folder is a range of them.
create table artifacts (
    organization_id uuid not null,
    run_id uuid not null,
    path text collate "C" not null,
    id uuid not null,
    sha256 bytea not null,
    size_bytes bigint not null,
    created_by uuid not null,
    created_at timestamptz not null default now(),
    constraint artifacts_pkey primary key (organization_id, run_id, path),
    constraint artifacts_organization_id_id_key unique (organization_id, id),
    constraint artifacts_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint artifacts_sha256_fkey
    foreign key (organization_id, sha256)
    references artifact_blobs (organization_id, sha256) on delete restrict,
    constraint artifacts_created_by_fkey
    foreign key (created_by) references users (id) on delete restrict,
    constraint artifacts_path_check check (octet_length(path) between 1 and 1024),
    constraint artifacts_size_bytes_check check (size_bytes >= 0)
);
create index idx_artifacts_sha256 on artifacts (organization_id, sha256);
create index idx_artifacts_created_by on artifacts (created_by);

-- An upload under way: of its bytes, so many are on disk and stay.
create table artifact_uploads (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    path text not null,
    size_bytes bigint,
    sha256 bytea,
    durable_bytes bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint artifact_uploads_pkey primary key (organization_id, id),
    constraint artifact_uploads_run_id_fkey
    foreign key (organization_id, run_id)
    references runs (organization_id, id) on delete cascade,
    constraint artifact_uploads_path_check check (octet_length(path) between 1 and 1024),
    constraint artifact_uploads_size_bytes_check check (size_bytes >= 0),
    constraint artifact_uploads_sha256_check check (octet_length(sha256) = 32),
    constraint artifact_uploads_durable_bytes_check check (durable_bytes >= 0)
);
create index idx_artifact_uploads_run on artifact_uploads (organization_id, run_id);
create index idx_artifact_uploads_updated_at on artifact_uploads (updated_at);

select needletail_isolate('artifact_blobs');
select needletail_isolate('artifacts');
select needletail_isolate('artifact_uploads');
grant select, insert, update on artifact_blobs to needletail_app;
grant select, insert, update, delete on artifacts, artifact_uploads to needletail_app;
grant select, insert, update, delete
on artifact_blobs, artifacts, artifact_uploads to needletail_maintenance;

-- Forgets a batch of uploads that nobody has gone on with since `before`; says which. Those of a
-- run that is removed go with it, as its artifacts do.
create function needletail_purge_artifact_uploads(before timestamptz, batch_size bigint)
returns table (organization_id uuid, id uuid)
language sql
set search_path = public, pg_temp
as $$
    delete from artifact_uploads as upload
    where
        upload.ctid = any(
            array(
                select abandoned.ctid
                from artifact_uploads as abandoned
                where abandoned.updated_at < needletail_purge_artifact_uploads.before
                order by abandoned.updated_at
                limit batch_size
                for update skip locked
            )
        )
    returning upload.organization_id, upload.id
$$;

-- Forgets a batch of bytes that no row of artifacts refers to and nobody claims; says which, so
-- that they are removed before the transaction ends.
create function needletail_purge_artifact_blobs(batch_size bigint)
returns table (organization_id uuid, sha256 bytea)
language sql
set search_path = public, pg_temp
as $$
    delete from artifact_blobs as blob
    where
        blob.ctid = any(
            array(
                select unused.ctid
                from artifact_blobs as unused
                where
                    unused.claimed_until < now()
                    and not exists (
                        select from artifacts as artifact
                        where
                            artifact.organization_id = unused.organization_id
                            and artifact.sha256 = unused.sha256
                    )
                limit batch_size
                for update skip locked
            )
        )
    returning blob.organization_id, blob.sha256
$$;

revoke execute on function
needletail_purge_artifact_uploads(timestamptz, bigint),
needletail_purge_artifact_blobs(bigint)
from public;
grant execute on function
needletail_purge_artifact_uploads(timestamptz, bigint),
needletail_purge_artifact_blobs(bigint)
to needletail_maintenance;
