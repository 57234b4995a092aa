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

-- Names it beside something else.
-- name: wrong :one
select book.pages, part('book_columns')
from books as book;
