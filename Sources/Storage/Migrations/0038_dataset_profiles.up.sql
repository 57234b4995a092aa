-- Profiles of datasets that are too long for one message come in pieces.
-- squawk-ignore-file constraint-missing-not-valid, renaming-object
set local role needletail_owner;

-- The bytes of a profile that comes in pieces, as who brought the dataset said; null where
-- profile_text is the whole.
alter table input_datasets add column long_profile_bytes bigint;
alter table input_datasets
add constraint input_datasets_long_profile_bytes_check
check (
    long_profile_bytes is null
    or (long_profile_bytes between 1048576 and 16777215 and profile_text = '')
);

-- Pieces follow one another without a gap; the profile is there once the last ends where it should.
create table input_dataset_profiles (
    organization_id uuid not null,
    dataset_id uuid not null,
    start_byte bigint not null,
    content text not null,
    end_byte bigint not null generated always as (start_byte + octet_length(content)) stored,
    constraint input_dataset_profiles_pkey primary key (organization_id, dataset_id, start_byte),
    constraint input_dataset_profiles_dataset_id_fkey
    foreign key (organization_id, dataset_id)
    references input_datasets (organization_id, id) on delete cascade,
    constraint input_dataset_profiles_start_byte_check check (start_byte >= 0),
    constraint input_dataset_profiles_content_check
    check (octet_length(content) between 1 and 1048576),
    constraint input_dataset_profiles_end_byte_check check (end_byte <= 16777215)
);
select needletail_isolate('input_dataset_profiles');
grant select, insert on input_dataset_profiles to needletail_app;
grant select, insert, delete on input_dataset_profiles to needletail_maintenance;

alter function needletail_purge_project(uuid, uuid, bigint)
rename to needletail_purge_unprofiled_project;

-- Removes a batch of the pieces of a project's profiles, or, once none is left, of what else is in
-- it, and at last the project; says how many rows went.
create function needletail_purge_project(
    owner_id uuid, doomed_id uuid, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    removed bigint;
begin
    delete from input_dataset_profiles
    where
        ctid = any(array(
            select piece.ctid
            from input_datasets as dataset
            inner join input_dataset_profiles as piece
                on
                    dataset.organization_id = piece.organization_id
                    and dataset.id = piece.dataset_id
            where
                dataset.organization_id = owner_id
                and dataset.project_id = doomed_id
                and dataset.long_profile_bytes is not null
            limit batch_size
        ));
    get diagnostics removed = row_count;
    if removed > 0 then
        return removed;
    end if;
    return needletail_purge_unprofiled_project(owner_id, doomed_id, batch_size);
end;
$$;
revoke execute on function needletail_purge_project(uuid, uuid, bigint) from public;
grant execute on function needletail_purge_project(uuid, uuid, bigint)
to needletail_maintenance;
