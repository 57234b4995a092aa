-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge_experiments(uuid, uuid[], bigint);
alter function needletail_purge_unscored_experiments(uuid, uuid[], bigint)
rename to needletail_purge_experiments;
drop table scorer_versions;
drop table scorers;
