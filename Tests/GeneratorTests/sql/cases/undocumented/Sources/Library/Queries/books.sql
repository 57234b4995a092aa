-- name: wrong :one
select 1;
