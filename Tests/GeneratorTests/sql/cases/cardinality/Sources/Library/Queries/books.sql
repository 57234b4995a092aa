-- Promises something else.
-- name: wrong :some
select 1;
