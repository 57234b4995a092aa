-- Has a part.
-- name: right :one
select
    book.id,
    book.name
    -- end of book_columns
from books as book;

-- Names it.
-- name: other :one
select part('book_columns')
from books as book;
