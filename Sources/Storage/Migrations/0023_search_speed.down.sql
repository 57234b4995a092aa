-- squawk-ignore-file require-concurrent-index-deletion
set local role needletail_owner;

drop statistics experiment_tags_key_value;
drop statistics run_tags_key_value;
drop statistics run_parameters_key_value;
drop index idx_runs_started;
