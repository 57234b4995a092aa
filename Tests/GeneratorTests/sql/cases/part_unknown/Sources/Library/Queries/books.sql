-- Has a part.
-- name: right :one
select
    -- part: book_columns
    book.id,
    book.name
    -- end of book_columns
from books as book;

-- Names it.
-- name: other :one
select part('book_columns')
from books as book;

-- Names what is not there.
-- name: wrong :one
select part('book_column')
from books as book;
