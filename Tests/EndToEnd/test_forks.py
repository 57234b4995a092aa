"""The history of a fork: what the run it was forked from had up to there, then its own."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from appends import Writer, batch, series
from needletail.tracking import MetricSeries, RunFork
from projects import open_team, refused
from test_restarted_runs import of_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import needletail
    from program import Connection, UpServer
    from wire import Wire

FORKS_MAX, INT64_MAX = 100, 2**63 - 1


def log(client: needletail.Client, run: str, steps: Sequence[int], value: float, key: str) -> None:
    for at in range(0, len(steps), 10_000):
        some = tuple(steps[at : at + 10_000])
        client.tracking.log_batch(
            run_id=run,
            series=[
                MetricSeries(key=key, steps=some, times_us=some, values=(value,) * len(some))
            ],
        )  # fmt: skip


def fork(client: needletail.Client, run: str, step: int) -> str:
    experiment = client.tracking.get_run(id=run).experiment_id
    return client.tracking.create_run(
        experiment_id=experiment, forked_from=RunFork(run_id=run, step=step)
    ).id


def page_by_page(client: needletail.Client, run: str, **how: Any) -> list[tuple[int, float]]:
    points: list[tuple[int, float]] = []
    token = ""
    while True:
        page = client.tracking.get_metric_history(
            run_id=run, key="x", page_token=token, **{"page_size": 3, **how}
        )
        points += zip(page.series.steps, page.series.values, strict=True)
        token = page.next_page_token
        if not token:
            return points


def all_ways(client: needletail.Client, run: str, **how: Any) -> list[tuple[int, float]]:
    """Read a history in every way, which all have to tell the same."""
    tracking = client.tracking
    paged = page_by_page(client, run, **how)
    streamed, together = [], []
    with tracking.stream_metric_history(run_id=run, key="x", **how) as parts:
        for part in parts:
            streamed += zip(part.series.steps, part.series.values, strict=True)
    with tracking.stream_metric_histories(run_ids=[run], keys=["x"], **how) as several:
        for one in several:
            assert one.run_id == run
            together += zip(one.series.steps, one.series.values, strict=True)
    buckets = tracking.downsample_metric_history(
        run_ids=[run], keys=["x"], bucket_count=10_000, **how
    )
    counted = [
        (step, count)
        for found in buckets.series
        for step, count in zip(found.cells, found.counts, strict=True)
    ]
    assert buckets.bucket_steps in {0, 1}
    assert counted == sorted(Counter(step for step, _ in paged).items())
    assert streamed == paged
    assert together == paged
    return paged


def test_a_fork_begins_with_what_was_there_up_to_its_step(
    client: needletail.Client, run_id: str
) -> None:
    log(client, run_id, range(10), 1.0, "x")
    own = fork(client, run_id, 4)
    assert all_ways(client, own) == [(step, 1.0) for step in range(5)]
    log(client, own, range(5, 8), 2.0, "x")
    assert all_ways(client, own) == [*((s, 1.0) for s in range(5)), *((s, 2.0) for s in (5, 6, 7))]
    assert all_ways(client, own, skips_inherited=True) == [(s, 2.0) for s in (5, 6, 7)]
    # What it logs at steps of before comes too, and what the other run goes on with does not.
    log(client, own, [2], 3.0, "x")
    log(client, run_id, [11, 3], 4.0, "x")
    assert all_ways(client, own) == [
        (0, 1.0), (1, 1.0), (2, 1.0), (2, 3.0), (3, 1.0), (3, 4.0), (4, 1.0),
        (5, 2.0), (6, 2.0), (7, 2.0),
    ]  # fmt: skip
    (summary,) = client.tracking.list_run_metrics(run_id=own).metrics
    assert (summary.count, summary.first_step, summary.last_step) == (4, 2, 7)
    histories = client.history([own], ["x"], from_step=4)
    assert list(histories[own, "x"].steps) == [4, 5, 6, 7]
    histories = client.history([own], skips_inherited=True)
    assert list(histories[own, "x"].steps) == [2, 5, 6, 7]


@pytest.mark.parametrize("step", [-1, 9, 10, INT64_MAX])
def test_a_fork_at_an_edge_has_nothing_or_all(
    client: needletail.Client, run_id: str, step: int
) -> None:
    log(client, run_id, range(10), 1.0, "x")
    found = all_ways(client, fork(client, run_id, step))
    assert found == [(one, 1.0) for one in range(10) if one <= step]


def test_a_fork_of_forks_has_of_each_what_leads_to_it(
    client: needletail.Client, run_id: str
) -> None:
    log(client, run_id, range(10), 1.0, "x")
    middle = fork(client, run_id, 5)
    log(client, middle, range(6, 12), 2.0, "x")
    last = fork(client, middle, 8)
    log(client, last, range(9, 11), 3.0, "x")
    expected = [
        *((s, 1.0) for s in range(6)), *((s, 2.0) for s in (6, 7, 8)), (9, 3.0), (10, 3.0),
    ]  # fmt: skip
    assert all_ways(client, last) == expected
    # Before the step of the one it was forked from: nothing of that one is left.
    early = fork(client, middle, 3)
    assert all_ways(client, early) == [(s, 1.0) for s in range(4)]


def test_what_a_restart_shadows_is_not_inherited(
    wire: Wire, client: needletail.Client, run_id: str
) -> None:
    old = Writer(wire)
    old.send(batch(1, run_id, series(list(range(10)))))
    old.wait_for(1)
    new = Writer(wire)
    new.send(of_epoch(1, run_id, 1, series([4, 5, 6], values=[-4.0, -5.0, -6.0]), from_step=4))
    new.wait_for(1)
    own = fork(client, run_id, 5)
    inherited = [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, -4.0), (5, -5.0)]
    assert all_ways(client, own) == inherited
    # The fork is restarted too, which shadows its own points and none that it has inherited.
    job, again = Writer(wire), Writer(wire)
    job.send(batch(1, own, series([6, 7])))
    job.wait_for(1)
    again.send(of_epoch(1, own, 1, series([7], values=[-7.0]), from_step=2))
    again.wait_for(1)
    assert all_ways(client, own) == [*inherited, (7, -7.0)]
    shadowed = page_by_page(client, own, includes_shadowed=True)
    assert shadowed == [*inherited, (6, 6.0), (7, -7.0), (7, 7.0)]


def test_long_histories_that_overlap_come_in_order(client: needletail.Client, run_id: str) -> None:
    shuffled = random.Random(1)
    ends = [50_000, 30_000, 60_000]
    runs, expected = [run_id], []
    for end in ends:
        runs.append(fork(client, runs[-1], end))
    for index, run in enumerate(runs):
        steps = shuffled.sample(range(100_000), 70_000)
        log(client, run, steps, float(index), "x")
        end = min(ends[index:], default=INT64_MAX)
        expected += [(step, float(index)) for step in steps if step <= end]
    found = client.history([runs[-1]], ["x"])[runs[-1], "x"]
    assert list(zip(found.steps, found.values, strict=True)) == sorted(expected)
    assert page_by_page(client, runs[-1], page_size=25_000) == sorted(expected)


def test_a_run_that_is_gone_is_missed_aloud(client: needletail.Client, run_id: str) -> None:
    tracking = client.tracking
    log(client, run_id, range(10), 1.0, "x")
    own = fork(client, run_id, 4)
    log(client, own, [5], 2.0, "x")

    def lacks(**how: Any) -> set[bool]:
        found = {tracking.get_metric_history(run_id=own, key="x", **how).lacks_inherited}
        for key in ("x", "never logged"):
            with tracking.stream_metric_history(run_id=own, key=key, **how) as parts:
                found |= {part.lacks_inherited for part in parts}
            with tracking.stream_metric_histories(run_ids=[own], keys=[key], **how) as several:
                found |= {one.lacks_inherited for one in several}
        buckets = tracking.downsample_metric_history(run_ids=[own], keys=["x"], **how)
        assert list(buckets.lacking_run_ids) in ([], [own])
        return found | {bool(buckets.lacking_run_ids)}

    assert lacks() == {False}
    tracking.delete_run(id=run_id)
    assert all_ways(client, own) == [(5, 2.0)]
    assert lacks() == {True}
    assert lacks(skips_inherited=True) == {False}
    with tracking.stream_metric_history(run_id=own, key="never logged") as parts:
        assert [len(part.series.steps) for part in parts if part.series] == [0]
    tracking.undelete_run(id=run_id)
    assert len(all_ways(client, own)) == 6
    assert lacks() == {False}


def test_a_run_that_was_purged_is_missed_too(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    log(client, run_id, range(10), 1.0, "x")
    own = fork(client, run_id, 4)
    sql.execute("delete from runs where id = %s", [run_id])
    assert client.tracking.get_run(id=own).forked_from is None
    assert client.tracking.get_metric_history(run_id=own, key="x").lacks_inherited


def test_what_a_caller_does_not_see_is_not_inherited(served: UpServer, sql: Connection) -> None:
    with open_team(served, sql) as team:
        secret, mine = team.project().id, team.developer.client
        own = mine.identity.create_project(name="own", slug=f"o-{uuid.uuid4()}").id
        runs = {}
        for client, project in ((team.owner.client, secret), (mine, own)):
            experiment = client.tracking.create_experiment(project_id=project, name="e").id
            runs[project] = client.tracking.create_run(experiment_id=experiment)
        log(team.owner.client, runs[secret].id, range(10), 1.0, "x")
        admin = team.admin.client
        run = admin.tracking.create_run(
            experiment_id=runs[own].experiment_id,
            forked_from=RunFork(run_id=runs[secret].id, step=4),
        ).id
        log(mine, run, [5], 2.0, "x")
        assert len(all_ways(admin, run)) == 6
        assert all_ways(mine, run) == [(5, 2.0)]
        assert mine.tracking.get_metric_history(run_id=run, key="x").lacks_inherited


def test_a_line_of_forks_has_an_end(client: needletail.Client, run_id: str) -> None:
    log(client, run_id, [0], 1.0, "x")
    last = run_id
    for step in range(1, FORKS_MAX + 1):
        last = fork(client, last, step)
    assert all_ways(client, last) == [(0, 1.0)]
    refused("FORKED_TOO_OFTEN", lambda: fork(client, last, 1))
