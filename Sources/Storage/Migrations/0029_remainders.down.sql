-- What was kept of points that went is lost.
set local role needletail_owner;

drop function needletail_roll_up_visible(uuid, uuid, bigint);
drop function needletail_removed(uuid, uuid, bigint);
drop function needletail_before(metric_remainders, bigint);
drop table metric_remainders;
