"""A restarted job opens the next epoch of its run: what it runs again is shadowed, not deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from appends import Writer, batch, series, visible_steps

if TYPE_CHECKING:
    import needletail
    from program import Connection
    from wire import Wire

INVALID_ARGUMENT, FAILED_PRECONDITION = 3, 9


def of_epoch(sequence: int, run_id: str, epoch: int, *of: Any, from_step: int | None = None) -> Any:
    made = batch(sequence, run_id, *of)
    made.runs[0].epoch = epoch
    if from_step is not None:
        made.runs[0].from_step = from_step
    return made


def restarted(wire: Wire, run_id: str) -> tuple[Writer, Writer]:
    """A run with steps 0 to 9, restarted from step 4 up to step 6."""
    old = Writer(wire)
    old.send(batch(1, run_id, series(list(range(10)))))
    old.wait_for(1)
    new = Writer(wire)
    new.send(of_epoch(1, run_id, 1, series([4, 5, 6], values=[-4.0, -5.0, -6.0]), from_step=4))
    new.wait_for(1)
    return old, new


def test_every_reader_shows_what_is_visible(
    wire: Wire, sql: Connection, client: needletail.Client, run_id: str
) -> None:
    restarted(wire, run_id)
    found = client.tracking.get_metric_history(run_id=run_id, key="x").series
    assert list(found.steps) == list(range(7))
    assert list(found.values) == [0.0, 1.0, 2.0, 3.0, -4.0, -5.0, -6.0]
    assert list(found.epochs) == []
    with client.tracking.stream_metric_history(run_id=run_id, key="x") as parts:
        assert [step for part in parts for step in part.series.steps] == list(range(7))
    (summary,) = client.tracking.list_run_metrics(run_id=run_id).metrics
    assert (summary.count, summary.last_step, summary.last_value) == (7, 6, -6.0)
    assert (summary.min_value, summary.max_value) == (-6.0, 3.0)
    assert summary.mean_value == pytest.approx(-9 / 7)
    with client.tracking.watch_run(run_id=run_id, resume_token="") as watch:
        epochs, steps = [], []
        for update in watch:
            epochs += [(one.epoch, one.from_step) for one in update.epochs]
            for part in update.series:
                steps += [*zip(part.steps, part.epochs or [0] * len(part.steps), strict=True)]
            if len(steps) == 7:
                break
    assert epochs == [(1, 4)]
    assert sorted(steps) == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1)]
    rows = sql.execute(
        "select sum(point_count) as n from metric_chunks where run_id = %s", [run_id]
    ).fetchall()
    assert int(rows[0]["n"]) == 13


def test_what_is_shadowed_comes_on_request_with_its_epoch(
    wire: Wire, client: needletail.Client, run_id: str
) -> None:
    restarted(wire, run_id)
    expected = sorted([*((step, 0) for step in range(10)), (4, 1), (5, 1), (6, 1)])
    with client.tracking.stream_metric_history(
        run_id=run_id, key="x", includes_shadowed=True
    ) as parts:
        found = [
            one for part in parts for one in zip(part.series.steps, part.series.epochs, strict=True)
        ]
    assert sorted(found) == expected
    paged: list[tuple[int, int]] = []
    token = ""
    while True:
        page = client.tracking.get_metric_history(
            run_id=run_id, key="x", page_size=2, page_token=token, includes_shadowed=True
        )
        epochs = page.series.epochs or [0] * len(page.series.steps)
        paged += zip(page.series.steps, epochs, strict=True)
        token = page.next_page_token
        if not token:
            break
    assert sorted(paged) == expected


def test_the_old_writer_cannot_go_on(wire: Wire, sql: Connection, run_id: str) -> None:
    old, new = restarted(wire, run_id)
    status = old.refused(batch(2, run_id, series([10])))
    assert (status.code, status.reason) == (FAILED_PRECONDITION, "EPOCH_OLD")
    assert status.details["current_epoch"] == "1"
    new.send(of_epoch(2, run_id, 1, series([7])))
    new.wait_for(2)
    assert visible_steps(sql, run_id) == [*range(4), 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("epoch", "from_step", "reason"),
    [(2, None, "EPOCH_SKIPPED"), (3, 0, "EPOCH_SKIPPED"), (1, 4, "EPOCH_TAKEN"),
     (0, None, "EPOCH_OLD")],
)  # fmt: skip
def test_a_wrong_epoch_says_which_one_is_open(
    wire: Wire, run_id: str, epoch: int, from_step: int | None, reason: str
) -> None:
    restarted(wire, run_id)
    status = Writer(wire).refused(of_epoch(1, run_id, epoch, series([8]), from_step=from_step))
    assert (status.code, status.reason) == (FAILED_PRECONDITION, reason)
    assert (status.details["run_id"], status.details["current_epoch"]) == (run_id, "1")


def test_batches_before_and_after_an_epoch_in_one_go_are_both_stored(
    wire: Wire, sql: Connection, client: needletail.Client, run_id: str
) -> None:
    writer = Writer(wire)
    writer.send(
        batch(1, run_id, series([1, 2, 3])), of_epoch(2, run_id, 1, from_step=2),
        of_epoch(3, run_id, 1, series([2])), of_epoch(4, run_id, 1, series([3]), from_step=2),
        of_epoch(5, run_id, 2, series([3]), from_step=3),
    )  # fmt: skip
    writer.wait_for(5)
    assert visible_steps(sql, run_id) == [1, 2, 3]
    listed = client.tracking.list_run_epochs(run_id=run_id, page_size=1)
    assert listed.current_epoch == 2
    assert [(one.epoch, one.from_step, one.writer_id) for one in listed.epochs] == [
        (1, 2, writer.id)
    ]
    rest = client.tracking.list_run_epochs(run_id=run_id, page_token=listed.next_page_token)
    assert [one.epoch for one in rest.epochs] == [2]
    assert rest.next_page_token == ""


def test_a_batch_of_parameters_and_points_is_of_the_epoch_that_is_open(
    wire: Wire, client: needletail.Client, run_id: str
) -> None:
    restarted(wire, run_id)
    client.tracking.log_batch(run_id=run_id, series=[series([7])])
    found = client.tracking.get_metric_history(run_id=run_id, key="x", includes_shadowed=True)
    assert (7, 1) in [*zip(found.series.steps, found.series.epochs, strict=True)]


@pytest.mark.parametrize(
    ("epoch", "from_step", "field"),
    [(0, 5, "runs[0].epoch"), (10_001, None, "runs[0].epoch"), (2**64 - 1, 0, "runs[0].epoch")],
)
def test_an_epoch_that_makes_no_sense_is_named(
    wire: Wire, run_id: str, epoch: int, from_step: int | None, field: str
) -> None:
    status = Writer(wire).refused(of_epoch(1, run_id, epoch, series([1]), from_step=from_step))
    assert status.code == INVALID_ARGUMENT
    assert [found.field for found in status.field_violations] == [field]


def test_epochs_of_points_are_not_for_requests(wire: Wire, run_id: str) -> None:
    status = Writer(wire).refused(batch(1, run_id, series([1], epochs=[1])))
    assert [found.field for found in status.field_violations] == ["runs[0].series[0].epochs"]


def test_a_watcher_is_told_before_it_gets_points_of_the_epoch(
    wire: Wire, client: needletail.Client, run_id: str
) -> None:
    old = Writer(wire)
    old.send(batch(1, run_id, series([1, 2, 3])))
    old.wait_for(1)
    heard: list[Any] = []
    new: Writer | None = None
    with client.tracking.watch_run(run_id=run_id) as watch:
        for update in watch:
            heard += [("epoch", one.epoch) for one in update.epochs]
            heard += [("point", step) for part in update.series for step in part.steps]
            if new is None and heard == [("point", 1), ("point", 2), ("point", 3)]:
                new = Writer(wire)
                new.send(of_epoch(1, run_id, 1, series([2]), from_step=2))
            if heard[-1:] == [("point", 2)] and len(heard) > 3:
                break
    assert heard[3:] == [("epoch", 1), ("point", 2)]


def test_points_that_a_watcher_skipped_do_not_come_after_a_break(
    wire: Wire, client: needletail.Client, run_id: str
) -> None:
    _, new = restarted(wire, run_id)
    with client.tracking.watch_run(run_id=run_id, skip_history=True) as watch:
        first = next(watch)
    assert first.run.id == run_id
    assert [(one.epoch, one.from_step) for one in first.epochs] == [(1, 4)]
    assert not first.series
    new.send(of_epoch(2, run_id, 1, series([7])))
    new.wait_for(2)
    with client.tracking.watch_run(run_id=run_id, resume_token=first.resume_token) as watch:
        parts = next(part for update in watch if (part := list(update.series)))
    assert [step for part in parts for step in part.steps] == [7]
