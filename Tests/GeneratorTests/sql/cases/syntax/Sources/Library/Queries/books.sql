-- Does not parse.
-- name: wrong :one
selec 1;
