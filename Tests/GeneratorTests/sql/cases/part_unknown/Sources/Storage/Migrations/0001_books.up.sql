create type shelf as enum ('front', 'back');
create domain title as text constraint title_check check (value <> '');
create table books (
    id uuid not null,
    name title not null,
    shelf shelf,
    notes jsonb not null,
    cover bytea,
    is_lent boolean not null,
    pages smallint,
    copies integer not null,
    readers bigint not null,
    rating double precision,
    added_at timestamptz not null,
    writer_id uuid,
    tags text[] not null,
    codes varchar(10)[],
    constraint books_pkey primary key (id)
);
