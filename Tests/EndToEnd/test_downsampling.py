"""Metrics in buckets are what the points come to, before, while and after chunks are merged."""

from __future__ import annotations

import math
import random
import re
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from needletail import CallError
from needletail.tracking import AppendMetricsRequest, BucketAxis, MetricSeries, RunMetrics
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import needletail
    from program import Connection, UpServer

Point = tuple[int, int, float]


def log(client: needletail.Client, run_id: str, key: str, batches: list[list[Point]]) -> None:
    """Store batches, each in a chunk of its own."""
    for points in batches:
        request = AppendMetricsRequest(
            writer_id=str(uuid.uuid4()), sequence=1,
            runs=[RunMetrics(run_id=run_id, series=[MetricSeries(
                key=key, steps=[p[0] for p in points], times_us=[p[1] for p in points],
                values=[p[2] for p in points],
            )])],
        )  # fmt: skip
        with client.tracking.append_metrics() as stream:
            stream.send(request)
            stream.half_close()
            assert [one.acknowledged_sequence for one in stream][-1] == 1


def merge(sql: Connection) -> int:
    """Merge all chunks there are; how many they were."""
    count = 0
    while True:
        with sql.transaction():
            sql.execute("set local role needletail_maintenance")
            row = sql.execute(
                "select needletail_compact_metrics(now() + interval '1 minute', 1000) as n"
            ).fetchone()
        assert row is not None
        if not row["n"]:
            return count
        count += row["n"]


def points_of_a_job(count: int, seed: int = 5) -> list[Point]:
    rng = random.Random(seed)
    return [
        (step, 1_700_000_000_000_000 + step * 1_000 + rng.randrange(100),
         rng.choice([rng.gauss(0, 1)] * 50 + [math.nan, math.inf, -math.inf]))
        for step in range(-50, count - 50)
    ]  # fmt: skip


def expected(points: list[Point], width: int) -> dict[int, tuple[Any, ...]]:
    cells: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        cells[point[0] // width].append(point)
    found = {}
    for cell, inside in cells.items():
        inside.sort(key=lambda p: (p[0], p[1], math.isnan(p[2]), p[2]))
        numbers = [p for p in inside if not math.isnan(p[2])]
        low = min(numbers, key=lambda p: (p[2], p[0]), default=(0, 0, math.nan))
        high = min(numbers, key=lambda p: (-p[2], p[0]), default=(0, 0, math.nan))
        values = [p[2] for p in numbers]
        mean = sum(values) / len(values) if values else math.nan
        found[cell] = (
            len(inside), len(inside) - len(numbers), low[2], low[0], high[2], high[0],
            f"{mean:.9g}", inside[0][0], inside[0][2], inside[-1][0], inside[-1][2],
        )  # fmt: skip
    return found


def shown(series: Any) -> dict[int, tuple[Any, ...]]:
    columns = zip(
        series.cells, series.counts, series.nan_counts, series.min_values, series.min_steps,
        series.max_values, series.max_steps, series.means, series.first_steps,
        series.first_values, series.last_steps, series.last_values, strict=True,
    )  # fmt: skip
    return {row[0]: (*row[1:7], f"{row[7]:.9g}", *row[8:]) for row in columns}


@pytest.mark.parametrize("buckets", [1, 2, 7, 100, 3_000, 10_000])
def test_buckets_are_exact_before_and_after_chunks_are_merged(
    client: needletail.Client, run_id: str, sql: Connection, buckets: int
) -> None:
    points = points_of_a_job(20_000)
    batches = [points[at : at + 1_000] for at in range(0, len(points), 1_000)]
    random.Random(1).shuffle(batches)

    def check() -> None:
        found = client.tracking.downsample_metric_history(
            run_ids=[run_id], keys=["loss", "never logged"], bucket_count=buckets
        )
        [series] = found.series
        assert (series.run_id, series.key) == (run_id, "loss")
        width = found.bucket_steps
        cells = (points[-1][0] // width) - (points[0][0] // width) + 1
        # No grid of powers of two has steps on both sides of 0 in one bucket.
        assert cells <= max(buckets, 2)
        assert width == 1 or buckets < 2 * cells + 2
        assert repr(sorted(shown(series).items())) == repr(sorted(expected(points, width).items()))

    log(client, run_id, "loss", batches[:15])
    merge(sql)
    log(client, run_id, "loss", batches[15:])
    check()
    assert merge(sql) >= 5
    check()
    row = sql.execute(
        "select count(*) as n from metric_rollups where run_id = %s", [run_id]
    ).fetchone()
    assert row is not None
    assert row["n"] > 0


def test_several_runs_and_keys_come_on_one_grid_in_the_order_of_the_request(
    client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    other = client.tracking.create_run(experiment_id=experiment_id, name="other").id
    log(client, run_id, "a", [points_of_a_job(3_000)])
    log(client, run_id, "b", [[(0, 0, 1.0)]])
    log(client, other, "a", [points_of_a_job(100)])
    merge(sql)
    found = client.tracking.downsample_metric_history(
        run_ids=[other, run_id], keys=["b", "a"], bucket_count=50, from_step=0, to_step=1_999
    )
    assert [(one.run_id, one.key) for one in found.series] == [
        (other, "a"), (run_id, "b"), (run_id, "a"),
    ]  # fmt: skip
    assert found.bucket_steps == 64
    assert list(found.series[2].cells) == list(range(32))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"run_ids": []}, "run_ids"),
        ({"run_ids": ["no uuid"]}, "run_ids[0]"),
        ({"keys": []}, "keys"),
        ({"keys": ["a", "a"]}, "keys"),
        ({"keys": ["k" * 251]}, "keys[0]"),
        ({"keys": [f"{n}" for n in range(51)]}, "keys"),
        ({"bucket_count": 10_001}, "bucket_count"),
        ({"bucket_count": 10_000, "keys": [f"{n}" for n in range(21)]}, "bucket_count"),
        ({"from_step": 2, "to_step": 1}, "to_step"),
        ({"from_time_us": 2}, "from_time_us"),
        ({"to_time_us": 2}, "to_time_us"),
        ({"axis": BucketAxis.TIME, "from_step": 2}, "from_step"),
        ({"axis": BucketAxis.TIME, "to_step": 2}, "to_step"),
        ({"axis": BucketAxis.TIME, "from_time_us": 2, "to_time_us": 2}, "to_time_us"),
        ({"axis": BucketAxis.TIME, "to_time_us": -(2**63)}, "to_time_us"),
    ],
)
def test_wrong_requests_are_refused(
    client: needletail.Client, run_id: str, change: dict[str, Any], field: str
) -> None:
    request: dict[str, Any] = {"run_ids": [run_id], "keys": ["a"]}
    with pytest.raises(CallError) as caught:
        client.tracking.downsample_metric_history(**(request | change))
    assert caught.value.reason == "FIELD_INVALID"
    assert [violation.field for violation in caught.value.field_violations] == [field]


def test_a_run_of_nobody_is_not_found(client: needletail.Client, run_id: str) -> None:
    with pytest.raises(CallError) as caught:
        client.tracking.downsample_metric_history(run_ids=[run_id, str(uuid.uuid4())], keys=["a"])
    assert caught.value.reason == "RUN_NOT_FOUND"


def test_a_reader_between_two_pages_sees_every_point_once(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    points = [(step, step, float(step)) for step in range(400_000)]
    log(client, run_id, "long", [points[at : at + 10_000] for at in range(0, len(points), 10_000)])
    stream = iter(client.tracking.stream_metric_history(run_id=run_id, key="long"))
    steps = list(next(stream).series.steps)
    assert merge(sql) >= 40
    for part in stream:
        steps += part.series.steps
    assert steps == list(range(400_000))
    paged, token = [], ""
    while True:
        page = client.tracking.get_metric_history(
            run_id=run_id, key="long", page_size=25_000, page_token=token
        )
        paged += page.series.steps
        token = page.next_page_token
        if not token:
            break
    assert paged == steps


def test_a_watcher_that_resumes_gets_no_point_twice_and_loses_none(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    def watched(token: str = "") -> tuple[list[int], str]:
        """The first points that come after a token, and the next token."""
        with client.tracking.watch_run(run_id=run_id, resume_token=token) as messages:
            for message in messages:
                steps = [step for series in message.series for step in series.steps]
                if steps:
                    return steps, message.resume_token
        raise AssertionError

    log(client, run_id, "w", [[(1, 1, 1.0)]])
    seen, early = watched()
    assert seen == [1]
    log(client, run_id, "w", [[(2, 2, 2.0)]])
    seen, late = watched(early)
    assert seen == [2]
    assert merge(sql) >= 2
    log(client, run_id, "w", [[(3, 3, 3.0)]])
    # Everything was seen: what was merged is not new.
    assert watched(late)[0] == [3]
    # Nothing was seen: all of it is new.
    assert watched()[0] == [1, 2, 3]
    # Some of it was seen.
    with pytest.raises(CallError) as caught:
        watched(early)
    assert caught.value.reason == "RESUME_TOKEN_EXPIRED"


def test_servers_merge_by_themselves_and_tell_of_it(own_server: Callable[..., UpServer]) -> None:
    server = own_server(
        "--operations-port", "0", "--set", "compaction-interval=50ms", "--set",
        "compaction-delay=1ms", "--set", "housekeeping-interval=50ms",
    )  # fmt: skip
    server.start()
    with server.client() as client, server.sql() as sql:
        project = next(iter(client.identity.list_projects().projects)).id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        run = client.tracking.create_run(experiment_id=experiment, name="run").id
        log(client, run, "loss", [[(step, step, 1.0)] for step in range(20)])

        def chunks() -> int:
            row = sql.execute(
                "select count(*) as n from metric_chunks where merged_xid is null"
            ).fetchone()
            assert row is not None
            return int(row["n"])

        wait_until("every chunk is merged", lambda: chunks() == 0)
        tasks = {
            "partitions", "idempotency-keys", "purge", "artifacts", "metric-compaction",
            "metric-retention",
        }  # fmt: skip

        def done() -> set[str]:
            return {
                row["name"]
                for row in sql.execute(
                    "select name from maintenance_tasks where succeeded_at is not null"
                    " and error is null"
                )
            }

        wait_until("every task has run", lambda: tasks <= done())

        def counted() -> int:
            _, page = server.page("/metrics")
            rows = re.search(
                r'^needletail_maintenance_rows_total\{task="metric-compaction"\} (\d+)$', page,
                re.MULTILINE,
            )  # fmt: skip
            return int(rows[1]) if rows else 0

        wait_until("every chunk is counted", lambda: counted() == 20)
    assert server.stop() == 0
