-- What is in a deleted project is not found until it is brought back.
set local role needletail_owner;

-- For administrators, who see every project but these. Other services ask this view; for everybody
-- else needletail_sees_project says it.
create view deleted_projects with (security_invoker = true) as
select
    project.organization_id,
    project.id as project_id
from projects as project
where project.deleted_at is not null;

grant select on deleted_projects to needletail_app, needletail_maintenance;
