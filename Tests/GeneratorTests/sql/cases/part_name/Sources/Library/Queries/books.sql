-- Has a part.
-- name: right :one
select
    -- part: bookColumns
    book.id,
    book.name
    -- end of bookColumns
from books as book;
