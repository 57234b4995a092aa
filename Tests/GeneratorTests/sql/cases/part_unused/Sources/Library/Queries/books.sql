-- Has a part.
-- name: right :one
select
    -- part: book_columns
    book.id,
    book.name
    -- end of book_columns
from books as book;
