drop table runs;
drop table experiments;
drop function needletail_stamp_transaction();
