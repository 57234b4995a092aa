set local role needletail_owner;

drop view registered_model_versions;
drop function needletail_model_version_id(uuid, uuid, uuid, uuid, text, bigint);
drop function needletail_model_id(uuid, uuid, uuid, text);
drop table model_aliases;
drop table model_version_stages;
drop table model_version_tags;
drop table model_versions;
drop table model_tags;
drop table models;
