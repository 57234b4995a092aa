"""Restarted runs whose chunks are merged read as they were logged, live and looked up."""

from __future__ import annotations

import math
import random
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.tracking import AppendMetricsRequest, MetricSeries, RunMetrics
from test_buckets_by_time import check_by_time
from test_downsampling import expected, merge, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Connection, UpServer

Point = tuple[int, int, float]
PATIENCE_SECONDS = 60


def log(
    client: needletail.Client, run_id: str, points: list[Point], *, writer: str = "",
    sequence: int = 1, epoch: int = 0, from_step: int | None = None, key: str = "loss",
) -> None:  # fmt: skip
    """Store points in one chunk of an epoch, which `from_step` opens."""
    series = MetricSeries(
        key=key, steps=[p[0] for p in points], times_us=[p[1] for p in points],
        values=[p[2] for p in points],
    )  # fmt: skip
    of = {} if from_step is None else {"from_step": from_step}
    request = AppendMetricsRequest(
        writer_id=writer or str(uuid.uuid4()), sequence=sequence,
        runs=[RunMetrics(run_id=run_id, series=[series], epoch=epoch, **of)],
    )  # fmt: skip
    with client.tracking.append_metrics() as stream:
        stream.send(request)
        stream.half_close()
        assert [one.acknowledged_sequence for one in stream][-1] == sequence


def at(*steps: int) -> list[Point]:
    return [(step, 1_000 + step, float(step)) for step in steps]


def order(point: Point) -> tuple[int, int, bool, float]:
    return (point[0], point[1], math.isnan(point[2]), point[2])


def points_of(series: Any) -> list[Point]:
    return list(zip(series.steps, series.times_us, series.values, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_every_reader_agrees_on_restarted_and_merged_runs(
    client: needletail.Client, run_id: str, sql: Connection, seed: int
) -> None:
    chance = random.Random(seed)
    visible: list[Point] = []
    for epoch in range(4):
        writer = str(uuid.uuid4())
        from_step = chance.randrange(2_000) if epoch else None
        if from_step is not None:
            visible = [p for p in visible if p[0] < from_step]
        for sequence in range(1, 5):
            first = chance.randrange(2_000)
            points = [
                (first + n, 1_700_000_000_000_000 + 1_000_000 * n + chance.randrange(1_000),
                 chance.choice([chance.gauss(0, 1)] * 20 + [math.nan]))
                for n in range(chance.randrange(1, 900))
            ]  # fmt: skip
            log(client, run_id, points, writer=writer, sequence=sequence, epoch=epoch,
                from_step=from_step if sequence == 1 else None)  # fmt: skip
            visible += points
            if chance.random() < 0.3:
                merge(sql)
        check(client, run_id, sorted(visible, key=order), chance.choice([1, 10, 64, 1_000]))
    merge(sql)
    check(client, run_id, sorted(visible, key=order), 64)


def check(client: needletail.Client, run_id: str, visible: list[Point], buckets: int) -> None:
    """Compare what each reader shows with the points themselves."""
    with client.tracking.stream_metric_history(run_id=run_id, key="loss") as parts:
        assert repr([p for part in parts for p in points_of(part.series)]) == repr(visible)
    paged: list[Point] = []
    token = ""
    while True:
        page = client.tracking.get_metric_history(
            run_id=run_id, key="loss", page_size=700, page_token=token
        )
        paged += points_of(page.series)
        token = page.next_page_token
        if not token:
            break
    assert repr(paged) == repr(visible)
    check_buckets(client, run_id, visible, buckets)
    check_by_time(client, run_id, "loss", visible, buckets)
    times = sorted(point[1] for point in visible)
    check_by_time(client, run_id, "loss", visible, buckets, times[len(times) // 3], times[-1] - 1)
    check_summary(client, run_id, visible)


def check_buckets(
    client: needletail.Client, run_id: str, visible: list[Point], buckets: int
) -> None:
    """Compare buckets with the points that are in them."""
    found = client.tracking.downsample_metric_history(
        run_ids=[run_id], keys=["loss"], bucket_count=buckets
    )
    [series] = found.series
    wanted = expected(visible, found.bucket_steps)
    assert repr(sorted(shown(series).items())) == repr(sorted(wanted.items()))


def check_summary(client: needletail.Client, run_id: str, visible: list[Point]) -> None:
    """Compare a summary with the points that it is of."""
    [summary] = client.tracking.list_run_metrics(run_id=run_id).metrics
    numbers = [p[2] for p in visible if not math.isnan(p[2])]
    assert (summary.count, summary.last_step) == (len(visible), visible[-1][0])
    assert (summary.min_value, summary.max_value) == (min(numbers), max(numbers))
    assert summary.mean_value == pytest.approx(sum(numbers) / len(numbers))


def test_summaries_and_buckets_are_exact_after_points_went(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server()
    server.start()
    with server.client() as client, server.sql() as sql:
        project = next(iter(client.identity.list_projects().projects)).id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        run = client.tracking.create_run(experiment_id=experiment, name="run").id
        chance = random.Random(1)
        visible = [(step, 1_000 + step, chance.gauss(0, 1)) for step in range(3_000)]
        log(client, run, visible)
        merge(sql)
        for epoch, from_step in ((1, 2_000), (2, 1_024)):
            again = [(step, 9_000 + step, chance.gauss(0, 1)) for step in range(from_step, 2_500)]
            visible = [*visible[:from_step], *again]
            log(client, run, again, epoch=epoch, from_step=from_step)
            check_summary(client, run, visible)
            # Every point goes, and its rollups stay.
            with sql.transaction():
                sql.execute("set local role needletail_maintenance")
                sql.execute(
                    "select needletail_expire_metrics(now() + interval '1 minute',"
                    " now() - interval '1 day', 1000)"
                )
            assert client.tracking.get_metric_history(run_id=run, key="loss").series.steps == ()
            check_summary(client, run, visible)
            check_buckets(client, run, visible, 10)
            if epoch == 1:
                # What a restart shadows later is cut at buckets by step alone.
                check_by_time(client, run, "loss", visible, 10)
    assert server.stop() == 0


class Follower:
    """What somebody who follows an experiment knows of its points."""

    def __init__(self, client: needletail.Client, experiment_id: str, **asked: Any) -> None:
        self._client = client
        self._asked = {"experiment_id": experiment_id, "catch_up": True, **asked}
        self.token = ""
        self.told: list[tuple[Any, ...]] = []
        self.counts: dict[str, int] = {}

    def catch_up(self) -> list[tuple[Any, ...]]:
        """Take what there is; what was new, in order."""
        self.told = []
        stream = self._client.tracking.watch_experiment(
            **self._asked, resume_token=self.token, timeout_seconds=PATIENCE_SECONDS
        )
        with stream:
            for change in stream:
                for opened in change.epochs:
                    self.told += [("epoch", one.epoch, one.from_step) for one in opened.epochs]
                for run in change.points:
                    for one in run.series:
                        epochs = one.epochs or [0] * len(one.steps)
                        self.told += zip(epochs, one.steps, strict=True)
                for run in change.summaries:
                    self.counts |= {metric.key: metric.count for metric in run.metrics}
                self.token = change.resume_token
        return self.told


def test_followers_of_an_experiment_hear_of_restarts_before_their_points(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    live = Follower(client, experiment_id, point_keys=["loss"], summary_keys=["loss"])
    log(client, run_id, at(*range(6)))
    assert live.catch_up() == [(0, step) for step in range(6)]
    assert live.counts == {"loss": 6}
    log(client, run_id, at(3, 4), epoch=1, from_step=3)
    assert live.catch_up() == [("epoch", 1, 3), (1, 3), (1, 4)]
    assert live.counts == {"loss": 5}
    assert live.catch_up() == []
    late = Follower(client, experiment_id, point_keys=["loss"])
    assert late.catch_up() == [
        ("epoch", 1, 3), *((0, step) for step in range(3)), (1, 3), (1, 4)
    ]  # fmt: skip


def test_followers_hear_of_a_restart_that_logs_nothing_they_follow(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    live = Follower(client, experiment_id, point_keys=["loss"], summary_keys=["loss"])
    log(client, run_id, at(*range(6)))
    live.catch_up()
    log(client, run_id, at(2), epoch=1, from_step=2, key="other")
    assert live.catch_up() == [("epoch", 1, 2)]
    assert live.counts == {"loss": 2}


def test_followers_of_an_experiment_read_merged_points_once(
    client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    live = Follower(client, experiment_id, point_keys=["loss"])
    log(client, run_id, at(0, 1))
    log(client, run_id, at(2, 3))
    live.catch_up()
    assert merge(sql) >= 2
    # Everything was seen: what was merged is not new.
    assert live.catch_up() == []
    log(client, run_id, at(4))
    assert live.catch_up() == [(0, 4)]
    fresh = Follower(client, experiment_id, point_keys=["loss"])
    assert fresh.catch_up() == [(0, step) for step in range(5)]


def test_followers_who_know_some_of_what_was_merged_begin_again(
    client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    live = Follower(client, experiment_id, point_keys=["loss"])
    log(client, run_id, at(0, 1))
    live.catch_up()
    log(client, run_id, at(2, 3))
    assert merge(sql) >= 2
    with pytest.raises(needletail.CallError) as caught:
        live.catch_up()
    assert caught.value.reason == "RESUME_TOKEN_EXPIRED"
    again = Follower(client, experiment_id, point_keys=["loss"])
    assert again.catch_up() == [(0, step) for step in range(4)]


def test_more_points_than_one_read_takes_come_once_each(
    client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    other = client.tracking.create_run(experiment_id=experiment_id).id
    for run in (run_id, other):
        for part in range(8):
            log(client, run, at(*range(part * 10_000, (part + 1) * 10_000)))
    merge(sql)
    follower = Follower(client, experiment_id, point_keys=["loss"])
    told = follower.catch_up()
    assert len(told) == 160_000
    assert sorted(told) == sorted([(0, step) for step in range(80_000)] * 2)
    steps = []
    with client.tracking.watch_run(run_id=run_id, timeout_seconds=PATIENCE_SECONDS) as changes:
        for change in changes:
            steps += [step for one in change.series for step in one.steps]
            if len(steps) >= 80_000:
                break
    assert sorted(steps) == list(range(80_000))
