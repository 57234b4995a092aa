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

-- Has a part that is made of another.
-- name: wrong :one
select
    -- part: all_columns
    part('book_columns'),
    book.pages
    -- end of all_columns
from books as book;
