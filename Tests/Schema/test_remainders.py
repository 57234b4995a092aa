"""Summaries are of the whole visible history, also when its points or rollups have gone."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tenants import Tenant, create_run, maintaining
from test_appends import append
from test_epochs import expected_summary, summaries, writer_of

if TYPE_CHECKING:
    import uuid

    from chunks import Point
    from cluster import Connection

# The width of the finest buckets, and of what a stretch of points covers.
BUCKET, STRETCH = 16, 64
# Their sums are exact.
VALUES = [0.5, 1.0, -2.0, 1e9, math.nan, math.inf]
SOON = timedelta(minutes=1)


def compact(connection: Connection) -> None:
    with maintaining(connection):
        connection.execute("select needletail_compact_metrics(now() + interval '1 minute', 1000)")


def expire(connection: Connection, points: datetime, rollups: datetime, batch: int = 100) -> None:
    """Remove what came before two times until nothing is left to remove."""
    removed = True
    while removed:
        with maintaining(connection):
            row = connection.execute(
                "select needletail_expire_metrics(%s, %s, %s) as n", [points, rollups, batch]
            ).fetchone()
        assert row is not None
        removed = row["n"] > 0


def forget(connection: Connection, *, rollups: bool) -> None:
    """Remove all points, and all rollups too."""
    now = datetime.now(UTC)
    expire(connection, now + SOON, now + SOON if rollups else now - timedelta(days=1))


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"select count(*) as n from {table}").fetchone()
    assert row is not None
    return int(row["n"])


def told(found: dict[str, Any]) -> dict[str, str]:
    """Make NaN equal itself."""
    return {key: repr(summary) for key, summary in found.items()}


class Job:
    """A run that is logged and restarted, and what can be seen of it, point by point."""

    def __init__(self, connection: Connection, tenant: Tenant, run_id: uuid.UUID) -> None:
        self.connection, self.tenant, self.run_id = connection, tenant, run_id
        self.epoch = self.sequence = 0
        self.writer = writer_of(connection, tenant)
        self.visible: dict[str, list[Point]] = {}

    def log(self, key: str, points: list[Point], from_step: int | None = None) -> None:
        """Store points as one chunk, from a step on in the place of what there was."""
        if from_step is not None:
            self.writer = writer_of(self.connection, self.tenant)
            self.epoch, self.sequence = self.epoch + 1, 0
            for seen in self.visible.values():
                seen[:] = [point for point in seen if point[0] < from_step]
        self.sequence += 1
        append(self.connection, self.tenant, self.writer,
               range(self.sequence, self.sequence + 1), [(self.run_id, key, points)],
               self.epoch, from_step)  # fmt: skip
        self.visible.setdefault(key, []).extend(points)

    def expected(self) -> dict[str, Any]:
        """Summarize what is visible, key by key."""
        return {key: expected_summary(points) for key, points in self.visible.items() if points}

    def found(self) -> dict[str, Any]:
        """Return the summaries that the database keeps."""
        return summaries(self.connection, self.tenant, self.run_id)


@pytest.mark.parametrize("seed", range(24))
def test_a_summary_is_of_the_whole_visible_history(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, seed: int
) -> None:
    chance = random.Random(seed)
    job = Job(connection, tenant, run_id)
    moments: list[datetime] = []
    # Buckets tell what comes before the step where one begins; what is left of them, what comes
    # before a step behind it.
    base, grain = 0, 1
    for epoch in range(8):
        for number in range(chance.randrange(1, 4)):
            points = [
                (base + chance.randrange(STRETCH), chance.randrange(1_000), chance.choice(VALUES))
                for _ in range(chance.choice([400, 700]))
            ]
            restart = base + chance.randrange(0, STRETCH, grain) if epoch and not number else None
            job.log(chance.choice("ab"), points, restart)
            moments.append(datetime.now(UTC))
            assert told(job.found()) == told(job.expected()), (epoch, number)
            if chance.random() < 0.4:
                compact(connection)
        if chance.random() < 0.6:
            points_before, rollups_before = sorted(chance.choices(moments, k=2), reverse=True)
            if chance.random() < 0.5:
                rollups_before -= timedelta(days=1)
            else:
                base += STRETCH
            expire(connection, points_before + SOON * chance.randrange(2), rollups_before,
                   chance.choice([1, 3, 100]))  # fmt: skip
            grain = BUCKET
        assert told(job.found()) == told(job.expected()), epoch


@pytest.mark.parametrize("rollups", [False, True], ids=["rollups stay", "rollups go"])
def test_points_that_went_count_while_their_metric_goes_on(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, *, rollups: bool
) -> None:
    job = Job(connection, tenant, run_id)
    job.log("loss", [(step, step, float(9 - step)) for step in range(5)])
    forget(connection, rollups=rollups)
    assert count(connection, "metric_chunks") == 0
    assert (count(connection, "metric_rollups") == 0) is rollups
    assert count(connection, "metric_remainders") == rollups
    job.log("loss", [(7, 7, 99.0)])
    job.log("loss", [(6, 6, 1.0)], from_step=5)
    assert told(job.found()) == told(job.expected())
    job.log("other", [(0, 0, 1.0)], from_step=0)
    assert told(job.found()) == told(job.expected())


@pytest.mark.parametrize("rollups", [False, True], ids=["rollups stay", "rollups go"])
def test_of_points_that_a_restart_cuts_only_those_that_are_known_and_visible_count(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, *, rollups: bool
) -> None:
    job = Job(connection, tenant, run_id)
    values = [4.0, 7.0, 2.0, 3.0, 5.0, math.inf, math.nan, 1e300]
    job.log("loss", [(step, step, value) for step, value in enumerate(values)])
    forget(connection, rollups=rollups)
    job.log("other", [(0, 0, 1.0)], from_step=5)
    # The first point and the least; the greatest is shadowed, and so is the last.
    known = [(0, 0, 4.0), (2, 2, 2.0)]
    expected = expected_summary(known) | {"last_step": 0, "last_time_us": 0, "last_value": 4.0}
    assert told(job.found())["loss"] == repr(expected)
    # The first alone: of what went before it nothing is left.
    job.log("other", [(0, 0, 1.0)], from_step=1)
    assert told(job.found())["loss"] == repr(expected_summary([(0, 0, 4.0)]))
    job.log("other", [(0, 0, 1.0)], from_step=0)
    assert "loss" not in job.found()


def test_what_was_shadowed_when_it_went_is_in_no_rollup(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    job = Job(connection, tenant, run_id)
    job.log("loss", [(step, step, float(step)) for step in range(1_000)])
    compact(connection)
    job.log("loss", [(500, 0, 1.0)], from_step=500)
    forget(connection, rollups=False)
    rows = connection.execute(
        "select epoch, exponent, (select sum(one) from unnest(point_counts) as one) as points,"
        " max_step from metric_rollups"
    ).fetchall()
    assert {(row["epoch"], row["points"], row["max_step"]) for row in rows} == {
        (0, 500, 499), (1, 1, 500),
    }  # fmt: skip
    # Exact where the buckets begin.
    job.log("loss", [(256, 0, 1.0)], from_step=256)
    assert told(job.found()) == told(job.expected())


def test_rollups_that_go_before_their_points_are_kept_nowhere(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    job = Job(connection, tenant, run_id)
    job.log("loss", [(step, step, float(step)) for step in range(100)])
    compact(connection)
    now = datetime.now(UTC)
    expire(connection, now - timedelta(days=1), now + SOON)
    assert (count(connection, "metric_rollups"), count(connection, "metric_remainders")) == (0, 0)
    forget(connection, rollups=True)
    job.log("loss", [(200, 0, 1.0)], from_step=200)
    assert told(job.found()) == told(job.expected())


def test_sums_beyond_a_double_stay_infinite(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    job = Job(connection, tenant, run_id)
    for sign, key in ((1, "up"), (-1, "down")):
        job.log(key, [(step, 0, sign * 1.7e308) for step in range(3)])
    job.log("none", [(0, 0, 1.7e308), (1, 0, -1.7e308), (9, 0, 1.0)])
    forget(connection, rollups=True)
    job.log("x", [(0, 0, 1.0)], from_step=2)
    found = {key: one["value_sum"] for key, one in job.found().items()}
    assert found == {"up": 1.7e308, "down": -1.7e308, "none": 0.0, "x": 1.0}


def test_a_pinned_run_keeps_everything_and_another_run_has_its_own(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    pinned = Job(connection, tenant, run_id)
    other = Job(connection, tenant, create_run(connection, tenant))
    connection.execute("update runs set is_pinned = true where id = %s", [run_id])
    for job in (pinned, other):
        job.log("loss", [(step, step, float(step)) for step in range(10)])
    forget(connection, rollups=True)
    rows = connection.execute("select run_id from metric_remainders").fetchall()
    assert [row["run_id"] for row in rows] == [other.run_id]
    pinned.log("loss", [(3, 3, 9.0)], from_step=3)
    other.log("loss", [(10, 3, 9.0)], from_step=10)
    for job in (pinned, other):
        assert told(job.found()) == told(job.expected())
