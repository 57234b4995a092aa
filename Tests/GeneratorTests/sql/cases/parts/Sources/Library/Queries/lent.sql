-- Counts what is lent, and says which first.
-- name: countLent :one
select
    -- part: lent_count
    count(
        case
            when book.is_lent then 1
        end
    )
    -- end of lent_count
from books as book;

-- The books that are lent, with more columns behind a part.
-- name: listLent :many
select
    part('book_columns'),
    book.added_at
from books as book
where book.is_lent;
