drop function needletail_authenticate(text);
drop function needletail_sees_project(uuid, uuid);
drop view visible_projects;
drop table api_keys;
drop table project_members;
drop table projects;
-- The policies of users read memberships, and go with users.
drop table user_identities;
drop policy users_member on users;
drop table organization_memberships;
drop table users;
drop table organizations;
