-- squawk-ignore-file renaming-object, ban-drop-table
set local role needletail_owner;

drop function needletail_purge_experiments(uuid, uuid[], bigint);
alter function needletail_purge_unreviewed_experiments(uuid, uuid[], bigint)
rename to needletail_purge_experiments;
drop trigger traces_remove_review_items on traces;
drop function needletail_remove_review_items();
drop table review_items;
drop table review_queues;
drop table label_schemas;
