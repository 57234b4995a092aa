"""Merging chunks and rolling them up changes nothing that is read."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from chunks import INT64, Point, chunk_parameters
from statements import call
from tenants import Tenant, acting, create_run, maintaining

if TYPE_CHECKING:
    import uuid

    from cluster import Connection

COLUMNS = (
    "cells", "point_counts", "nan_counts", "min_values", "min_steps", "max_values", "max_steps",
    "sums", "first_steps", "first_times_us", "first_values", "last_steps", "last_times_us",
    "last_values",
)  # fmt: skip


def store(connection: Connection, tenant: Tenant, run_id: uuid.UUID, *chunks: list[Point]) -> None:
    """Write each chunk in a transaction of its own."""
    for points in chunks:
        with acting(connection, tenant):
            call(connection, "insertMetricChunks", organization_id=tenant.organization_id,
                 **chunk_parameters([(run_id, "loss", points)]))  # fmt: skip


def compact(connection: Connection, batch_size: int = 1_000) -> int:
    """Merge until nothing is left; the number of chunks that were looked at."""
    count = 0
    while True:
        with maintaining(connection):
            row = connection.execute(
                "select needletail_compact_metrics(now() + interval '1 minute', %s) as n",
                [batch_size],
            ).fetchone()
        assert row is not None
        if not row["n"]:
            return count
        count += row["n"]


def points_of(connection: Connection) -> list[tuple[Any, ...]]:
    """Every stored point, duplicates too, in order, in a form in which NaN equals itself."""
    rows = connection.execute(
        """
        select chunk.run_id, chunk.key, chunk.epoch,
            coalesce(point.step, chunk.first_step + coalesce(chunk.step_stride, 0)
                * (point.ordinal - 1) + coalesce(point.step_offset, 0)) as step,
            coalesce(point.time_us, chunk.first_time_us + coalesce(chunk.time_stride_us, 0)
                * (point.ordinal - 1) + coalesce(point.time_offset_us, 0)
                + coalesce(point.low, 0) + 65536 * coalesce(point.high, 0)) as time_us,
            float8send(point.value) as value
        from metric_chunks as chunk
        cross join lateral unnest(point_values, step_offsets, steps, time_offsets_us, times_us,
                time_lows, time_highs)
            with ordinality
            as point (value, step_offset, step, time_offset_us, time_us, low, high, ordinal)
        order by 1, 2, 3, 4, 5, 6
        """
    ).fetchall()
    return [tuple(row.values()) for row in rows]


def chunk_rows(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute(
        "select *, xid::text::bigint as x, first_xid::text::bigint as first_x"
        " from metric_chunks order by min_step, id"
    ).fetchall()


def series(count: int, seed: int = 1) -> list[Point]:
    """Points as a job logs them: a step each, a second apart and a bit, random values."""
    rng = random.Random(seed)
    return [
        (step, 1_700_000_000_000_000 + step * 1_000_000 + rng.randrange(50_000), rng.gauss(0, 1))
        for step in range(count)
    ]


def cut(points: list[Point], size: int) -> list[list[Point]]:
    return [points[index : index + size] for index in range(0, len(points), size)]


ODD: dict[str, list[list[Point]]] = {
    "one point": [[(7, 5, 0.5)]],
    "the same step": [[(4, 0, i / 8) for i in range(5)], [(4, 1, i / 8) for i in range(5)]],
    "out of order": [[(-i, 10 - i, 1.0) for i in range(5)], [(i - 3, i, 2.0) for i in range(9)]],
    "exact duplicates": [[(1, 1, 2.0)], [(1, 1, 2.0)], [(1, 1, math.nan)], [(1, 1, math.nan)]],
    "edges of 64 bits": [[(-INT64, -INT64, 1.0)], [(INT64 - 1, INT64 - 1, 2.0)], [(0, 0, 3.0)]],
    "far apart": [[(i**3 * 10**9, i * 10**13, float(i)) for i in range(50)]] * 2,
    "not numbers": [[(1, 1, math.nan), (2, 2, math.inf)], [(3, 3, -math.inf), (4, 4, -0.0)]],
    "nothing but NaN": [[(1, 1, math.nan)], [(2, 1, math.nan)]],
    "sums beyond all numbers": [[(i, i, 1.7e308) for i in range(9)], [(9, 9, 5e-324)]],
    "a pause of a week": [
        [(i, i * 1_000_000, 1.0) for i in range(100)],
        [(100 + i, (i + 604_800) * 1_000_000, 1.0) for i in range(100)],
    ],
}  # fmt: skip


@pytest.mark.parametrize("chunks", ODD.values(), ids=ODD.keys())
def test_merged_chunks_hold_exactly_the_same_points(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, chunks: list[list[Point]]
) -> None:
    store(connection, tenant, run_id, *chunks)
    before = points_of(connection)
    view = connection.execute("select count(*) as n from run_metrics").fetchall()
    sources = chunk_rows(connection)
    assert compact(connection) == len(chunks)
    assert points_of(connection) == before
    assert connection.execute("select count(*) as n from run_metrics").fetchall() == view
    [merged] = chunk_rows(connection)
    assert merged["x"] == max(row["x"] for row in sources)
    assert merged["first_x"] == min(row["x"] for row in sources)
    assert merged["id"] == max(sources, key=lambda row: row["x"])["id"]
    assert compact(connection) == 0


def same(left: list[Any], right: list[Any]) -> bool:
    return all(
        a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))
        or (isinstance(a, float) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9))
        for a, b in zip(left, right, strict=True)
    )  # fmt: skip


def expected_buckets(points: list[Point], exponent: int, *, by_time: bool) -> list[list[Any]]:
    """The columns of a rollup, by the definition."""
    cells: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        cells[(point[1] if by_time else point[0]) >> exponent].append(point)
    rows = []
    for cell, inside in sorted(cells.items()):
        inside.sort(
            key=lambda point: (
                point[by_time], point[not by_time], math.isnan(point[2]), point[2]
            )
        )  # fmt: skip
        # Of equal values the first one is told.
        numbers = [point for point in inside if not math.isnan(point[2])]
        low = min(numbers, key=lambda point: point[2], default=(0, 0, math.nan))
        high = min(numbers, key=lambda point: -point[2], default=(0, 0, math.nan))
        rows.append([
            cell, len(inside), len(inside) - len(numbers), low[2], low[0], high[2], high[0],
            sum(point[2] for point in numbers),
            *inside[0], *inside[-1], *([low[1], high[1]] if by_time else []),
        ])  # fmt: skip
    return [list(column) for column in zip(*rows, strict=True)]


def forget_points(connection: Connection) -> None:
    """Remove the points, so that of small chunks there are rollups, too."""
    with maintaining(connection):
        connection.execute(
            "select needletail_expire_metrics("
            "now() + interval '1 minute', now() - interval '1 day', 1000)"
        )


@pytest.mark.parametrize("chunks", ODD.values(), ids=ODD.keys())
def test_rollups_of_odd_points_are_exact(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, chunks: list[list[Point]]
) -> None:
    store(connection, tenant, run_id, *chunks)
    compact(connection)
    forget_points(connection)
    rows = connection.execute("select * from metric_rollups").fetchall()
    assert {row["by_time"] for row in rows} == {False, True}
    check_rollups(rows, [point for chunk in chunks for point in chunk])


def check_rollups(rows: list[dict[str, Any]], points: list[Point]) -> None:
    """Compare rollups with the points that they are of."""
    for row in rows:
        by_time = row["by_time"]
        wanted = expected_buckets(points, row["exponent"], by_time=by_time)
        names = [*COLUMNS, *(("min_times_us", "max_times_us") if by_time else ())]
        for name, column in zip(names, wanted, strict=True):
            assert same(row[name], column), (by_time, row["exponent"], name)
        assert (row["min_step"], row["max_step"]) == (
            min(point[0] for point in points), max(point[0] for point in points),
        )  # fmt: skip
        assert (row["min_time_us"], row["max_time_us"]) == (
            min(point[1] for point in points), max(point[1] for point in points),
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_every_level_of_the_ladder_is_exact(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, seed: int
) -> None:
    rng = random.Random(seed)
    width, jitter = rng.choice([1, 7, 1_000]), rng.choice([0, 50_000, 10**7, 10**11])
    points: list[Point] = [
        (rng.randrange(-200, 20_000) * width,
         1_700_000_000_000_000 + step * 1_000_000 + rng.randint(-jitter, jitter),
         rng.choice([round(rng.gauss(0, 1), 1)] * 9 + [math.nan, math.inf]))
        for step in range(9_000)
    ]  # fmt: skip
    store(connection, tenant, run_id, *cut(points, 900))
    compact(connection)
    rows = connection.execute("select * from metric_rollups").fetchall()
    for by_time in (False, True):
        levels = sorted(row["exponent"] for row in rows if row["by_time"] == by_time)
        assert [level - levels[0] for level in levels] == list(range(0, 3 * len(levels), 3))
        sizes = {row["exponent"]: len(row["cells"]) for row in rows if row["by_time"] == by_time}
        # Few enough buckets that they take little room, and a last level of next to nothing.
        assert sizes[levels[0]] <= len(points) // 128
        assert sizes[levels[-1]] <= 2
    check_rollups(rows, points)


def test_a_long_history_is_merged_into_large_chunks_with_a_ladder_of_rollups(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    points = series(60_000)
    rng = random.Random(3)
    pieces = cut(points, 500)
    rng.shuffle(pieces)
    store(connection, tenant, run_id, *pieces)
    before = points_of(connection)
    compact(connection, batch_size=50)
    assert points_of(connection) == before
    merged = chunk_rows(connection)
    assert len(merged) < 12
    assert max(row["point_count"] for row in merged) == 25_000
    assert all(row["merged_xid"] is not None for row in merged)
    for chunk in merged:
        rollups = connection.execute(
            "select by_time, exponent, point_counts from metric_rollups where id = %s",
            [chunk["id"]],
        ).fetchall()
        # Fewer points are read at once.
        assert {row["by_time"] for row in rollups} == (
            {False, True} if chunk["point_count"] >= 2_048 else set()
        )
        assert all(sum(row["point_counts"]) == chunk["point_count"] for row in rollups)


def test_small_batches_are_merged_again_only_with_their_like(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    written = 0
    for batch in cut(series(6_400), 100):
        store(connection, tenant, run_id, batch)
        compact(connection)
        rows = connection.execute(
            "select point_count from metric_chunks"
            " where merged_xid::text::bigint = (select max(merged_xid::text::bigint)"
            " from metric_chunks)"
        ).fetchall()
        written += sum(row["point_count"] for row in rows)
    # Each point about once for each time that its chunk doubles, not once for every batch.
    assert written <= 8 * 6_400
    assert len(chunk_rows(connection)) <= 8


def test_runs_keys_and_epochs_are_never_merged(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    other_run = create_run(connection, tenant)
    for run in (run_id, other_run):
        for key in ("loss", "accuracy"):
            for points in cut(series(40), 10):
                with acting(connection, tenant):
                    call(connection, "insertMetricChunks",
                         organization_id=tenant.organization_id,
                         **chunk_parameters([(run, key, points)]))  # fmt: skip
    with maintaining(connection):
        connection.execute(
            "update metric_chunks set epoch = 1 where run_id = %s and min_step >= 20", [run_id]
        )
    before = points_of(connection)
    compact(connection)
    assert points_of(connection) == before
    assert len(chunk_rows(connection)) == 6


def test_what_an_open_transaction_may_have_written_waits(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    with other.transaction():
        other.execute("select pg_current_xact_id()")
        store(connection, tenant, run_id, [(1, 1, 1.0)], [(2, 2, 2.0)])
        assert compact(connection) == 0
    assert compact(connection) == 2


def test_two_never_merge_at_once(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    store(connection, tenant, run_id, [(1, 1, 1.0)], [(2, 2, 2.0)])
    with maintaining(other):
        other.execute("select pg_advisory_xact_lock(x'6e746c6d65726765'::bigint)")
        assert compact(connection) == 0
    assert compact(connection) == 2


def test_a_merge_that_is_broken_off_leaves_everything_as_it_was(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    store(connection, tenant, run_id, *cut(series(1_000), 10))
    before = chunk_rows(connection)
    connection.execute("begin; set local role needletail_maintenance")
    connection.execute("select needletail_compact_metrics(now() + interval '1 minute', 1000)")
    connection.execute("rollback")
    assert chunk_rows(connection) == before
    assert compact(connection) == 100


def test_points_and_rollups_go_when_their_time_is_over_except_of_pinned_runs(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    pinned = create_run(connection, tenant)
    for run in (run_id, pinned):
        store(connection, tenant, run, *cut(series(3_000), 100))
    compact(connection)
    with acting(connection, tenant):
        connection.execute("update runs set is_pinned = true where id = %s", [pinned])

    def expire(points: str, rollups: str) -> list[tuple[int, int]]:
        with maintaining(connection):
            while connection.execute(
                "select needletail_expire_metrics(now() + %s, now() + %s, 1) as n",
                [points, rollups],
            ).fetchone() != {"n": 0}:
                pass
        return [
            tuple(row.values())
            for run in (run_id, pinned)
            for row in connection.execute(
                "select (select count(*) from metric_chunks where run_id = %(run)s) as c,"
                " (select count(*) from metric_rollups where run_id = %(run)s) as r",
                {"run": run},
            )
        ]

    [(_, rollups), kept] = expire("-1 hour", "-1 hour")
    assert (rollups > 0, kept[0] > 0) == (True, True)
    assert expire("1 minute", "-1 hour") == [(0, rollups), kept]
    assert expire("1 minute", "1 minute") == [(0, 0), kept]


def test_partitions_of_the_past_are_dropped_once_they_are_empty(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    connection.execute("set role needletail_owner")
    for name in ("metric_chunks", "metric_rollups"):
        for year in (2001, 2002):
            connection.execute(
                f"create table {name}_y{year}m01 partition of {name} for values"
                f" from (needletail_uuid_floor('{year}-01-01'))"
                f" to (needletail_uuid_floor('{year}-02-01'))"
            )
            connection.execute(
                "select needletail_close_partition(%s, %s)", [name, f"{name}_y{year}m01"]
            )
    connection.execute("reset role")
    store(connection, tenant, run_id, [(1, 1, 1.0)])
    with maintaining(connection):
        connection.execute("update metric_chunks set id = needletail_uuid_floor('2002-01-02')")
    dropped = []
    while True:
        with maintaining(connection):
            row = connection.execute(
                "select needletail_drop_empty_partition(now() - interval '90 days',"
                " now() - interval '1 year') as n"
            ).fetchone()
        if row == {"n": 0}:
            break
        dropped.append(row)
    names = [
        row["name"]
        for row in connection.execute(
            "select relname as name from pg_class where relname ~ '_y200[12]m01$' order by 1"
        )
    ]
    assert (len(dropped), names) == (3, ["metric_chunks_y2002m01"])
    with pytest.raises(psycopg.errors.RaiseException), maintaining(connection):
        connection.execute(
            "select needletail_drop_empty_partition(now() + interval '1 day', now())"
        )
