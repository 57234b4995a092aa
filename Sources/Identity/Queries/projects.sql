-- Adds a project. A taken slug fails with idx_projects_slug.
-- name: createProject :exec
insert into projects (
    organization_id, id, name, description, slug, visibility, settings, created_by, created_at,
    updated_at
)
values (
    :organization_id,
    :id,
    :name,
    :description,
    :slug,
    :visibility,
    (:settings_json::text)::jsonb,
    :created_by,
    :created_at,
    :created_at
);

-- One live project that the caller sees. `sees_all_projects` spares administrators the look.
-- name: getProject :optional
select
    -- part: project_columns
    project.id,
    project.name,
    project.description,
    project.slug,
    project.visibility,
    project.settings::text as "settings_json!",
    project.created_by,
    project.created_at,
    project.updated_at,
    project.revision,
    project.deleted_at,
    project.purge_after
    -- end of project_columns
from projects as project
where
    project.organization_id = :organization_id
    and project.id = :id
    and project.deleted_at is null
    and (:sees_all_projects or needletail_sees_project(project.id, :user_id));

-- The same by its slug.
-- name: getProjectBySlug :optional
select part('project_columns')
from projects as project
where
    project.organization_id = :organization_id
    and project.slug = :slug
    and project.deleted_at is null
    and (:sees_all_projects or needletail_sees_project(project.id, :user_id));

-- Lets nobody else change a project or its members until the transaction ends. What is read after
-- it, in a statement of its own, has seen every change before.
-- name: lockProject :exec
select project.id
from projects as project
where project.organization_id = :organization_id and project.id = :id
for no key update of project;

-- A project, deleted or not, with what decides whether the caller may change it.
-- name: getProjectToChange :optional
select
    part('project_columns'),
    needletail_sees_project(project.id, :user_id) as "is_visible!",
    (
        select member.role
        from project_members as member
        where
            member.organization_id = project.organization_id
            and member.project_id = project.id
            and member.user_id = :user_id
            and member.deleted_at is null
    ) as "caller_role?"
from projects as project
where project.organization_id = :organization_id and project.id = :id;

-- Changes what is given of a locked project. The revision goes up by one.
-- name: updateProject :exec
update projects
set
    name = coalesce(:name?, name),
    slug = coalesce(:slug?, slug),
    description = coalesce(:description?, description),
    visibility = coalesce(:visibility?, visibility),
    settings = coalesce((:settings_json?::text)::jsonb, settings),
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- Deletes a locked project until `purge_after`, or, without the two times, brings it back; then a
-- slug that was taken meanwhile fails with idx_projects_slug.
-- name: setProjectDeletion :exec
update projects
set
    deleted_at = :deleted_at?::timestamptz,
    purge_after = :purge_after?::timestamptz,
    updated_at = :updated_at
where organization_id = :organization_id and id = :id;

-- A page of the live projects that the caller sees, newest first, before `before_id` (absent: from
-- the newest).
-- name: listProjects :many
select part('project_columns')
from projects as project
where
    project.organization_id = :organization_id
    and project.id < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and project.deleted_at is null
    and (:sees_all_projects or needletail_sees_project(project.id, :user_id))
order by project.id desc
limit :page_size::bigint;

-- A page of the deleted projects that the caller may bring back: their own, for an administrator
-- all.
-- name: listDeletedProjects :many
select part('project_columns')
from projects as project
where
    project.organization_id = :organization_id
    and project.id < coalesce(:before_id?::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    and project.deleted_at is not null
    and project.purge_after > :now
    and (
        :sees_all_projects
        or exists (
            select from project_members as member
            where
                member.organization_id = project.organization_id
                and member.project_id = project.id
                and member.user_id = :user_id
                and member.role = 'owner'
                and member.deleted_at is null
        )
    )
order by project.id desc
limit :page_size::bigint;
