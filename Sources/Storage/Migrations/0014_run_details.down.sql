set local role needletail_owner;
drop table run_parameters;
drop table run_tags;
drop table experiment_tags;
alter table runs
drop column parent_run_id,
drop column forked_from_run_id,
drop column forked_at_step,
drop column source,
drop column is_pinned,
drop column archived_at;
alter table experiments drop column archived_at;
