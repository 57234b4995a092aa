drop view deleted_projects;
