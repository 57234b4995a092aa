-- Has no end.
-- name: wrong :one
select 1
