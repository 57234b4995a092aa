set local role needletail_owner;

drop index idx_audit_logs_actor;
drop index idx_audit_logs_api_key;
drop index idx_audit_logs_action;
drop index idx_audit_logs_resource_type;
drop index idx_audit_logs_resource;
drop index idx_audit_logs_denied;
create index idx_audit_logs_org_created on audit_logs (organization_id, created_at);
create index idx_audit_logs_actor_created on audit_logs (organization_id, actor_id, created_at);
create index idx_audit_logs_resource
on audit_logs (organization_id, resource_type, resource_id);
