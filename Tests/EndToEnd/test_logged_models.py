"""Logged models: what code logs as a model within an experiment."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracking import (
    LifeView,
    LoggedModelDataset,
    LoggedModelOrder,
    LoggedModelSeries,
    LoggedModelStatus,
    MetricSeries,
    Parameter,
    Tag,
)
from projects import audited, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    import needletail
    from needletail.tracking import LoggedModel
    from program import Connection


def measured(
    model: str, key: str, value: float, time_us: int, dataset: str = "", digest: str = ""
) -> LoggedModelSeries:
    series = MetricSeries(key=key, steps=[0], times_us=[time_us], values=[value])
    return LoggedModelSeries(
        logged_model_id=model, dataset_name=dataset, dataset_digest=digest, series=series
    )


def log(client: needletail.Client, run: str, *series: LoggedModelSeries, **fields: Any) -> None:
    client.tracking.log_batch(run_id=run, model_series=series, **fields)


def values(model: LoggedModel) -> list[tuple[str, float, str, str]]:
    """Return what a model was measured by: key, value, name and digest of the dataset."""
    return [(one.key, one.value, one.dataset_name, one.dataset_digest) for one in model.metrics]


@pytest.fixture
def model(client: needletail.Client, experiment_id: str) -> str:
    return client.tracking.create_logged_model(experiment_id=experiment_id, name="model").id


def test_a_model_is_told_with_all_that_it_has(
    client: needletail.Client, sql: Connection, experiment_id: str, run_id: str
) -> None:
    tracking = client.tracking
    made = tracking.create_logged_model(
        experiment_id=experiment_id,
        model_type="agent",
        source_run_id=run_id,
        tags=[Tag(key="b", value="2"), Tag(key="a", value="1")],
        parameters=[Parameter(key="depth", value="3")],
    )
    assert made.name == f"model-{made.id[-8:]}"
    assert (made.status, made.tags) == (LoggedModelStatus.PENDING, ())
    log(client, run_id, measured(made.id, "acc", 0.5, 7, "data", "d1"))

    told = tracking.get_logged_model(id=made.id)
    assert (told.model_type, told.source_run_id) == ("agent", run_id)
    assert [(tag.key, tag.value) for tag in told.tags] == [("a", "1"), ("b", "2")]
    assert [(one.key, one.value) for one in told.parameters] == [("depth", "3")]
    (metric,) = told.metrics
    assert (metric.run_id, metric.time_us, metric.step) == (run_id, 7, 0)
    assert values(told) == [("acc", 0.5, "data", "d1")]
    # The point is the run's as well, as all that were logged with it.
    (summary,) = tracking.list_run_metrics(run_id=run_id).metrics
    assert (summary.key, summary.last_value, summary.count) == ("acc", 0.5, 1)
    (created,) = audited(sql, made.id, "logged_model.create")
    assert created["after"]["tags.a"] == "1"
    assert created["after"]["parameters.depth"] == "3"
    (logged,) = audited(sql, run_id, "run.log_batch")
    assert logged["after"] == {"points": "1", "model_points": "1"}


def test_a_model_becomes_ready_or_fails(
    client: needletail.Client, sql: Connection, model: str
) -> None:
    change = client.tracking.update_logged_model
    ready = change(id=model, status=LoggedModelStatus.READY, etag="1")
    assert (ready.status, ready.etag) == (LoggedModelStatus.READY, "2")
    failed = change(id=model, status=LoggedModelStatus.FAILED, status_message="it broke")
    assert (failed.status, failed.status_message) == (LoggedModelStatus.FAILED, "it broke")
    refused("ETAG_MISMATCH", change, id=model, etag="1", name="other")
    refused("FIELD_INVALID", change, id=model, status=LoggedModelStatus.PENDING)
    assert audited(sql, model, "logged_model.update")[0] == {
        "before": {"status": "pending"},
        "after": {"status": "ready"},
    }


def test_a_deleted_model_comes_back(
    client: needletail.Client, sql: Connection, model: str, experiment_id: str, run_id: str
) -> None:
    tracking = client.tracking
    deleted = tracking.delete_logged_model(id=model)
    assert deleted.deleted_at is not None
    assert deleted.purge_after is not None
    assert (deleted.purge_after - deleted.deleted_at).days == 30
    for call, fields in (
        (tracking.get_logged_model, {"id": model}),
        (tracking.delete_logged_model, {"id": model}),
        (tracking.update_logged_model, {"id": model, "name": "x"}),
        (tracking.list_logged_model_metrics, {"logged_model_id": model}),
        (
            tracking.set_logged_model_tags,
            {"logged_model_id": model, "tags": [Tag(key="a", value="1")]},
        ),
        (
            tracking.log_logged_model_parameters,
            {"logged_model_id": model, "parameters": [Parameter(key="a", value="1")]},
        ),
        (
            tracking.log_batch,
            {"run_id": run_id, "model_series": [measured(model, "acc", 1.0, 1)]},
        ),
    ):
        refused("LOGGED_MODEL_NOT_FOUND", call, **fields)
    assert tracking.list_run_metrics(run_id=run_id).metrics == ()
    assert tracking.get_logged_model(id=model, include_deleted=True).deleted_at is not None
    (found,) = tracking.search_logged_models(
        experiment_ids=[experiment_id], view=LifeView.DELETED
    ).models
    assert found.id == model

    tracking.undelete_logged_model(id=model)
    assert tracking.get_logged_model(id=model).deleted_at is None
    refused("RECOVERY_OVER", tracking.undelete_logged_model, id=model)
    tracking.delete_logged_model(id=model)
    sql.execute("update logged_models set purge_after = now() where id = %s", [model])
    refused("RECOVERY_OVER", tracking.undelete_logged_model, id=model)


def test_a_model_goes_with_its_experiment_and_comes_back_with_it(
    client: needletail.Client, model: str, experiment_id: str, run_id: str
) -> None:
    tracking = client.tracking
    within = {"experiment_ids": [experiment_id]}
    tracking.delete_run(id=run_id)
    assert tracking.get_logged_model(id=model).id == model
    tracking.delete_experiment(id=experiment_id)
    refused("LOGGED_MODEL_NOT_FOUND", tracking.get_logged_model, id=model)
    refused("LOGGED_MODEL_NOT_FOUND", tracking.delete_logged_model, id=model)
    refused("EXPERIMENT_NOT_FOUND", tracking.create_logged_model, experiment_id=experiment_id)
    refused("EXPERIMENT_NOT_FOUND", tracking.undelete_logged_model, id=model)
    assert tracking.search_logged_models(**within).models == ()
    assert len(tracking.search_logged_models(**within, view=LifeView.DELETED).models) == 1
    assert len(tracking.search_logged_models(**within, view=LifeView.ALL).models) == 1
    tracking.undelete_experiment(id=experiment_id)
    assert tracking.get_logged_model(id=model).id == model


def test_tags_change_and_parameters_do_not(
    client: needletail.Client, sql: Connection, model: str
) -> None:
    tracking, of = client.tracking, {"logged_model_id": model}
    tracking.set_logged_model_tags(**of, tags=[Tag(key="a", value="1"), Tag(key="b", value="2")])
    tracking.set_logged_model_tags(**of, tags=[Tag(key="a", value="3")], delete_keys=["b", "c"])
    assert audited(sql, model, "logged_model.set_tags")[-1] == {
        "before": {"tags.a": "1", "tags.b": "2"},
        "after": {"tags.a": "3"},
    }
    depth = Parameter(key="depth", value="3")
    tracking.log_logged_model_parameters(**of, parameters=[depth])
    tracking.log_logged_model_parameters(**of, parameters=[depth, Parameter(key="width", value="")])
    error = refused(
        "PARAMETER_DIFFERS", tracking.log_logged_model_parameters, **of,
        parameters=[Parameter(key="new", value="1"), Parameter(key="depth", value="4")],
    )  # fmt: skip
    assert error.details["key"] == "depth"
    told = tracking.get_logged_model(id=model)
    assert {tag.key: tag.value for tag in told.tags} == {"a": "3"}
    assert {one.key: one.value for one in told.parameters} == {"depth": "3", "width": ""}


def test_what_a_model_can_have_is_bounded(
    client: needletail.Client, experiment_id: str, model: str
) -> None:
    tracking, of = client.tracking, {"logged_model_id": model}
    long = "x" * 32_000
    many = [Tag(key=f"{n}", value=long) for n in range(16)]
    tracking.set_logged_model_tags(**of, tags=many)
    refused(
        "TAG_LIMIT_REACHED", tracking.set_logged_model_tags, **of,
        tags=[Tag(key="more", value=long)],
    )  # fmt: skip
    # What makes them fewer or shorter is never too much.
    tracking.set_logged_model_tags(**of, tags=[Tag(key="0", value="")], delete_keys=["1"])
    parameters = [Parameter(key=f"{n}", value="v") for n in range(1_000)]
    tracking.log_logged_model_parameters(**of, parameters=parameters)
    tracking.log_logged_model_parameters(**of, parameters=parameters)
    refused(
        "PARAMETER_LIMIT_REACHED", tracking.log_logged_model_parameters, **of,
        parameters=[Parameter(key="more", value="v")],
    )  # fmt: skip
    refused(
        "PARAMETER_LIMIT_REACHED", tracking.create_logged_model, experiment_id=experiment_id,
        parameters=[Parameter(key=f"{n}", value=long) for n in range(17)],
    )  # fmt: skip
    assert len(tracking.get_logged_model(id=model).tags) == 15
    for name in ("a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "x" * 1_001):
        refused(
            "FIELD_INVALID", tracking.create_logged_model, experiment_id=experiment_id, name=name
        )


def test_a_model_has_a_bounded_number_of_metrics(
    client: needletail.Client, sql: Connection, model: str, run_id: str
) -> None:
    sql.execute(
        "insert into logged_model_metrics select organization_id, id, 'acc', n, 0, %s, '', '', n"
        " from logged_models cross join generate_series(1, 100000) as n where id = %s",
        [run_id, model],
    )
    told = client.tracking.get_logged_model(id=model)
    assert (len(told.metrics), told.has_more_metrics) == (1_000, True)
    # What is there already is no more.
    log(client, run_id, measured(model, "acc", 2.0, 1))
    error = refused(
        "LOGGED_MODEL_METRIC_LIMIT_REACHED", client.tracking.log_batch, run_id=run_id,
        model_series=[measured(model, "acc", 1.0, 0)],
    )  # fmt: skip
    assert error.details["logged_model_id"] == model
    (summary,) = client.tracking.list_run_metrics(run_id=run_id).metrics
    assert summary.count == 1


def test_the_last_value_of_a_time_and_step_stays(
    client: needletail.Client, model: str, run_id: str
) -> None:
    log(client, run_id, measured(model, "acc", 1.0, 5), measured(model, "acc", 2.0, 5))
    log(client, run_id, measured(model, "acc", 3.0, 5, "data"), measured(model, "f1", math.nan, 5))
    log(client, run_id, measured(model, "acc", 4.0, 5))
    pages, token = [], ""
    while True:
        page = client.tracking.list_logged_model_metrics(
            logged_model_id=model, page_size=1, page_token=token
        )
        pages.append([(one.key, one.value, one.dataset_name) for one in page.metrics])
        token = page.next_page_token
        if not token:
            break
    assert pages[:2] == [[("acc", 4.0, "")], [("acc", 3.0, "data")]]
    ((key, value, _),) = pages[2]
    assert key == "f1"
    assert math.isnan(value)


def test_points_name_a_model_of_the_runs_project(client: needletail.Client, model: str) -> None:
    tracking = client.tracking
    slug = f"other-{uuid.uuid4()}"
    other = client.identity.create_project(name=slug, slug=slug)
    experiment = tracking.create_experiment(project_id=other.id, name="other")
    run = tracking.create_run(experiment_id=experiment.id)
    error = refused(
        "LOGGED_MODEL_NOT_FOUND", tracking.log_batch, run_id=run.id,
        model_series=[measured(model, "acc", 1.0, 1)],
    )  # fmt: skip
    assert error.details["logged_model_id"] == model
    refused(
        "FIELD_INVALID", tracking.log_batch, run_id=run.id,
        model_series=[measured(model, "acc", 1.0, 1, "", "digest")],
    )  # fmt: skip
    client.identity.delete_project(id=other.id)


@pytest.fixture
def found(client: needletail.Client, experiment_id: str, run_id: str) -> Callable[..., str]:
    """Searches for the models a, b, c and d; returns their names in a text."""
    ids = [
        client.tracking.create_logged_model(
            experiment_id=experiment_id, name=name, source_run_id=run_id,
            parameters=[Parameter(key="p", value=str(number % 2))],
        ).id
        for number, name in enumerate("abcd")
    ]  # fmt: skip
    log(
        client, run_id,
        measured(ids[0], "acc", 0.9, 1, "x", "1"), measured(ids[0], "acc", 0.2, 2, "y", "1"),
        measured(ids[1], "acc", 0.5, 1, "x", "2"), measured(ids[2], "acc", math.nan, 1),
    )  # fmt: skip

    def search(**request: Any) -> str:
        request["experiment_ids"] = [experiment_id]
        whole = client.tracking.search_logged_models(**request).models
        # Page by page it is the same.
        pages, token = [], ""
        while True:
            page = client.tracking.search_logged_models(**request, page_size=1, page_token=token)
            pages += page.models
            token = page.next_page_token
            if not token:
                break
        assert [one.id for one in pages] == [one.id for one in whole]
        return "".join(one.name for one in whole)

    return search


def dataset(name: str = "", digest: str = "") -> LoggedModelDataset:
    return LoggedModelDataset(name=name, digest=digest)


@pytest.mark.parametrize(
    ("request_fields", "names"),
    [
        ({}, "dcba"),
        ({"filter": "name IN ('a', 'c') AND status = 'PENDING'"}, "ca"),
        ({"filter": "params.p = '1'"}, "db"),
        ({"filter": "metrics.acc > 0.6"}, "a"),
        ({"filter": "metrics.acc < 0.6"}, "ba"),
        ({"filter": "NOT metrics.acc < 0.6"}, "dc"),
        ({"filter": "metrics.acc IS NULL"}, "d"),
        ({"filter": "metrics.acc < 0.6 OR params.p = '0'"}, "cba"),
        ({"filter": "metrics.acc < 0.6", "datasets": [dataset("x")]}, "b"),
        ({"filter": "metrics.acc < 0.6", "datasets": [dataset("x"), dataset("y", "1")]}, "ba"),
        ({"filter": "metrics.acc < 0.6", "datasets": [dataset("y", "2")]}, ""),
        ({"datasets": [dataset(digest="1")]}, "a"),
        ({"filter": "params.p = '1'", "datasets": [dataset("x")]}, "b"),
        ({"order_by": [LoggedModelOrder(field="metrics.acc")]}, "abcd"),
        ({"order_by": [LoggedModelOrder(field="metrics.acc DESC")]}, "bacd"),
        ({"order_by": [LoggedModelOrder(field="metrics.acc", dataset=dataset("x"))]}, "bacd"),
        (
            {
                "filter": "metrics.acc > 0.6",
                "order_by": [LoggedModelOrder(field="metrics.acc", dataset=dataset("y"))],
            },
            "a",
        ),
        (
            {
                "order_by": [
                    LoggedModelOrder(field="params.p"),
                    LoggedModelOrder(field="metrics.acc DESC", dataset=dataset("x")),
                    LoggedModelOrder(field="metrics.acc DESC", dataset=dataset("y")),
                    LoggedModelOrder(field="name DESC"),
                ]
            },
            "acbd",
        ),
    ],
)
def test_models_are_found_by_any_value_and_ordered_by_the_last(
    found: Callable[..., str], request_fields: dict[str, Any], names: str
) -> None:
    assert found(**request_fields) == names


def test_what_cannot_be_read_of_a_search_is_refused(
    client: needletail.Client, found: Callable[..., str]
) -> None:
    search = client.tracking.search_logged_models
    refused("FILTER_INVALID", search, filter="metrics.acc >")
    error = refused("ORDER_INVALID", search, order_by=[LoggedModelOrder(field="color")])
    assert error.details["character"] == "1"
    on = LoggedModelOrder(field="name", dataset=dataset("x"))
    assert "a metric" in str(refused("ORDER_INVALID", search, order_by=[on]))
    refused("ORDER_INVALID", search, order_by=[LoggedModelOrder(field="metrics.a")] * 2)
    refused(
        "FIELD_INVALID", search, order_by=[LoggedModelOrder(field="metrics.a", dataset=dataset())]
    )
    refused("FIELD_INVALID", search, datasets=[dataset()])
    refused("FIELD_INVALID", search, datasets=[dataset("x")] * 101)
    assert found() == "dcba"
