-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge_project(uuid, uuid, bigint);
alter function needletail_purge_unevaluated_project(uuid, uuid, bigint)
rename to needletail_purge_project;
drop function needletail_evaluation_digest(text, bigint);
drop function needletail_write_evaluation_records(
    uuid, uuid, uuid, uuid[], text[], text[], text[], text[], text[], text[], bigint, bigint
);
drop function needletail_merge_kinds(jsonb, jsonb);
drop function needletail_json_kinds(text[]);
drop table evaluation_records;
drop table evaluation_dataset_experiments;
drop table evaluation_dataset_tags;
drop table evaluation_datasets;
