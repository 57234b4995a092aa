-- One book of a shelf.
-- name: getBook :optional
select
    -- part: book_columns
    book.id,
    -- As its cover has it.
    book.name,
    book.pages,
    -- end of book_columns
    book.copies
from books as book
where
    book.id = :id
    -- part: book_filter
    and (:shelf?::shelf is null or book.shelf = :shelf?)
    and book.pages < :pages_max
    -- end of book_filter
    and book.writer_id = :writer_id;

-- All of a shelf; the parameters in the order of their first use.
-- name: listBooks :many
select part('book_columns')
from books as book
where
    book.copies > :copies_min
    and part('book_filter');

-- How many those are, by a part of another file.
-- name: countBooks :one
select
    (
        select part('lent_count')
        from books as book
        where
            book.added_at < :until
            and part('book_filter')
    ) as "count!",
    'part of a text' as "name!";
