set local role needletail_owner;

drop function needletail_purge_project(uuid, uuid, bigint);
alter function needletail_purge_unprofiled_project(uuid, uuid, bigint)
rename to needletail_purge_project;

drop table input_dataset_profiles;
alter table input_datasets
drop constraint input_datasets_long_profile_bytes_check,
drop column long_profile_bytes;
