drop index idx_organization_memberships_purge_after;
drop index idx_project_members_purge_after;
drop index idx_api_keys_purge_after;
drop function needletail_purge(timestamptz, bigint);
drop function needletail_purge_users(timestamptz, bigint);
drop function needletail_purge_organization(uuid, bigint);
drop function needletail_purge_project(uuid, uuid, bigint);
drop function needletail_purge_experiments(uuid, uuid[], bigint);
drop function needletail_purge_runs(uuid, uuid[], bigint);
