-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge_experiments(uuid, uuid[], bigint);
alter function needletail_purge_issueless_experiments(uuid, uuid[], bigint)
rename to needletail_purge_experiments;
drop view live_issues;
drop table issues;
