-- What is lent or written by someone.
-- name: listGone :many
select book.id
from books as book
where
    -- part: gone_filter
    book.is_lent
    or book.writer_id = :writer_id
    -- end of gone_filter
;

-- Would find what someone has written, however thick.
-- name: wrong :many
select book.id
from books as book
where
    book.pages > :pages_min
    and part('gone_filter');
