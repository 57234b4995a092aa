-- Answers when the database does.
-- name: ping :one
select 1 as "one!";
