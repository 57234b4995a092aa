-- squawk-ignore-file adding-foreign-key-constraint, constraint-missing-not-valid
set local role needletail_owner;

alter table metric_chunks add constraint metric_chunks_run_id_fkey
foreign key (organization_id, run_id) references runs (organization_id, id) on delete cascade;

drop trigger runs_remove_chunks on runs;
drop function needletail_remove_chunks();
drop trigger metric_chunks_require_runs on metric_chunks;
drop function needletail_require_chunk_runs();
