-- Is two statements.
-- name: wrong :exec
delete from books; delete from books;
