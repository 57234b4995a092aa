-- The other side of a left join may be missing.
-- name: listPairs :many
select book.id, second.id as second_id, second.name as "second_name!"
from (select id, writer_id from books) as book
left join books as second on book.writer_id = second.writer_id;

-- A column of a subquery keeps what its table says.
-- name: listKnown :many
with known as (select id, name from books)

select known.id, known.name from known;

-- After a full join nothing is sure.
-- name: listAll :many
select a.id, b.id as other_id from books as a full join books as b on a.id = b.writer_id;

-- Neither in a set operation.
-- name: listBoth :many
select id, copies from books
union all
select id, copies from books where :with_copies::boolean;
