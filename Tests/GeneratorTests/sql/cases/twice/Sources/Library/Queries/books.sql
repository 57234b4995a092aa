-- Names two columns alike.
-- name: wrong :one
select id, writer_id as id from books;
