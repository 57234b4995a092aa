"""An experiment is followed: its runs, their points and their summaries, live and after a break."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.tracking import MetricSeries, RunMetrics, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Connection, UpServer

PATIENCE_SECONDS = 60


class Follower:
    """What somebody who follows an experiment knows of it."""

    def __init__(self, client: needletail.Client, experiment_id: str, **asked: Any) -> None:
        self._client = client
        self._asked = {"experiment_id": experiment_id, **asked}
        self.token = ""
        self.runs: dict[str, needletail.tracking.Run] = {}
        self.gone: list[str] = []
        self.points: dict[tuple[str, str], list[int]] = {}
        self.summaries: dict[tuple[str, str], needletail.tracking.MetricSummary] = {}
        self.stream: Iterator[Any] | None = None

    def take(self, change: needletail.tracking.WatchExperimentResponse) -> None:
        """Takes a message to heart."""
        for run_id in change.gone_run_ids:
            self.gone.append(run_id)
            self.runs.pop(run_id, None)
        self.runs |= {run.id: run for run in change.runs}
        for run in change.points:
            for series in run.series:
                self.points.setdefault((run.run_id, series.key), []).extend(series.steps)
        for run_summaries in change.summaries:
            for metric in run_summaries.metrics:
                self.summaries[run_summaries.run_id, metric.key] = metric
        self.token = change.resume_token

    def catch_up(self, *, messages: int | None = None) -> None:
        """Takes what there is, or the first messages of it."""
        stream = self._client.tracking.watch_experiment(
            **self._asked, resume_token=self.token, catch_up=True,
            timeout_seconds=PATIENCE_SECONDS,
        )  # fmt: skip
        with stream:
            for count, change in enumerate(stream, 1):
                self.take(change)
                if count == messages:
                    return

    def until(self, condition: Any) -> None:
        """Follows until something is known."""
        if self.stream is None:
            self.stream = iter(
                self._client.tracking.watch_experiment(
                    **self._asked, resume_token=self.token, timeout_seconds=PATIENCE_SECONDS
                )
            )
        while not condition():
            self.take(next(self.stream))


def store(client: needletail.Client, run_id: str, **metrics: list[int]) -> None:
    """Store one chunk of each metric, durably."""
    series = [
        MetricSeries(key=key, steps=tuple(steps), values=tuple(float(step) for step in steps))
        for key, steps in metrics.items()
    ]
    with client.tracking.append_metrics() as stream:
        stream.send(
            needletail.tracking.AppendMetricsRequest(
                writer_id=str(uuid.uuid4()),
                sequence=1,
                runs=(RunMetrics(run_id=run_id, series=tuple(series)),),
            )
        )
        while (answer := stream.receive(PATIENCE_SECONDS)) is not None:
            if answer.acknowledged_sequence == 1:
                break


@pytest.fixture
def new_run(client: needletail.Client, experiment_id: str) -> Any:
    return lambda: client.tracking.create_run(experiment_id=experiment_id).id


def test_runs_are_told_when_they_are_created_changed_ended_deleted_and_brought_back(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    first = new_run()
    follower = Follower(client, experiment_id)
    follower.until(lambda: first in follower.runs)
    second = new_run()
    follower.until(lambda: second in follower.runs)
    client.tracking.update_run(id=second, name="renamed")
    follower.until(lambda: follower.runs[second].name == "renamed")
    client.tracking.finish_run(id=second, status=RunStatus.FAILED)
    follower.until(lambda: follower.runs[second].status is RunStatus.FAILED)
    client.tracking.delete_run(id=second)
    follower.until(lambda: second in follower.gone)
    client.tracking.undelete_run(id=second)
    follower.until(lambda: second in follower.runs)
    assert set(follower.runs) == {first, second}


def test_a_run_that_was_moved_leaves_one_experiment_and_enters_the_other(
    served: UpServer, client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    other_id = client.tracking.create_experiment(
        project_id=served.connection["project_id"], name=f"other {uuid.uuid4()}"
    ).id
    moved, stays = new_run(), new_run()
    here, there = Follower(client, experiment_id), Follower(client, other_id)
    here.catch_up()
    there.catch_up()
    assert (set(here.runs), set(there.runs)) == ({moved, stays}, set())
    client.tracking.update_run(id=moved, experiment_id=other_id)
    here.catch_up()
    there.catch_up()
    assert (set(here.runs), set(there.runs)) == ({stays}, {moved})
    # There and back between two looks: it is where it was.
    client.tracking.update_run(id=moved, experiment_id=experiment_id)
    client.tracking.update_run(id=moved, experiment_id=other_id)
    here.catch_up()
    there.catch_up()
    assert (set(here.runs), set(there.runs)) == ({stays}, {moved})


def test_the_chosen_points_of_all_runs_come_once_each_whatever_the_breaks(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    runs = [new_run() for _ in range(5)]
    for run in runs:
        for number in range(30):
            store(client, run, loss=[number], other=[number])
    follower = Follower(client, experiment_id, point_keys=["loss"])
    # Chunks are read 64 at a time: five messages of points at most are more than there are.
    for _ in range(8):
        follower.catch_up(messages=2)
    assert sorted(follower.points) == sorted((run, "loss") for run in runs)
    assert all(steps == list(range(30)) for steps in follower.points.values())
    for run in runs:
        client.tracking.finish_run(id=run)
    assert set(follower.runs) == set(runs)


def test_points_and_ends_between_two_looks_are_both_told(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    run = new_run()
    follower = Follower(client, experiment_id, point_keys=["loss"], skip_history=True)
    follower.catch_up()
    assert not follower.runs
    store(client, run, loss=[1, 2, 3])
    client.tracking.finish_run(id=run)
    follower.catch_up()
    assert follower.points == {(run, "loss"): [1, 2, 3]}
    assert follower.runs[run].status is RunStatus.COMPLETED


def test_what_comes_during_a_break_is_told_to_whoever_skipped_what_was_before(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    old = new_run()
    store(client, old, loss=[1])
    asked = {"experiment_id": experiment_id, "point_keys": ["loss"]}
    with client.tracking.watch_experiment(
        **asked, skip_history=True, timeout_seconds=PATIENCE_SECONDS
    ) as stream:
        first = next(stream)
    assert first.resume_token
    assert not first.runs
    assert not first.points
    store(client, old, loss=[2])
    follower = Follower(client, point_keys=["loss"], experiment_id=experiment_id)
    follower.token = first.resume_token
    follower.catch_up()
    assert follower.points == {(old, "loss"): [2]}


def test_points_and_summaries_come_live(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    known = new_run()
    follower = Follower(client, experiment_id, point_keys=["loss"], summary_keys=["accuracy"])
    follower.until(lambda: known in follower.runs)
    store(client, known, loss=[7], accuracy=[1, 9])
    follower.until(lambda: (known, "accuracy") in follower.summaries)
    assert follower.points == {(known, "loss"): [7]}
    assert follower.summaries[known, "accuracy"].last_value == 9.0
    fresh = new_run()
    follower.until(lambda: fresh in follower.runs)
    store(client, fresh, loss=[1], accuracy=[2])
    follower.until(lambda: (fresh, "accuracy") in follower.summaries)
    assert follower.points[fresh, "loss"] == [1]


def test_no_run_is_missed_while_many_are_made_at_once(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(new_run() for _ in range(20))) for _ in range(4)
    ]
    follower = Follower(client, experiment_id)
    for thread in threads:
        thread.start()
    follower.until(lambda: len(follower.runs) == 80)
    for thread in threads:
        thread.join()
    assert set(follower.runs) == set(made)


def test_an_experiment_that_is_deleted_ends_the_watch(
    client: needletail.Client, experiment_id: str, new_run: Any
) -> None:
    run = new_run()
    follower = Follower(client, experiment_id)
    follower.until(lambda: run in follower.runs)
    client.tracking.delete_experiment(id=experiment_id)
    with pytest.raises(needletail.NotFoundError) as caught:
        follower.until(lambda: False)
    assert caught.value.reason == "EXPERIMENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"experiment_id": "nonsense"}, "experiment_id"),
        ({"point_keys": [f"key {number}" for number in range(101)]}, "point_keys"),
        ({"point_keys": ["loss", "loss"]}, "point_keys[1]"),
        ({"summary_keys": [""]}, "summary_keys[0]"),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: needletail.Client, experiment_id: str, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(needletail.InvalidArgumentError) as caught:
        list(client.tracking.watch_experiment(**{"experiment_id": experiment_id} | asked))
    assert [violation.field for violation in caught.value.field_violations] == [field]


def test_a_token_of_another_watch_is_refused(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    token = next(client.tracking.watch_run(run_id=run_id)).resume_token
    with pytest.raises(needletail.InvalidArgumentError) as caught:
        next(client.tracking.watch_experiment(experiment_id=experiment_id, resume_token=token))
    assert caught.value.reason == "RESUME_TOKEN_INVALID"


def test_whoever_has_seen_the_end_of_a_run_is_not_left_waiting(
    client: needletail.Client, run_id: str
) -> None:
    client.tracking.finish_run(id=run_id)
    *_, last = client.tracking.watch_run(run_id=run_id, timeout_seconds=PATIENCE_SECONDS)
    again = list(
        client.tracking.watch_run(
            run_id=run_id, resume_token=last.resume_token, timeout_seconds=PATIENCE_SECONDS
        )
    )
    assert [one.run for one in again] == [None]


def test_histories_of_several_runs_come_in_the_order_that_was_asked_for(
    client: needletail.Client, new_run: Any
) -> None:
    first, second = new_run(), new_run()
    for run, steps in ((first, [3, 1]), (second, [5])):
        store(client, run, loss=steps, accuracy=steps)
    found = [
        (part.run_id, part.series.key, part.series.steps)
        for part in client.tracking.stream_metric_histories(
            run_ids=[second, first], keys=["loss", "nothing", "accuracy"]
        )
        if part.series is not None
    ]
    assert found == [
        (second, "loss", (5,)), (second, "accuracy", (5,)),
        (first, "loss", (1, 3)), (first, "accuracy", (1, 3)),
    ]  # fmt: skip
    later = client.tracking.stream_metric_histories(run_ids=[first], keys=["loss"], from_step=2)
    assert [part.series.steps for part in later if part.series] == [(3,)]


@pytest.mark.parametrize(
    ("run_ids", "keys", "field"),
    [
        ([], ["loss"], "run_ids"),
        ([str(uuid.uuid4()) for _ in range(101)], ["loss"], "run_ids"),
        ([str(uuid.UUID(int=7))] * 2, ["loss"], "run_ids[1]"),
        ([str(uuid.UUID(int=7))], [], "keys"),
        ([str(uuid.UUID(int=7))], [str(number) for number in range(101)], "keys"),
        ([str(uuid.UUID(int=7))], ["loss", "loss"], "keys[1]"),
    ],
)
def test_histories_are_bounded(
    client: needletail.Client, run_ids: list[str], keys: list[str], field: str
) -> None:
    with pytest.raises(needletail.InvalidArgumentError) as caught:
        list(client.tracking.stream_metric_histories(run_ids=run_ids, keys=keys))
    assert [violation.field for violation in caught.value.field_violations] == [field]


def test_histories_with_a_run_that_is_not_there_give_no_point_of_the_others(
    client: needletail.Client, new_run: Any
) -> None:
    run = new_run()
    store(client, run, loss=[1])
    stream = client.tracking.stream_metric_histories(
        run_ids=[run, str(uuid.uuid4())], keys=["loss"]
    )
    with pytest.raises(needletail.NotFoundError) as caught:
        next(stream)
    assert caught.value.reason == "RUN_NOT_FOUND"


def test_departures_are_kept_once_a_run_and_go_with_it(
    served: UpServer, client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    other_id = client.tracking.create_experiment(
        project_id=served.connection["project_id"], name=f"other {uuid.uuid4()}"
    ).id
    for target in (other_id, experiment_id, other_id):
        client.tracking.update_run(id=run_id, experiment_id=target)
    count = "select count(*) from run_departures where run_id = %s"
    assert sql.execute(count, (run_id,)).fetchone() == {"count": 2}
    sql.execute("delete from runs where id = %s", (run_id,))
    assert sql.execute(count, (run_id,)).fetchone() == {"count": 0}
