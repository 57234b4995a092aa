-- Lets one after the other bring pieces of a dataset's profile.
-- name: holdDatasetProfile :exec
select pg_advisory_xact_lock(
    hashtextextended(:organization_id::uuid::text || :name || ' ' || :digest, 0)
);

-- A dataset that a live run read, with the caller's role in their project, and how much of its
-- profile came.
-- name: getDatasetToProfile :optional
select
    run.project_id,
    needletail_project_role(run.project_id, :user_id) as "role?",
    dataset.id as "dataset_id?",
    dataset.long_profile_bytes as "long_profile_bytes?",
    -- part: stored_profile_bytes
    coalesce(
        (
            select max(piece.end_byte)
            from input_dataset_profiles as piece
            where
                piece.organization_id = :organization_id
                and piece.dataset_id = dataset.id
        ),
        0
    ) as "stored_bytes!"
    -- end of stored_profile_bytes
from runs as run
left join input_datasets as dataset
    on
        dataset.organization_id = :organization_id
        and run.project_id = dataset.project_id
        and dataset.name = :name
        and dataset.digest = :digest
        and exists (
            select from run_inputs as link
            where
                link.organization_id = :organization_id
                and link.run_id = run.id
                and link.dataset_id = dataset.id
        )
where run.organization_id = :organization_id and run.id = :run_id and run.deleted_at is null;

-- Keeps a piece behind those that there are.
-- name: appendDatasetProfile :exec
insert into input_dataset_profiles (organization_id, dataset_id, start_byte, content)
values (:organization_id, :dataset_id, :start_byte, :content);

-- A dataset that a run read, and its profile where that is short.
-- name: getDatasetProfile :optional
select
    dataset.id,
    dataset.profile_text,
    dataset.long_profile_bytes,
    part('stored_profile_bytes')
from input_datasets as dataset
where
    dataset.organization_id = :organization_id
    and dataset.project_id = :project_id
    and dataset.name = :name
    and dataset.digest = :digest
    and exists (
        select from run_inputs as link
        where
            link.organization_id = :organization_id
            and link.run_id = :run_id
            and link.dataset_id = dataset.id
    );

-- A piece of a profile.
-- name: getDatasetProfilePiece :optional
select piece.content
from input_dataset_profiles as piece
where
    piece.organization_id = :organization_id
    and piece.dataset_id = :dataset_id
    and piece.start_byte = :start_byte;
