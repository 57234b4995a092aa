"""One call logs parameters, tags and points of a run: all of it, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracking import MetricSeries, Parameter, RunStatus, Tag
from projects import audited, refused

if TYPE_CHECKING:
    import needletail
    from program import Connection


def series(key: str = "loss", *values: float) -> MetricSeries:
    values = values or (0.5, 0.25)
    return MetricSeries(key=key, steps=tuple(range(len(values))), values=values)


def stored(client: needletail.Client, run: str) -> dict[str, Any]:
    tracking = client.tracking
    return {
        "parameters": {p.key: p.value for p in tracking.iterate_run_parameters(run_id=run)},
        "tags": {t.key: t.value for t in tracking.iterate_run_tags(run_id=run)},
        "metrics": {m.key: m.last_value for m in tracking.iterate_run_metrics(run_id=run)},
    }


YEAR_10000_US = 253_402_300_800_000_000
NOTHING: dict[str, Any] = {"parameters": {}, "tags": {}, "metrics": {}}


def test_all_of_a_batch_is_stored(client: needletail.Client, run_id: str, sql: Connection) -> None:
    client.tracking.log_batch(
        run_id=run_id, parameters=[Parameter(key="rate", value="1")],
        tags=[Tag(key="team", value="vision")], series=[series(), series("loss", 0.1), series("x")],
    )  # fmt: skip
    assert stored(client, run_id) == {
        "parameters": {"rate": "1"}, "tags": {"team": "vision"},
        "metrics": {"loss": 0.25, "x": 0.25},
    }  # fmt: skip
    assert audited(sql, run_id, "run.log_batch") == [
        {
            "before": {},
            "after": {"tags.team": "vision", "parameters.rate": "1", "points": "5"},
        }
    ]


def test_a_batch_that_is_sent_again_counts_once(client: needletail.Client, run_id: str) -> None:
    for _ in range(2):
        client.tracking.log_batch(run_id=run_id, series=[series()], idempotency_key=run_id)
    (summary,) = client.tracking.iterate_run_metrics(run_id=run_id)
    assert summary.count == 2


def test_nothing_of_a_batch_is_stored_when_a_parameter_differs(
    client: needletail.Client, run_id: str
) -> None:
    client.tracking.log_parameters(run_id=run_id, parameters=[Parameter(key="rate", value="1")])
    refused(
        "PARAMETER_DIFFERS", client.tracking.log_batch, run_id=run_id,
        parameters=[Parameter(key="new", value="1"), Parameter(key="rate", value="2")],
        tags=[Tag(key="team", value="vision")], series=[series()],
    )  # fmt: skip
    assert stored(client, run_id) == {**NOTHING, "parameters": {"rate": "1"}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"series": [MetricSeries(key="k", steps=(1,), values=())]},
        {"series": [MetricSeries(key="", steps=(1,), values=(1.0,))]},
        {"series": [MetricSeries(key="k", steps=(1,), values=(1.0,), times_us=(-1,))]},
        {"series": [MetricSeries(key="k", steps=(1,), values=(1.0,), times_us=(YEAR_10000_US,))]},
        {"series": [series("k" * 251)]},
        {"series": [series("k", *[0.0] * 10_001)]},
        {"tags": [Tag(key="", value="")], "series": [series()]},
        {"parameters": [Parameter(key="k", value="x" * 32_001)], "series": [series()]},
    ],
)
def test_nothing_of_a_bad_batch_is_stored(
    client: needletail.Client, run_id: str, fields: dict[str, Any]
) -> None:
    refused("FIELD_INVALID", client.tracking.log_batch, run_id=run_id, **fields)
    assert stored(client, run_id) == NOTHING


def test_nothing_of_a_batch_of_too_many_metrics_is_stored(
    client: needletail.Client, run_id: str
) -> None:
    many = [series(f"{number}", 0.0) for number in range(10_001)]
    refused("FIELD_INVALID", client.tracking.log_batch, run_id=run_id, series=many)
    assert stored(client, run_id) == NOTHING


def test_points_are_for_runs_that_run(client: needletail.Client, experiment_id: str) -> None:
    tracking = client.tracking
    run = tracking.create_run(experiment_id=experiment_id, status=RunStatus.SCHEDULED).id
    team, rate = [Tag(key="team", value="a")], [Parameter(key="rate", value="1")]
    refused("RUN_NOT_STARTED", tracking.log_batch, run_id=run, tags=team, series=[series()])
    assert stored(client, run) == NOTHING
    tracking.log_batch(run_id=run, tags=team, parameters=rate)
    tracking.update_run(id=run, status=RunStatus.RUNNING)
    tracking.log_batch(run_id=run, series=[series()])
    tracking.finish_run(id=run)
    before = stored(client, run)
    other = [Tag(key="team", value="b")]
    refused("RUN_FINISHED", tracking.log_batch, run_id=run, tags=other, series=[series()])
    refused("RUN_FINISHED", tracking.log_batch, run_id=run, tags=other, parameters=rate)
    assert stored(client, run) == before
    tracking.log_batch(run_id=run, tags=other)


@pytest.mark.parametrize("status", [RunStatus.SCHEDULED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_an_import_logs_to_runs_of_any_status(
    client: needletail.Client, experiment_id: str, sql: Connection, status: RunStatus
) -> None:
    tracking = client.tracking
    run = tracking.create_run(experiment_id=experiment_id, status=RunStatus.SCHEDULED).id
    if status is not RunStatus.SCHEDULED:
        tracking.finish_run(id=run, status=status)
    before = tracking.get_run(id=run)
    tracking.log_batch(
        run_id=run, any_status=True, parameters=[Parameter(key="rate", value="1")],
        tags=[Tag(key="team", value="a")], series=[series()],
    )  # fmt: skip
    tracking.log_parameters(
        run_id=run, any_status=True, parameters=[Parameter(key="late", value="2")]
    )
    assert stored(client, run) == {
        "parameters": {"rate": "1", "late": "2"}, "tags": {"team": "a"}, "metrics": {"loss": 0.25},
    }  # fmt: skip
    assert tracking.get_metric_history(run_id=run, key="loss").series.values == (0.5, 0.25)
    assert tracking.get_run(id=run) == before
    assert len(audited(sql, run, "run.log_batch")) == 1
    other = [Parameter(key="rate", value="2")]
    refused("PARAMETER_DIFFERS", tracking.log_batch, run_id=run, any_status=True, parameters=other)


def test_who_watches_a_run_hears_a_batch(client: needletail.Client, run_id: str) -> None:
    with client.tracking.watch_run(run_id=run_id) as watched:
        assert next(iter(watched)).run is not None
        client.tracking.log_batch(run_id=run_id, series=[series("loss", 4.0)])
        for change in watched:
            if change.series:
                assert change.series[0].values == (4.0,)
                break
