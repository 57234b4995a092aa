"""Metrics in buckets of time are what the points come to, in whatever order they were logged."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracking import BucketAxis
from test_downsampling import Point, log, merge, shown

if TYPE_CHECKING:
    import needletail
    from program import Connection


def expected_by_time(
    points: list[Point], width: int
) -> tuple[dict[int, tuple[Any, ...]], dict[int, float]]:
    """Buckets, and their means."""
    cells: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        cells[point[1] // width].append(point)
    found, means = {}, {}
    for cell, inside in cells.items():
        inside.sort(key=lambda p: (p[1], p[0], math.isnan(p[2]), p[2]))
        numbers = [p for p in inside if not math.isnan(p[2])]
        low = min(numbers, key=lambda p: p[2], default=(0, 0, math.nan))
        high = min(numbers, key=lambda p: -p[2], default=(0, 0, math.nan))
        values = [p[2] for p in numbers]
        means[cell] = sum(values) / len(values) if values else math.nan
        found[cell] = (
            len(inside), len(inside) - len(numbers), low[2], low[0], high[2], high[0],
            inside[0][0], inside[0][2], inside[-1][0], inside[-1][2],
            low[1], high[1], inside[0][1], inside[-1][1],
        )  # fmt: skip
    return found, means


def shown_by_time(series: Any) -> dict[int, tuple[Any, ...]]:
    times = zip(
        series.min_times_us, series.max_times_us, series.first_times_us, series.last_times_us,
        strict=True,
    )  # fmt: skip
    return {
        cell: (*row[:6], *row[7:], *more)
        for (cell, row), more in zip(shown(series).items(), times, strict=True)
    }


def check_by_time(
    client: needletail.Client, run_id: str, key: str, points: list[Point], buckets: int,
    from_time: int | None = None, to_time: int | None = None,
) -> None:  # fmt: skip
    """Compare buckets by time with the points that are in them."""
    found = client.tracking.downsample_metric_history(
        run_ids=[run_id], keys=[key], bucket_count=buckets, axis=BucketAxis.TIME,
        from_time_us=from_time, to_time_us=to_time,
    )  # fmt: skip
    width = found.bucket_us
    assert found.bucket_steps == 0
    rows, means = expected_by_time(points, width)
    wanted = {
        cell: row
        for cell, row in rows.items()
        if (from_time is None or cell >= from_time // width)
        and (to_time is None or cell <= (to_time - 1) // width)
    }
    if not wanted:
        assert found.series == ()
        return
    [series] = found.series
    assert len(series.cells) <= max(2, buckets)
    assert repr(sorted(shown_by_time(series).items())) == repr(sorted(wanted.items()))
    # They are added up in another order.
    assert list(series.means) == pytest.approx(
        [means[cell] for cell in series.cells], rel=1e-9, abs=1e-9, nan_ok=True
    )


@pytest.mark.parametrize("seed", range(6))
def test_buckets_by_time_are_exact_before_and_after_chunks_are_merged(
    client: needletail.Client, run_id: str, sql: Connection, seed: int
) -> None:
    rng = random.Random(seed)
    begin = rng.choice([0, 10**6, 1_700_000_000_000_000])
    disorder = rng.choice([0, 5_000, 10**9])
    points = [
        (rng.choice([step, 20_000 - step]), begin + step * 1_000_000 + rng.randint(0, disorder),
         rng.choice([round(rng.gauss(0, 1), 2)] * 30 + [math.nan, math.inf, -math.inf]))
        for step in range(12_000)
    ]  # fmt: skip
    batches = [points[at : at + 1_000] for at in range(0, len(points), 1_000)]
    rng.shuffle(batches)

    def check() -> None:
        for buckets in (1, 90, 10_000):
            check_by_time(client, run_id, "loss", points, buckets)
        for _ in range(3):
            first = begin + rng.randrange(12_000) * 1_000_000
            last = first + rng.choice([1, 10**6, 10**9, 4 * 10**9])
            check_by_time(client, run_id, "loss", points, rng.choice([5, 300]), first, last)

    log(client, run_id, "loss", batches[:9])
    merge(sql)
    log(client, run_id, "loss", batches[9:])
    check()
    assert merge(sql) >= 3
    check()
    rows = sql.execute(
        "select count(*) as n from metric_rollups where run_id = %s and by_time", [run_id]
    ).fetchone()
    assert rows is not None
    assert rows["n"] > 0


def test_the_first_and_the_last_bucket_are_whole(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    points = [(step, step, float(step)) for step in range(400)]
    log(client, run_id, "loss", [points[at : at + 10] for at in range(0, 400, 10)])
    for _ in range(2):
        found = client.tracking.downsample_metric_history(
            run_ids=[run_id], keys=["loss"], bucket_count=3, from_step=127, to_step=260
        )
        assert found.bucket_steps == 128
        [series] = found.series
        assert (list(series.cells), list(series.counts)) == ([0, 1, 2], [128, 128, 128])
        check_by_time(client, run_id, "loss", points, 3, 127, 260)
        merge(sql)


def test_runs_and_keys_by_time_come_on_one_grid(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    other = client.tracking.create_run(experiment_id=experiment_id, name="other").id
    log(client, run_id, "a", [[(1, 1_000_000, 1.0), (2, 2_000_000, 2.0)]])
    log(client, other, "b", [[(1, 9_000_000, 3.0)]])
    found = client.tracking.downsample_metric_history(
        run_ids=[run_id, other], keys=["b", "a"], axis=BucketAxis.TIME, bucket_count=10
    )
    assert [(one.run_id, one.key) for one in found.series] == [(run_id, "a"), (other, "b")]
    assert found.bucket_us == 1 << 20
    assert [list(one.cells) for one in found.series] == [[0, 1], [8]]
    none = client.tracking.downsample_metric_history(
        run_ids=[run_id], keys=["never"], axis=BucketAxis.TIME
    )
    assert none.series == ()
