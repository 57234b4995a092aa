-- What a user may do in a project, decided in one place; and which project a thing is in.
set local role needletail_owner;

-- The role that counts: 'owner', 'contributor' or 'viewer'; null where the user may not even look.
-- Administrators of the organization act as owners. Others have the role that they were given, or,
-- without one, that of a contributor where the project's visibility is wider than its members; a
-- viewer of the organization never has more than a viewer's. `public` reaches no further than
-- `organization`: nothing of an organization is open to others. A deleted project gives no role.
-- In plpgsql, which keeps its plan: one in sql would be planned anew in every statement.
create function needletail_project_role(project_id uuid, user_id uuid) returns text
language plpgsql stable
as $$
declare
    effective text;
begin
    select
        case
            when membership.role = 'admin' then 'owner'
            when member.role is null and project.visibility = 'private' then null
            when membership.role = 'viewer' then 'viewer'
            else coalesce(member.role, 'contributor')
        end
    into effective
    from projects as project
    inner join organization_memberships as membership
        on
            project.organization_id = membership.organization_id
            and membership.user_id = needletail_project_role.user_id
            and membership.deleted_at is null
    left join project_members as member
        on
            project.organization_id = member.organization_id
            and project.id = member.project_id
            and membership.user_id = member.user_id
            and member.deleted_at is null
    where
        project.organization_id = needletail_organization_id()
        and project.id = needletail_project_role.project_id
        and project.deleted_at is null;
    return effective;
end;
$$;

-- Returns the project of a change by a user whose role in it is one of `sufficient`. Refuses
-- `unseen` where they have none, and PERMISSION_MISSING where theirs does not suffice.
create function needletail_require_role(
    project_id uuid, user_id uuid, sufficient text[], unseen text
)
returns uuid
language plpgsql volatile
as $$
declare
    effective text := needletail_project_role(project_id, user_id);
begin
    if effective is null then
        perform needletail_refuse(unseen);
    elsif effective <> all(sufficient) then
        perform needletail_refuse('PERMISSION_MISSING');
    end if;
    return project_id;
end;
$$;

-- Which project a thing is in. Other services ask this view, not the tables.
create view resource_projects with (security_invoker = true) as
select
    experiment.organization_id,
    'experiment' as resource_type,
    experiment.id as resource_id,
    experiment.project_id
from experiments as experiment
where experiment.deleted_at is null
union all
select
    run.organization_id,
    'run' as resource_type,
    run.id as resource_id,
    run.project_id
from runs as run
where run.deleted_at is null;

grant select on resource_projects to needletail_app, needletail_maintenance;
