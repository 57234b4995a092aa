-- Promises a row and has none.
-- name: wrong :one
delete from books;
