-- Has a part.
-- name: right :one
select
    -- part: book_columns
    -- Nothing.
    -- end of book_columns
from books as book;

-- Names it.
-- name: other :one
select part('book_columns')
from books as book;
