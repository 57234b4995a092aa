-- A partitioned table's indexes cannot be changed concurrently.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion

-- The audit log is read by id, which is its time: every filter has an index in that order.
set local role needletail_owner;

drop index idx_audit_logs_org_created;
drop index idx_audit_logs_actor_created;
drop index idx_audit_logs_resource;
create index idx_audit_logs_actor on audit_logs (organization_id, actor_id, id);
create index idx_audit_logs_api_key on audit_logs (organization_id, api_key_id, id);
-- By bytes, so that "project.*" is a range.
create index idx_audit_logs_action on audit_logs (organization_id, action collate "C", id);
create index idx_audit_logs_resource_type on audit_logs (organization_id, resource_type, id);
create index idx_audit_logs_resource on audit_logs (organization_id, resource_id, id);
create index idx_audit_logs_denied on audit_logs (organization_id, id) where outcome = 'denied';
