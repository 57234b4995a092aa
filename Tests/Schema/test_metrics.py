"""Chunks give back exactly the points that went in, in order and once."""

from __future__ import annotations

import math
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from chunks import INT32, INT64, Point, chunk_parameters
from statements import call
from tenants import START, Tenant, acting, create_run

if TYPE_CHECKING:
    from cluster import Connection

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_9999 = 253_402_300_799_999_999
NIL = uuid.UUID(int=0)


def insert(connection: Connection, tenant: Tenant, run_id: uuid.UUID, *chunks: list[Point]) -> None:
    with acting(connection, tenant):
        call(connection, "insertMetricChunks", organization_id=tenant.organization_id,
             **chunk_parameters([(run_id, "loss", points) for points in chunks]))  # fmt: skip


def point(step: int, time_us: int = 0, value: float = 0.5) -> Point:
    return (step, time_us, value)


CASES: dict[str, list[Point]] = {
    "one point": [point(7, 5)],
    "regular": [point(10 + 3 * i, 1_000 * i, i / 8) for i in range(1000)],
    "all the same step": [point(4, 0, i / 8) for i in range(5)],
    "downwards": [point(-i, 10 - i) for i in range(5)],
    "irregular": [point(i * i, i**3, i / 8) for i in range(50)],
    "just within 32 bits": [point(0), point(INT32 - 1, 1), point(-INT32, INT32 - 1)],
    "just beyond 32 bits": [point(0), point(INT32, INT32), point(1, -INT32 - 1)],
    "edges of 64 bits": [point(-INT64), point(INT64 - 1, END_OF_9999), point(0, -1)],
    "edges of 64 bits, two": [point(-INT64), point(INT64 - 1)],
    "a stride of 63 bits": [point(-1), point(INT64 - 2)],
    "not numbers": [
        point(1, 1, math.nan), point(2, 2, math.inf), point(3, 3, -math.inf), point(4, 4, -0.0),
    ],
    "nothing but NaN": [point(1, 1, math.nan), point(2, 1, math.nan)],
    "small and large values": [point(1, 1, 5e-324), point(2, 1, 1.7976931348623157e308)],
    "before 1970": [point(1, -1), point(2, -60_000_000_000_000_001)],
}  # fmt: skip


@pytest.mark.parametrize("points", CASES.values(), ids=CASES.keys())
def test_the_view_gives_back_every_point(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, points: list[Point]
) -> None:
    insert(connection, tenant, run_id, points)
    with acting(connection, tenant):
        rows = connection.execute(
            "select run_id, metric_name, step, timestamp, value from run_metrics"
        ).fetchall()
    expected = [
        (run_id, "loss", step, EPOCH + timedelta(microseconds=time_us), repr(value))
        for step, time_us, value in points
    ]
    found = [(*list(row.values())[:4], repr(row["value"])) for row in rows]
    assert sorted(found) == sorted(expected)


def test_many_series_of_one_statement_keep_apart(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    second = create_run(connection, tenant)
    series = [
        (run if index % 2 else second, f"metric {index}", points)
        for index, points in enumerate(CASES.values())
        for run in [run_id]
    ]
    random.Random(7).shuffle(series)
    with acting(connection, tenant):
        call(connection, "insertMetricChunks", organization_id=tenant.organization_id,
             **chunk_parameters(series))  # fmt: skip
    for run, key, points in series:
        rows = connection.execute(
            "select step, value from run_metrics where run_id = %s and metric_name = %s",
            [run, key],
        ).fetchall()
        found = sorted((row["step"], repr(row["value"])) for row in rows)
        assert found == sorted((step, repr(value)) for step, _, value in points)


def test_exact_duplicates_count_once(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    twice = [point(1, 1, math.nan), point(1, 1, math.nan), point(1, 1, 2.0), point(1, 2, 2.0)]
    insert(connection, tenant, run_id, twice, twice)
    rows = connection.execute("select value from run_metrics").fetchall()
    assert sorted(repr(row["value"]) for row in rows) == ["2.0", "2.0", "nan"]


def test_a_time_beyond_what_postgres_knows_is_the_beginning_of_time(
    connection: Connection,
) -> None:
    row = connection.execute(
        "select needletail_time(%s) = '-infinity' as early, "
        "needletail_time(-210866803200000000) > '-infinity' as first, "
        "needletail_time(%s) = '9999-12-31 23:59:59.999999Z' as late",
        [-INT64, END_OF_9999],
    ).fetchone()
    assert row == {"early": True, "first": True, "late": True}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"point_counts": [3]}, "metric_chunks_point_values_check"),
        ({"keys": [""]}, "metric_chunks_key_check"),
        ({"max_steps": [-1]}, "metric_chunks_max_step_check"),
        ({"step_forms": [5]}, "metric_chunks_steps_check"),
        ({"time_forms": [1], "time_offsets_us": [1]}, "metric_chunks_times_us_check"),
    ],
)
def test_a_chunk_that_does_not_add_up_is_refused(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, change: Any, constraint: str
) -> None:
    parameters = chunk_parameters([(run_id, "loss", [point(0), point(1)])]) | change
    with pytest.raises(psycopg.errors.CheckViolation) as caught, acting(connection, tenant):
        call(connection, "insertMetricChunks", organization_id=tenant.organization_id, **parameters)
    assert caught.value.diag.constraint_name == constraint


def test_history_pages_in_the_order_of_steps(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    chance = random.Random(3)
    for _ in range(20):
        start = chance.randrange(100)
        insert(connection, tenant, run_id, [point(start + i) for i in range(10)])
    asked = {"organization_id": tenant.organization_id, "run_id": run_id, "key": "loss",
             "current_epoch": 0, "includes_shadowed": False}  # fmt: skip

    def pages(size: int, from_step: int) -> list[Any]:
        found, after = [], {"after_min_step": -INT64, "after_id": NIL}
        with acting(connection, tenant):
            while page := call(connection, "listChunksByStep", page_size=size,
                               points_max=35, from_step=from_step, **after, **asked):  # fmt: skip
                found += page
                after = {"after_min_step": page[-1]["min_step"], "after_id": page[-1]["id"]}
        return [row | {"is_last": None, "snapshot": None} for row in found]

    everything = pages(100, -INT64)
    assert len(everything) == 20
    assert everything == sorted(everything, key=lambda row: (row["min_step"], row["id"]))
    assert pages(3, -INT64) == everything
    assert pages(3, 60) == [row for row in everything if row["max_step"] >= 60]


def snapshot(connection: Connection) -> str:
    [row] = call(connection, "getSnapshot")
    return str(row["snapshot"])


def changes(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, since: str, until: str, size: int = 2
) -> tuple[list[int], list[str]]:
    found: list[int] = []
    asked = {"organization_id": tenant.organization_id, "run_id": run_id,
             "since_snapshot": since, "until_snapshot": until}  # fmt: skip
    after: dict[str, Any] = {"after_xid": "0", "after_id": NIL}
    with acting(connection, tenant):
        while page := call(connection, "listChunksBetween", page_size=size,
                           points_max=100, **after, **asked):  # fmt: skip
            found += [row["first_step"] for row in page]
            after = {"after_xid": page[-1]["xid"], "after_id": page[-1]["id"]}
        runs = call(connection, "getRunChange", **asked)
    return found, [run["name"] for run in runs]


def test_a_watcher_sees_each_commit_once_in_whatever_order_they_come(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    first = snapshot(connection)
    assert changes(connection, tenant, run_id, "1:1:", first) == ([], ["run"])
    with acting(other, tenant):  # Begins first, commits last.
        call(other, "insertMetricChunks", organization_id=tenant.organization_id,
             **chunk_parameters([(run_id, "loss", [point(1)])]))  # fmt: skip
        for step in (2, 3, 4):
            insert(connection, tenant, run_id, [point(step)])
        second = snapshot(connection)
        assert changes(connection, tenant, run_id, first, second) == ([2, 3, 4], [])
    insert(connection, tenant, run_id, [point(5)])
    third = snapshot(connection)
    with acting(connection, tenant):
        call(connection, "updateRun", organization_id=tenant.organization_id, id=run_id,
             experiment_id=tenant.experiment_id, name="renamed", description="", status="running",
             started_at=START, completed_at=None, parent_run_id=None, source_json=None,
             is_pinned=False, archived_at=None, updated_at=START)  # fmt: skip
    insert(connection, tenant, run_id, [point(6)])
    assert changes(connection, tenant, run_id, second, third) == ([1, 5], [])
    fourth = snapshot(connection)
    assert changes(connection, tenant, run_id, third, fourth) == ([6], ["renamed"])
    assert changes(connection, tenant, run_id, fourth, fourth) == ([], [])
    steps, _ = changes(connection, tenant, run_id, "1:1:", fourth)
    assert sorted(steps) == [1, 2, 3, 4, 5, 6]


def test_a_long_transaction_elsewhere_does_not_stall_a_watcher(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    with other.transaction():
        other.execute("select pg_current_xact_id()")
        first = snapshot(connection)
        insert(connection, tenant, run_id, [point(1)])
        assert changes(connection, tenant, run_id, first, snapshot(connection)) == ([1], [])


def test_the_cluster_id_is_of_this_database_alone(connection: Connection, tenant: Tenant) -> None:
    with acting(connection, tenant):
        [row] = call(connection, "getSnapshot")
    database = connection.execute(
        "select oid from pg_database where datname = current_database()"
    ).fetchone()
    assert database is not None
    system, oid, timeline = row["cluster_id"].split("-")
    assert (int(oid), timeline) == (database["oid"], "00000001")
    assert int(system) > 0
