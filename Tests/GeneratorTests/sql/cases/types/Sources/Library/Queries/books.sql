-- What the library keeps; this is about the file.

-- One book. It is found
-- by its id.
-- name: getBook :optional
select
    id, name, shelf, notes, cover, is_lent, pages, copies, readers, rating, added_at,
    writer_id as "writer_id?", tags, codes, pg_current_xact_id() as "transaction_id!",
    'a:b' as "in!"
from books
where id = :id;

-- Adds a book; a colon in a literal is no parameter.
-- name: insertBook :exec
insert into books (
    id, name, shelf, notes, cover, is_lent, pages, copies, readers, rating, added_at, writer_id,
    tags
)
values (
    :id, :name, :shelf?, jsonb_build_object('x:y', :notes::jsonb), :cover?, :is_lent, :pages?,
    :copies, :readers, :rating?, :added_at, :writer_id?, :tags
);

-- How many books there are.
-- name: countBooks :one
select count(*) as "count!" from books;

-- The greatest rating, if there is any.
-- name: greatestRating :optional
select max(rating) as rating from books having count(*) > 0;

-- Adds ratings by column.
-- name: rateBooks :many
update books
set rating = new.rating
from unnest(:book_ids::uuid[], :ratings::float8[], :days::int4[], :reads::int8[],
    :words::text[], :seals::bytea[], :moments::timestamptz[])
    as new (id, rating, day, read, word, seal, moment)
where books.id = new.id
returning books.id;
