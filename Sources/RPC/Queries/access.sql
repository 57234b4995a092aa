-- The role of a user in a project of the organization, which decides what they may do there: absent
-- where they may not even look.
-- name: getProjectRole :one
select needletail_project_role(:project_id, :user_id) as "role?";
