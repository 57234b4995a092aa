-- needletail:no-transaction
create index concurrently books_added_at_idx on books (added_at);
