-- Has a part.
-- name: right :one
select
    -- part: book_columns
    book.id,
    -- part: name_column
    book.name
    -- end of name_column
    -- end of book_columns
from books as book;

-- Names it.
-- name: other :one
select part('book_columns')
from books as book;
