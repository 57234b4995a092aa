"""What metrics of a run are defined to be, where they are best, and metrics as an x axis."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.tracking import (
    MetricDefinition,
    MetricGoal,
    MetricSeries,
    MetricSummary,
    MetricSummaryKind,
)
from program import run_program
from projects import audited, refused

if TYPE_CHECKING:
    from pathlib import Path

    from program import Connection, UpServer

MINIMIZE, MAXIMIZE = MetricGoal.MINIMIZE, MetricGoal.MAXIMIZE


def define(client: needletail.Client, run: str, pattern: str, **fields: Any) -> None:
    client.tracking.define_metrics(
        run_id=run, definitions=[MetricDefinition(pattern=pattern, **fields)]
    )


def series(key: str, points: list[tuple[int, float]]) -> MetricSeries:
    return MetricSeries(
        key=key, steps=tuple(step for step, _ in points), values=tuple(v for _, v in points)
    )


def log(client: needletail.Client, run: str, **metrics: list[tuple[int, float]]) -> None:
    client.tracking.log_batch(
        run_id=run, series=[series(key, points) for key, points in metrics.items()]
    )


def summaries(client: needletail.Client, run: str) -> dict[str, MetricSummary]:
    return {one.key: one for one in client.tracking.iterate_run_metrics(run_id=run, page_size=2)}


def patterns(client: needletail.Client, run: str) -> list[str]:
    found = client.tracking.iterate_metric_definitions(run_id=run, page_size=2)
    return [one.pattern for one in found]


def test_the_best_value_is_known_whenever_a_goal_is_declared(
    client: needletail.Client, run_id: str
) -> None:
    log(client, run_id, loss=[(4, 2.0), (1, 9.0), (6, 2.0)], acc=[(1, 0.1), (2, math.nan)])
    log(client, run_id, loss=[(9, 2.0), (3, 2.0), (7, 9.0)], acc=[(9, 0.8), (3, 0.8)])
    log(client, run_id, void=[(1, math.nan)])
    before = summaries(client, run_id)
    assert all(one.best_value is None and one.definition is None for one in before.values())
    assert (before["loss"].min_step, before["loss"].max_step) == (3, 1)
    assert (before["void"].min_step, before["void"].max_step) == (None, None)

    client.tracking.finish_run(id=run_id)
    define(client, run_id, "*", goal=MINIMIZE)
    define(client, run_id, "acc", goal=MAXIMIZE, summary=MetricSummaryKind.BEST)
    after = summaries(client, run_id)
    assert (after["loss"].best_value, after["loss"].best_step) == (2.0, 3)
    assert (after["acc"].best_value, after["acc"].best_step) == (0.8, 3)
    assert (after["void"].best_value, after["void"].best_step) == (None, None)
    assert after["acc"].definition == MetricDefinition(
        pattern="acc", goal=MAXIMIZE, summary=MetricSummaryKind.BEST
    )
    assert {one.definition.pattern for one in after.values() if one.definition} == {"*", "acc"}


def test_a_best_value_that_a_later_epoch_shadows_is_none(client: needletail.Client) -> None:
    with needletail.run(client=client, experiment="define") as run:
        run.define_metric("loss", goal="minimize")
        for step, value in enumerate((5.0, 3.0, 1.0)):
            run.log({"loss": value}, step=step)
        identifier = run.id
    assert identifier is not None
    assert summaries(client, identifier)["loss"].best_step == 2
    with needletail.run(client=client, resume=identifier, resume_step=2) as run:
        run.log({"loss": 4.0}, step=2)
    again = summaries(client, identifier)["loss"]
    assert (again.best_value, again.best_step) == (3.0, 1)


def test_a_definition_is_replaced_whole_and_removed_and_both_are_audited(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    define(client, run_id, "val/*", goal=MINIMIZE, step_metric="epoch", is_hidden=True)
    define(client, run_id, "loss")
    define(client, run_id, "val/*", goal=MINIMIZE, step_metric="epoch", is_hidden=True)
    assert audited(sql, run_id, "run.define_metrics")[-1] == {"before": {}, "after": {}}
    define(client, run_id, "val/*", summary=MetricSummaryKind.MEAN)
    assert audited(sql, run_id, "run.define_metrics")[-1] == {
        "before": {"definitions.val/*": "goal minimize, summary default, hidden, by epoch"},
        "after": {"definitions.val/*": "goal none, summary mean"},
    }
    assert patterns(client, run_id) == ["loss", "val/*"]
    client.tracking.define_metrics(
        run_id=run_id, definitions=[MetricDefinition(pattern="acc")],
        delete_patterns=["val/*", "never"],
    )  # fmt: skip
    assert patterns(client, run_id) == ["acc", "loss"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "definitions"),
        ({"definitions": [MetricDefinition()]}, "definitions[0].pattern"),
        ({"definitions": [MetricDefinition(pattern="x" * 251)]}, "definitions[0].pattern"),
        ({"definitions": [MetricDefinition(pattern="a")] * 2}, "definitions[1].pattern"),
        (
            {"definitions": [MetricDefinition(pattern="a", step_metric="x" * 251)]},
            "definitions[0].step_metric",
        ),
        (
            {"definitions": [MetricDefinition(pattern="a", summary=MetricSummaryKind.BEST)]},
            "definitions[0].goal",
        ),
        ({"definitions": [MetricDefinition(pattern=f"{n}") for n in range(1_001)]}, "definitions"),
        ({"delete_patterns": [f"{n}" for n in range(1_001)]}, "delete_patterns"),
        ({"delete_patterns": [""]}, "delete_patterns[0]"),
        (
            {"definitions": [MetricDefinition(pattern="a")], "delete_patterns": ["a"]},
            "delete_patterns[0]",
        ),
    ],
)
def test_a_bad_definition_is_named_and_none_is_kept(
    client: needletail.Client, run_id: str, given: dict[str, Any], field: str
) -> None:
    error = refused("FIELD_INVALID", client.tracking.define_metrics, run_id=run_id, **given)
    assert {violation.field for violation in error.field_violations} == {field}
    assert patterns(client, run_id) == []


def test_the_definitions_of_a_run_are_bounded(client: needletail.Client, run_id: str) -> None:
    many = [MetricDefinition(pattern=f"{number}") for number in range(1_000)]
    client.tracking.define_metrics(run_id=run_id, definitions=many)
    error = refused(
        "METRIC_DEFINITION_LIMIT_REACHED", client.tracking.define_metrics, run_id=run_id,
        definitions=[MetricDefinition(pattern="one more")],
    )  # fmt: skip
    assert "val/*" in str(error)
    define(client, run_id, "7", goal=MAXIMIZE)
    client.tracking.define_metrics(
        run_id=run_id, definitions=[MetricDefinition(pattern="one more")], delete_patterns=["7"]
    )
    assert len(patterns(client, run_id)) == 1_000


def test_points_stand_at_the_last_value_that_the_axis_had_at_their_step(
    client: needletail.Client, run_id: str
) -> None:
    log(client, run_id, loss=[(step, float(step)) for step in range(1, 8)])
    log(client, run_id, epoch=[(0, 0.0), (2, 1.5), (2, 1.0), (3, math.nan), (6, 2.0), (9, 3.0)])
    found = client.tracking.get_metric_history(run_id=run_id, key="loss", x_key="epoch").series
    assert found is not None
    assert found.steps == (2, 3, 6)
    assert repr(found.xs) == repr((1.5, math.nan, 2.0))
    paged: list[int] = []
    token = ""
    while True:
        page = client.tracking.get_metric_history(
            run_id=run_id, key="loss", x_key="epoch", page_size=1, page_token=token
        )
        assert page.series is not None
        assert len(page.series.xs) == len(page.series.steps) == 1
        paged += page.series.steps
        token = page.next_page_token
        if not token:
            break
    assert paged == [2, 3, 6]
    streamed = [
        part.series
        for part in client.tracking.stream_metric_history(
            run_id=run_id, key="loss", x_key="epoch", from_step=3
        )
    ]
    assert [(one.steps, one.xs[1:]) for one in streamed if one] == [((3, 6), (2.0,))]
    history = client.history(run_id, "loss", x="epoch")[run_id, "loss"]
    assert (list(history.steps), history.xs[0], history.xs[2]) == ([2, 3, 6], 1.5, 2.0)
    assert client.history(run_id, "loss", x="never").point_count == 0
    assert len(client.history(run_id, "loss")[run_id, "loss"].xs) == 0


def test_an_axis_of_many_chunks_is_read_beside_its_metric(
    client: needletail.Client, run_id: str
) -> None:
    for start in range(0, 90, 2):
        log(client, run_id, loss=[(start, 1.0), (start + 1, 2.0)])
    for start in range(1, 90, 2):
        log(client, run_id, epoch=[(start, start / 10)])
    found = client.history(run_id, "loss", x="epoch")[run_id, "loss"]
    assert list(found.steps) == list(range(1, 90, 2))
    assert list(found.xs) == [step / 10 for step in range(1, 90, 2)]


def test_a_bad_axis_is_named(client: needletail.Client, run_id: str) -> None:
    for more in ({"x_key": "x" * 251}, {"x_key": "x", "includes_shadowed": True}):
        error = refused(
            "FIELD_INVALID", client.tracking.get_metric_history, run_id=run_id, key="loss", **more
        )
        assert {violation.field for violation in error.field_violations} == {"x_key"}


def test_the_command_line_defines_shows_and_plots(
    client: needletail.Client, run_id: str, served: UpServer, place: Path
) -> None:
    file = place / "connection.json"
    file.write_text(json.dumps(served.connection))

    def cli(*arguments: str) -> str:
        result = run_program("runs", *arguments, "--connection-file", file)
        assert result.returncode == 0, result.stderr
        return result.stdout

    log(client, run_id, loss=[(1, 3.0), (2, 1.0)], epoch=[(1, 0.5), (2, 1.25)], secret=[(1, 1.0)])
    cli("define", run_id, "loss", "--goal", "minimize", "--summary", "best",
        "--step-metric", "epoch")  # fmt: skip
    cli("define", run_id, "sec*", "--hidden")
    listed = json.loads(cli("definitions", run_id, "-o", "json"))["definitions"]
    assert [one["pattern"] for one in listed] == ["loss", "sec*"]
    assert "minimize" in cli("definitions", run_id)
    shown = cli("show", run_id)
    assert "1 @2" in shown
    assert "secret" not in shown
    assert "1 hidden" in shown
    plot = cli("plot", run_id, "--metric", "loss", "--x", "epoch", "--width", "20")
    assert "0.5" in plot
    assert "1.25" in plot
    cli("undefine", run_id, "sec*", "--yes")
    assert "secret" in cli("show", run_id)
