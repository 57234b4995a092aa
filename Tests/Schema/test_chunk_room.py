"""Merged chunks and their rollups take little room, and tell their points exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from chunks import INT64
from test_rollups import chunk_rows, compact, cut, points_of, series, store

if TYPE_CHECKING:
    import uuid

    from cluster import Cluster, Connection
    from tenants import Tenant

SHAPES: dict[str, list[int]] = {
    "next to a line": [step * 1_000_000 + step % 7 * 9_000 for step in range(3_000)],
    "around it": [step * 1_000_000 + (-1) ** step * 400_000 for step in range(3_000)],
    "away from it": [step**2 * 100 for step in range(3_000)],
    "as far as halves go": [0, 2**32 - 65_537, *([2**31] * 3)],
    "farther": [0, 2**32, *([2**31] * 3)],
    "at the edge": [INT64 - 1 - n * n for n in range(3_000)],
    "at the other edge": [-INT64 + n * n for n in range(3_000)],
}


@pytest.mark.parametrize("times", SHAPES.values(), ids=SHAPES.keys())
def test_times_of_every_shape_are_kept(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, times: list[int]
) -> None:
    points = [(step, time, 1.0) for step, time in enumerate(times)]
    store(connection, tenant, run_id, *cut(points, 1_000))
    before = points_of(connection)
    compact(connection)
    assert points_of(connection) == before
    told = connection.execute(
        "select point.step, point.time_us from metric_chunks as chunk"
        " cross join lateral needletail_points(chunk) as point"
    ).fetchall()
    assert [(row["step"], row["time_us"]) for row in told] == list(enumerate(times))
    [chunk] = chunk_rows(connection)
    assert (chunk["min_time_us"], chunk["max_time_us"]) == (min(times), max(times))


def test_a_lower_half_is_enough_for_times_next_to_a_line(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    store(connection, tenant, run_id, *cut(series(25_000), 5_000))
    compact(connection)
    [chunk] = chunk_rows(connection)
    assert len(chunk["time_lows"]) == 25_000
    assert (chunk["time_highs"], chunk["time_offsets_us"]) == (None, None)


def test_gaps_in_steps_take_no_room(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    points = [point for point in series(50_000) if point[0] % 5_000 > 2_000]
    store(connection, tenant, run_id, *cut(points, 5_000))
    compact(connection)
    rows = connection.execute(
        "select pg_column_size(step_offsets) as size, point_count from metric_chunks"
    ).fetchall()
    assert sum(row["point_count"] for row in rows) == len(points)
    assert all(row["size"] < row["point_count"] / 10 for row in rows)


def test_what_was_merged_before_it_had_its_rollups_by_time_is_merged_again(
    cluster: Cluster, tenant: Tenant, connection: Connection, run_id: uuid.UUID
) -> None:
    database = connection.info.dbname
    points = series(30_000)
    store(connection, tenant, run_id, *cut(points, 1_000))
    compact(connection)
    before = points_of(connection)
    cluster.migrate(database, "down", pattern=r"_(points|halves|time_rollups)\.")
    [row] = connection.execute(
        "select count(*) as n, count(time_offsets_us) as whole from metric_chunks"
    ).fetchall()
    assert row["n"] == row["whole"] == 2
    cluster.migrate(database, "up", pattern=r"_(points|halves|time_rollups)\.")
    assert points_of(connection) == before
    assert compact(connection) == 2
    assert points_of(connection) == before
    rows = connection.execute("select distinct id, by_time from metric_rollups").fetchall()
    assert len(rows) == 4


def test_a_point_takes_at_most_13_bytes(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    count = 500_000
    store(connection, tenant, run_id, *cut(series(count), 10_000))
    compact(connection)
    connection.execute("vacuum full metric_chunks, metric_rollups")

    def size(table: str) -> int:
        row = connection.execute(
            "select sum(pg_total_relation_size(inhrelid)) as n from pg_inherits"
            " where inhparent = %s::regclass",
            [table],
        ).fetchone()
        assert row is not None
        return int(row["n"])

    empty = 400_000  # Of the other partitions and the indexes' first pages.
    assert (size("metric_chunks") + size("metric_rollups") - empty) / count <= 13.0
