"""Rows by the million: written in bulk, without the indexes that would make that slow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from Benchmarks.postgres import Cluster

LIMIT_SECONDS = 1_800


@contextmanager
def without_indexes(database: Cluster, tables: Sequence[str]) -> Iterator[None]:
    """Drops the tables' indexes and keys and makes them again as they were, then analyzes.

    In bulk that takes a fraction of the time.
    """
    definitions: list[list[str]] = []
    for table in tables:
        definitions += database.query(_definitions(table))
    for drop, _ in definitions:
        database.query(drop)
    yield
    for _, create in definitions:
        database.query(f"set maintenance_work_mem = '512MB'; {create}", limit_seconds=LIMIT_SECONDS)
    for table in tables:
        database.query(f"vacuum (analyze) {table}", limit_seconds=LIMIT_SECONDS)


def _definitions(table: str) -> str:
    """How each index and primary key of a table goes and comes back."""
    return f"""
        select
            'alter table {table} drop constraint ' || conname,
            'alter table {table} add constraint ' || conname || ' ' || pg_get_constraintdef(oid)
        from pg_constraint where conrelid = '{table}'::regclass and contype = 'p'
        union all
        select
            'drop index ' || indexrelid::regclass,
            -- ONLY would leave the partitions without.
            replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
        from pg_index where indrelid = '{table}'::regclass and not indisprimary
    """  # noqa: S608
