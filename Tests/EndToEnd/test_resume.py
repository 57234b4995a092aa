"""A training program that is started again goes on with its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import needletail
import pytest
from appends import visible_steps

if TYPE_CHECKING:
    import pathlib

    from program import Connection


def logged(
    client: needletail.Client, place: pathlib.Path, steps: range, **options: Any
) -> needletail.ActiveRun:
    """A run that has logged these steps and was left without an end, as by a crash."""
    options.setdefault("experiment", "resumed")
    run = needletail.run(client=client, spool_dir=place / "spool", **options)
    for step in steps:
        run.log({"loss": float(step)}, step=step)
    assert run.flush()
    return run


def history(client: needletail.Client, run_id: str) -> list[tuple[int, float]]:
    found = client.tracking.get_metric_history(run_id=run_id, key="loss").series
    return [*zip(found.steps, found.values, strict=True)]


def test_a_run_goes_on_from_the_step_of_its_checkpoint(
    client: needletail.Client, place: pathlib.Path, sql: Connection
) -> None:
    first = logged(client, place, range(10))
    assert first.id is not None
    assert first.epoch == 0
    with needletail.run(
        client=client, spool_dir=place / "spool", resume=first.id, resume_step=6
    ) as second:
        assert (second.id, second.epoch, second.next_step) == (first.id, 1, 6)
        second.log({"loss": -6.0})
        second.log({"loss": -7.0})
    expected = [*((step, float(step)) for step in range(6)), (6, -6.0), (7, -7.0)]
    assert history(client, first.id) == expected
    # What is left of the first program is refused, and it hears why.
    first.log({"loss": 11.0}, step=11)
    summary = first.finish()
    assert (summary.refused_points, summary.unsent_points) == (1, 0)
    assert [getattr(error, "reason", "") for error in first.errors][:1] in (
        ["EPOCH_OLD"], ["RUN_FINISHED"],
    )  # fmt: skip
    assert visible_steps(sql, first.id) == [*range(8)]


def test_a_run_that_ended_is_reopened_and_goes_on_behind_all_its_points(
    client: needletail.Client, place: pathlib.Path
) -> None:
    first = logged(client, place, range(3))
    first.finish("failed")
    assert first.id is not None
    with needletail.run(client=client, spool_dir=place / "spool", resume=first.id) as second:
        assert second.next_step == 3
        second.log({"loss": 3.0})
    assert history(client, first.id) == [(step, float(step)) for step in range(4)]
    run = client.tracking.get_run(id=first.id)
    assert needletail.tracking.RunStatus(run.status).name == "COMPLETED"


def test_a_run_that_is_not_there_is_not_resumed(
    client: needletail.Client, place: pathlib.Path, experiment_id: str
) -> None:
    with pytest.raises(needletail.CallError) as caught:
        needletail.run(client=client, spool_dir=place / "spool", resume=experiment_id)
    assert caught.value.reason == "RUN_NOT_FOUND"
    assert not [*(place / "spool").iterdir()]


def test_a_step_to_resume_at_needs_a_run(client: needletail.Client) -> None:
    with pytest.raises(needletail.SettingsError, match="resume"):
        needletail.run(client=client, experiment="resumed", resume_step=3)
