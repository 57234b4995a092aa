"""A chart of ten million points, of random values at jittered times, in a thousand buckets.

By step, which is what a chart shows unless it is told otherwise, and by time.

`NEEDLETAIL_BENCH_METRIC_POINTS` makes fewer, for a quick look.
"""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import quantiles

from Benchmarks import wire
from Benchmarks.calls import Caller
from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.cases.runs import Bench
from Benchmarks.figures import MeasurementError, Round, Spread, alternate
from Benchmarks.postgres import Cluster, cluster
from Benchmarks.server import Load, server

POINTS = 10_000_000
_POINTS_VARIABLE = "NEEDLETAIL_BENCH_METRIC_POINTS"
_BATCH_POINTS = 1_000
_BUCKETS = 1_000
_AT_MOST_MS = 20.0
_BYTES_AT_MOST = 13.0
_LIMIT_SECONDS = 3_600
# Of BucketAxis.
_BY_STEP, _BY_TIME = 1, 2
_DOWNSAMPLE = "needletail.tracking.v1.Tracking/DownsampleMetricHistory"


@dataclass(slots=True)
class Chart:
    """One metric's buckets, asked for again and again."""

    name: str
    caller: Caller
    request: bytes
    sizes: set[int] = field(default_factory=set)

    def measure(self, seconds: float) -> Round:
        """Measures one round."""
        microseconds: list[float] = []
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds or len(microseconds) < 2:
            answer = self.caller.call(_DOWNSAMPLE, self.request)
            microseconds.append((time.perf_counter() - now) * 1e6)
            self.sizes.add(len(answer))
        cuts = quantiles(microseconds, n=100, method="inclusive")
        return Round(len(microseconds) / (now - start), cuts[49], cuts[98])


def fill(database: Cluster, ids: dict[str, str], key: str, points: int) -> None:
    """Writes points as a job does that logs one a second: a chunk a batch, in their order."""
    database.query(
        "insert into metric_chunks (organization_id, id, run_id, key, point_count,"  # noqa: S608
        " min_step, max_step, first_step, step_stride, first_time_us, time_stride_us,"
        " time_offsets_us,"
        " min_value, max_value, point_values)"
        f" select '{ids['organization_id']}',"
        " (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - 60000 + batch), 12, '0')"
        f" || '7000' || '8' || substr(md5('{key}' || batch), 1, 15))::uuid,"
        f" '{ids['id']}', '{key}', {_BATCH_POINTS}, first, first + {_BATCH_POINTS - 1}, first, 1,"
        " 1700000000000000 + first * 1000000, null,"
        # Of the batch, so that each has its own.
        f" array(select (n * 1000000 + random() * 50000 + first * 0)::integer"
        f" from generate_series(0, {_BATCH_POINTS - 1}) as n),"
        " -6, 6, point_values"
        f" from generate_series(0, {points // _BATCH_POINTS - 1}) as batch,"
        f" lateral (select batch::bigint * {_BATCH_POINTS} as first) as place,"
        " lateral (select array(select random() + first * 0"
        f" from generate_series(1, {_BATCH_POINTS})) as point_values) as made",
        limit_seconds=_LIMIT_SECONDS,
    )
    database.query(
        "insert into run_metric_summaries (organization_id, run_id, key,"  # noqa: S608
        " point_count, first_step,"
        " last_step, last_time_us, last_value, min_value, max_value) values"
        f" ('{ids['organization_id']}', '{ids['id']}', '{key}', {points}, 0, {points - 1},"
        f" {1_700_000_000_000_000 + points * 1_000_000}, 0.5, 0, 1)"
    )


def merge(database: Cluster) -> float:
    """Merges all chunks there are; in how many seconds."""
    start = time.perf_counter()
    while database.query(
        "select needletail_compact_metrics(now() + interval '1 minute', 1000)",
        limit_seconds=_LIMIT_SECONDS,
    ) != [["0"]]:
        pass
    return time.perf_counter() - start


def _size(database: Cluster) -> int:
    """Bytes on disk of points and rollups, without what deleted rows left."""
    database.query(
        "vacuum (full, analyze) metric_chunks, metric_rollups", limit_seconds=_LIMIT_SECONDS
    )
    rows = database.query(
        "select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent in"
        " ('metric_chunks'::regclass, 'metric_rollups'::regclass)"
    )
    return int(rows[0][0])


def _downsample(settings: Settings, outcome: Outcome) -> None:
    count = int(os.environ.get(_POINTS_VARIABLE, POINTS))
    with ExitStack() as stack:
        database = stack.enter_context(
            cluster(settings.work / "reads-pg", options={"max_wal_size": "8GB"})
        )
        started = stack.enter_context(server(settings.work / "reads", postgres=database.url))
        Load(started, "create-run", 1, 1).measure(0.5)
        ids = Bench(database, started).ids()
        empty = _size(database)
        fill(database, ids, "loss", count)
        seconds = merge(database)
        bytes_per_point = (_size(database) - empty) / count
        fill(database, ids, "small", count // 100)
        merge(database)
        endpoint = wire.Endpoint.of(started.connection)
        caller = stack.enter_context(Caller.of(endpoint))
        charts = [
            Chart(
                name, caller,
                wire.text_field(1, ids["id"]) + wire.text_field(2, key)
                + wire.number_field(3, _BUCKETS) + wire.number_field(8, axis),
            )
            for name, key, axis in (
                (f"{count:,} points", "loss", _BY_STEP),
                (f"{count // 100:,} points", "small", _BY_STEP),
                (f"{count:,} points by time", "loss", _BY_TIME),
                (f"{count // 100:,} points by time", "small", _BY_TIME),
            )
        ]  # fmt: skip
        outcome.standings = alternate(charts, pairs=settings.pairs, seconds=settings.seconds)
    for chart, standing in zip(charts, outcome.standings, strict=True):
        latency = standing.latency(lambda one: one.p50_us)
        if latency is None or min(chart.sizes) < _BUCKETS // 2:
            raise MeasurementError(f"{chart.name}: no buckets")
        spread = Spread(latency.median / 1e3, latency.least / 1e3, latency.greatest / 1e3)
        outcome.bounds.append(Bound(f"{chart.name}, p50", "ms", spread, _AT_MOST_MS))
    spread = Spread(bytes_per_point, bytes_per_point, bytes_per_point)
    outcome.bounds.append(Bound("a point with its rollups", "bytes", spread, _BYTES_AT_MOST))
    outcome.notes.append(
        f"{count / seconds / 1e6:.2f} million points a second are merged and rolled up"
    )
    if count != POINTS:
        outcome.notes.append(f"measured with {count:,} points")


CASES = (
    Case(
        "metric-downsampling",
        f"{POINTS:,} points of one metric in {_BUCKETS:,} buckets",
        _downsample,
    ),
)
