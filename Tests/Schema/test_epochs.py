"""A later epoch shadows what came before it from its step on, and keeps old writers out."""

from __future__ import annotations

import math
import random
import threading
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from chunks import INT64, Point, extreme_step
from statements import call
from tenants import Tenant, acting, create_run, uuid7
from test_appends import append, open_writer, point, refusal, store, stored, wait_until_blocked

if TYPE_CHECKING:
    from cluster import Connection


def writer_of(connection: Connection, tenant: Tenant) -> uuid.UUID:
    writer = uuid7()
    open_writer(connection, tenant, writer)
    return writer


def summaries(connection: Connection, tenant: Tenant, run_id: uuid.UUID) -> dict[str, Any]:
    with acting(connection, tenant):
        rows = call(connection, "listMetricSummaries", run_id=run_id, after_key="",
                    organization_id=tenant.organization_id, page_size=100)  # fmt: skip
    return {row.pop("key"): row for row in rows}


def expected_summary(points: list[Point]) -> dict[str, Any]:
    numbers = [p[2] for p in points if not math.isnan(p[2])]
    last = max(points, key=lambda p: (p[0], p[1], math.isnan(p[2]), p[2]))
    return {
        "point_count": len(points), "first_step": min(p[0] for p in points),
        "last_step": last[0], "last_time_us": last[1], "last_value": last[2],
        "min_value": min(numbers, default=math.nan), "max_value": max(numbers, default=math.nan),
        "number_count": len(numbers), "value_sum": sum(numbers, 0.0),
        "min_step": extreme_step(points, min), "max_step": extreme_step(points, max),
    }  # fmt: skip


def test_an_epoch_shadows_what_it_runs_again_and_deletes_nothing(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    old, new = writer_of(connection, tenant), writer_of(connection, tenant)
    append(connection, tenant, old, range(1, 2),
           [(run_id, "loss", [point(step) for step in range(10)]),
            (run_id, "late", [point(8), point(9)]), (run_id, "early", [point(1)])])  # fmt: skip
    append(connection, tenant, new, range(1, 2), [(run_id, "loss", [point(4)])], 1, 4)
    rows = connection.execute(
        "select metric_name, epoch, step from run_metrics order by 1, 2, 3"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("early", 0, 1), *(("loss", 0, step) for step in range(4)), ("loss", 1, 4),
    ]  # fmt: skip
    found = summaries(connection, tenant, run_id)
    assert found == {
        "early": expected_summary([point(1)]),
        "loss": expected_summary([point(step) for step in range(5)]),
    }
    row = connection.execute("select sum(point_count) as n from metric_chunks").fetchone()
    assert row == {"n": 14}


@pytest.mark.parametrize("seed", range(12))
def test_summaries_are_of_the_points_that_are_visible(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, seed: int
) -> None:
    chance = random.Random(seed)
    values = [0.5, 1.0, -2.0, 1e9, math.nan, math.inf]
    kept: dict[str, list[Point]] = {"a": [], "b": [], "c": []}
    for epoch in range(5):
        writer = writer_of(connection, tenant)
        from_step = chance.randrange(20) if epoch else None
        if from_step is not None:
            for points in kept.values():
                points[:] = [p for p in points if p[0] < from_step]
        for sequence in range(1, 4):
            key = chance.choice("abc")
            points = [
                (chance.randrange(20), chance.randrange(3), chance.choice(values))
                for _ in range(chance.randrange(1, 8))
            ]
            append(connection, tenant, writer, range(sequence, sequence + 1),
                   [(run_id, key, points)], epoch,
                   from_step if sequence == 1 else None)  # fmt: skip
            kept[key] += points
        found = summaries(connection, tenant, run_id)
        expected = {key: expected_summary(points) for key, points in kept.items() if points}
        assert {k: repr(v) for k, v in found.items()} == {k: repr(v) for k, v in expected.items()}


def test_a_sum_beyond_a_double_is_infinite(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    old, new = writer_of(connection, tenant), writer_of(connection, tenant)
    large = 1.7e308
    append(connection, tenant, old, range(1, 2),
           [(run_id, "up", [(0, 0, large), (9, 0, 1.0)]), (run_id, "none", [(0, 0, large)]),
            (run_id, "down", [(0, 0, -large), (9, 0, 1.0)])])  # fmt: skip
    for sequence, step in enumerate((1, 2), start=2):
        append(connection, tenant, old, range(sequence, sequence + 1),
               [(run_id, "up", [(step, 0, large)]),
                (run_id, "down", [(step, 0, -large)])])  # fmt: skip
    append(connection, tenant, new, range(1, 2),
           [(run_id, "none", [(5, 0, -large)])], 1, 5)  # fmt: skip
    found = {k: v["value_sum"] for k, v in summaries(connection, tenant, run_id).items()}
    assert found == {"up": math.inf, "down": -math.inf, "none": 0.0}


@pytest.mark.parametrize(
    ("epoch", "from_step", "reason"),
    [(0, None, "EPOCH_OLD"), (1, None, "EPOCH_OLD"), (1, 5, "EPOCH_OLD"),
     (3, None, "EPOCH_SKIPPED"), (2, 6, "EPOCH_TAKEN"), (2, 5, "EPOCH_TAKEN"),
     (4, 5, "EPOCH_SKIPPED")],
)  # fmt: skip
def test_only_the_current_epoch_takes_points_and_only_the_next_can_be_opened(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, epoch: int, from_step: int | None,
    reason: str,
) -> None:  # fmt: skip
    first, second, third = (writer_of(connection, tenant) for _ in range(3))
    append(connection, tenant, first, range(1, 2), [(run_id, "x", [point(1)])], 1, 5)
    append(connection, tenant, second, range(1, 2), [(run_id, "x", [point(2)])], 2, 5)
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, third, range(1, 2), [(run_id, "x", [point(3)])], epoch,
               from_step)  # fmt: skip
    assert refusal(caught.value) == (reason, {"run_id": str(run_id), "current_epoch": 2})
    assert stored(connection) == [(1, 1.0), (2, 2.0)]
    # The writer that opened it may say so again; any other may append.
    append(connection, tenant, second, range(2, 3), [(run_id, "x", [point(3)])], 2, 5)
    append(connection, tenant, third, range(1, 2), [(run_id, "x", [point(4)])], 2)
    append(connection, tenant, third, range(2, 3), [(run_id, "x", [(-INT64, 0, 1.0)])], 3, -INT64)
    assert stored(connection) == [(-INT64, 1.0)]


def test_opening_an_epoch_waits_for_points_on_their_way_and_whoever_follows_is_refused(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    old, new, late = (writer_of(connection, tenant) for _ in range(3))
    thread = threading.Thread(
        target=append,
        args=(other, tenant, new, range(1, 2), [(run_id, "x", [point(3)])], 1, 2),
    )
    with acting(connection, tenant):
        store(connection, tenant, old, range(1, 2), [(run_id, "x", [point(1), point(2)])])
        thread.start()
        wait_until_blocked(connection)
    thread.join(timeout=10)
    assert stored(connection) == [(1, 1.0), (3, 3.0)]
    assert summaries(connection, tenant, run_id)["x"] == expected_summary([point(1), point(3)])
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, late, range(1, 2), [(run_id, "x", [point(4)])])
    assert refusal(caught.value)[0] == "EPOCH_OLD"


def test_whoever_waited_while_an_epoch_was_opened_finds_it(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    old, new, outcome = writer_of(connection, tenant), writer_of(connection, tenant), []

    def go_on() -> None:
        try:
            append(other, tenant, old, range(1, 2), [(run_id, "x", [point(9)])])
        except psycopg.Error as error:
            outcome.append(refusal(error)[0])

    thread = threading.Thread(target=go_on)
    with acting(connection, tenant):
        store(connection, tenant, new, range(1, 2), [(run_id, "x", [point(1)])], 1, 0)
        thread.start()
        wait_until_blocked(connection)
    thread.join(timeout=10)
    assert outcome == ["EPOCH_OLD"]


def test_an_epoch_of_another_organization_s_run_is_not_opened(
    connection: Connection, tenant: Tenant, rival: Tenant
) -> None:
    writer, foreign = writer_of(connection, tenant), create_run(connection, rival)
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, writer, range(1, 2), [(foreign, "x", [point(1)])], 1, 0)
    assert refusal(caught.value) == ("RUN_NOT_FOUND", {"run_id": str(foreign)})
    assert connection.execute("select epoch from run_epochs").fetchall() == []
