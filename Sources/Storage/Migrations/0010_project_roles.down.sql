drop view resource_projects;
drop function needletail_require_role(uuid, uuid, text[], text);
drop function needletail_project_role(uuid, uuid);
