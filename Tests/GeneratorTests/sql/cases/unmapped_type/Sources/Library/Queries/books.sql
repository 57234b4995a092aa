-- Uses an interval.
-- name: wrong :one
select id from books where added_at > now() - :age::interval;
