-- Is nullable in one place.
-- name: wrong :one
select 1 from books where id = :id or writer_id = :id?;
