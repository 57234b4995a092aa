-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge_project(uuid, uuid, bigint);
alter function needletail_purge_unhooked_project(uuid, uuid, bigint)
rename to needletail_purge_project;
drop table webhooks;
