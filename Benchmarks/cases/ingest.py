"""Metric points: how many a second are durable, and what the ordinary load costs."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.cases import Bound, Case, Outcome, Peer, Settings, compare
from Benchmarks.disk import told, watched_disk
from Benchmarks.figures import Contender, MeasurementError, Round, Spread
from Benchmarks.load import parse_load
from Benchmarks.postgres import Cluster, cluster, programs
from Benchmarks.processes import ROOT, cpu_seconds, output_of
from Benchmarks.server import Load, Server, server

_WRITERS = 4
_BATCH_POINTS = 1_000
# As many batches as the window of a stream holds.
_IN_FLIGHT = 48
_AT_LEAST = 8.0

# The ordinary load: what each run logs once a second, and how runs share connections.
_RUNS = 2_000
_METRICS = 10
_RUNS_A_CONNECTION = 20
_EVERY_MS = 1_000
_CORES_AT_MOST = 1.0
_P99_MS_AT_MOST = 100.0
# All runs begin at once, which no ordinary load does; what they log meanwhile is not counted.
_LEAD_SECONDS = 5
# With fewer acknowledged than this part of what is due, the load is not held.
_HELD_FROM = 0.98
_MORE_RUNS = (3_000, 4_000, 6_000, 8_000, 12_000, 16_000)

_SDK_US_A_POINT_AT_MOST = 5.0
_LOG_US_AT_MOST = 5.0

_PEER_TABLE = """
drop table if exists peer_points;
create table peer_points (
    run uuid not null, key text not null, step bigint not null, at timestamptz not null,
    value double precision not null
);
create index peer_points_run_key_step on peer_points (run, key, step);
"""


@dataclass(frozen=True, slots=True)
class Points:
    """The load program's writers; the rate is of points, the latencies are of batches."""

    load: Load

    @property
    def name(self) -> str:
        """What is appended, and how."""
        return self.load.name

    def measure(self, seconds: float) -> Round:
        """Appends for so long."""
        text = output_of(self.load.command(seconds), limit_seconds=seconds + 120)
        return parse_load(text, rate="points_per_second")


@dataclass(frozen=True, slots=True)
class CopyRows:
    """psql, which copies the same points into rows: so many at a time, by as many connections."""

    database: Cluster
    folder: Path
    rows: int

    @property
    def name(self) -> str:
        """How many rows each COPY is of."""
        return f"COPY of {self.rows:,} rows, index (run, key, step), {_WRITERS} connections"

    # Files of each connection, which take turns.
    _files = 8
    # What a psql copies before it looks at the clock.
    _rows_a_script = 100_000

    def prepare(self) -> None:
        """Writes the points, in COPY's binary form."""
        for writer in range(_WRITERS):
            names = [self.folder / f"{writer}-{self.rows}-{file}" for file in range(self._files)]
            for file, name in enumerate(names):
                source = (
                    f"select md5('{writer}')::uuid, 'load/metric-0'::text, "  # noqa: S608
                    f"({file * self.rows} + step)::bigint, now() + step * interval '10 ms', "
                    f"random() from generate_series(1, {self.rows}) as step"
                )
                self._psql("--command", f"\\copy ({source}) to '{name}' binary")
            turns = self._rows_a_script // self.rows
            script = (
                f"\\copy peer_points from '{names[turn % self._files]}' binary"
                for turn in range(turns)
            )
            self._script(writer).write_text("\n".join(script) + "\n", encoding="utf-8")

    def measure(self, seconds: float) -> Round:
        """Copies into an empty table for so long."""
        self.database.query(_PEER_TABLE)
        copied = [0] * _WRITERS
        errors: list[MeasurementError] = []
        start = time.monotonic()

        def copy(writer: int) -> None:
            try:
                while time.monotonic() - start < seconds:
                    self._psql("--file", str(self._script(writer)))
                    copied[writer] += self._rows_a_script
            except MeasurementError as error:
                errors.append(error)

        threads = [threading.Thread(target=copy, args=(writer,)) for writer in range(_WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return Round(sum(copied) / (time.monotonic() - start))

    def _script(self, writer: int) -> Path:
        return self.folder / f"{writer}-{self.rows}.sql"

    def _psql(self, *arguments: str) -> None:
        options = ("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1")
        output_of([programs() / "psql", self.database.url, *options, *arguments], limit_seconds=120)


def _ingest(settings: Settings, outcome: Outcome) -> None:
    with (
        cluster(settings.work / "pg") as database,
        server(settings.work / "server", postgres=database.url) as started,
    ):

        @contextmanager
        def ours() -> Iterator[Contender]:
            yield Points(_writers(started))

        def copying(rows: int) -> Peer:
            @contextmanager
            def peer() -> Iterator[Contender]:
                contender = CopyRows(database, settings.work, rows)
                contender.prepare()
                yield contender

            return Peer(peer, _AT_LEAST)

        compare(settings, outcome, ours, [copying(_BATCH_POINTS), copying(10 * _BATCH_POINTS)])
        if not settings.is_peers_only:
            outcome.notes.append(f"{_bytes_a_point(database):.1f} bytes a point before compaction")


def _writers(started: Server) -> Load:
    options = ("--batch-points", str(_BATCH_POINTS))
    return Load(started, "append-metrics", _WRITERS, _IN_FLIGHT, options=options)


def _bytes_a_point(database: Cluster) -> float:
    """What chunks take on disk with their indexes, a point."""
    rows = database.query(
        "select sum(pg_total_relation_size(tree.relid))"
        " / (select sum(point_count) from metric_chunks)"
        " from pg_partition_tree('metric_chunks') as tree where tree.isleaf",
        limit_seconds=120,
    )
    return float(rows[0][0])


@dataclass(frozen=True, slots=True)
class Held:
    """How a server bore so many runs."""

    runs: int
    part: float
    p99_ms: float
    cores: float

    @property
    def is_held(self) -> bool:
        """Whether every run was heard in time."""
        return self.part >= _HELD_FROM and self.p99_ms <= _P99_MS_AT_MOST


def _ordinary(settings: Settings, outcome: Outcome) -> None:
    seconds = max(settings.seconds, 5.0)
    with (
        cluster(settings.work / "pg") as database,
        server(settings.work / "server", postgres=database.url) as started,
    ):
        with watched_disk(settings.work) as alone:
            time.sleep(seconds)
        _hold(database, started, _RUNS, 2.0)
        with watched_disk(settings.work) as beside:
            rounds = [_hold(database, started, _RUNS, seconds) for _ in range(settings.pairs)]
        outcome.notes.append(
            f"the disk itself, 8 KiB made durable: alone {told(alone)}; beside {told(beside)}"
        )
        outcome.bounds = [
            Bound(
                f"cores of server and PostgreSQL, {_RUNS:,} runs × {_METRICS} metrics a second",
                "cores",
                Spread.of([one.cores for one in rounds]),
                _CORES_AT_MOST,
            ),
            Bound(
                "p99 from when a batch was due to its acknowledgement",
                "ms",
                Spread.of([one.p99_ms for one in rounds]),
                _P99_MS_AT_MOST,
            ),
        ]
        least = min(one.part for one in rounds)
        if least < _HELD_FROM:
            outcome.notes.append(f"not held: {least:.0%} of the batches were acknowledged in time")
        most = max((one.runs for one in rounds if one.is_held), default=0)
        for runs in _MORE_RUNS if most else ():
            try:
                more = _hold(database, started, runs, seconds)
            except MeasurementError:
                # Some were refused: the server had more than it can do.
                break
            if not more.is_held:
                break
            most = runs
        outcome.notes.append(
            f"held with p99 up to {_P99_MS_AT_MOST:g} ms, load program included: {most:,} runs"
        )


def _hold(database: Cluster, started: Server, runs: int, seconds: float) -> Held:
    """Loads the server with so many runs; the cores are of the time when all of them log."""
    options = (
        *("--writers", str(_RUNS_A_CONNECTION), "--metrics", str(_METRICS)),
        *("--batch-points", str(_METRICS), "--every", str(_EVERY_MS)),
        *("--lead", str(_LEAD_SECONDS)),
    )
    load = Load(started, "append-metrics", runs // _RUNS_A_CONNECTION, 8, options=options)
    opened = _count_writers(database) + runs
    with subprocess.Popen(load.command(seconds), stdout=subprocess.PIPE, text=True) as process:
        # Each run is created first, which is not what is measured.
        while _count_writers(database) < opened and process.poll() is None:
            time.sleep(0.1)
        time.sleep(_LEAD_SECONDS)
        processes = [started.process.pid, database.postmaster]
        before, start = sum(map(cpu_seconds, processes)), time.monotonic()
        time.sleep(seconds - 0.5)
        spent = sum(map(cpu_seconds, processes)) - before
        cores = spent / (time.monotonic() - start)
        text, _ = process.communicate(timeout=120)
    made = parse_load(text)
    due = runs * 1_000 / _EVERY_MS
    return Held(runs, made.per_second / due, (made.p99_us or 0) / 1_000, cores)


def _count_writers(database: Cluster) -> int:
    return int(database.query("select count(*) from writers")[0][0])


def _sdk(settings: Settings, outcome: Outcome) -> None:
    with (
        cluster(settings.work / "pg") as database,
        server(settings.work / "server", postgres=database.url) as started,
    ):
        program = ROOT / "SDKs/python/benchmarks/log_rate.py"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "SDKs/python/src"),
            "NEEDLETAIL_CONNECTION_FILE": str(started.connection_file),
        }
        reports = []
        for _ in range(settings.pairs):
            done = subprocess.run(
                [sys.executable, program],
                env=environment,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            if done.returncode != 0:
                raise MeasurementError(done.stderr.strip()[-300:])
            reports.append(json.loads(done.stdout))
    if any(report["dropped"] for report in reports):
        raise MeasurementError("the SDK dropped points")
    outcome.bounds = [
        Bound(
            "run.log() of 10 metrics in one process, a durable point",
            "µs",
            Spread.of([1e6 / report["points_per_second"] for report in reports]),
            _SDK_US_A_POINT_AT_MOST,
        ),
        Bound(
            "run.log() of 10 metrics on the training thread, median",
            "µs",
            Spread.of([report["log_p50_us"] for report in reports]),
            _LOG_US_AT_MOST,
        ),
    ]


CASES = (
    Case("ingest", "durable points a second, 4 writers, batches of 1,000, fsync on", _ingest),
    Case("ingest-ordinary", "2,000 runs, each 10 metrics a second, 100 connections", _ordinary),
    Case("ingest-sdk", "run.log() of the Python SDK, 10 metrics a call", _sdk),
)
