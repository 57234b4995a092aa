"""Logged models, by MLflow's own client, its store's interface and its fluent functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow.entities import (
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
)
from mlflow.exceptions import MlflowException

from needletail_mlflow import ids

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from needletail_mlflow.tracking_store import TrackingStore


@pytest.fixture
def experiment(store: TrackingStore) -> str:
    return store.create_experiment("models")


@pytest.fixture
def run(store: TrackingStore, experiment: str) -> str:
    return store.create_run(experiment, "user", 0, [], "run").info.run_id


@pytest.fixture
def fluent(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)


def measured(model: str, run: str, key: str, value: float, time: int, *dataset: str) -> Metric:
    name, digest = dataset or (None, None)
    return Metric(
        key, value, time, 0, model_id=model, dataset_name=name, dataset_digest=digest, run_id=run
    )


def test_a_logged_model_is_told_with_all_that_it_has(
    store: TrackingStore, experiment: str, run: str
) -> None:
    made = store.create_logged_model(
        experiment,
        name="m",
        source_run_id=run,
        tags=[LoggedModelTag("t", "1"), LoggedModelTag("t", "2")],
        params=[LoggedModelParameter("p", 3)],
        model_type="agent",
    )
    assert (made.tags, made.params, made.metrics) == ({"t": "2"}, {"p": "3"}, None)
    uuid = ids.to_uuid(experiment)
    assert (
        made.artifact_location == f"needletail:/experiments/{uuid}/models/{made.model_id}/artifacts"
    )
    store.log_batch(
        run,
        [
            measured(made.model_id, run, "acc", 0.5, 1_000, "d", "1"),
            measured(made.model_id, run, "acc", math.inf, 2_000),
            Metric("loss", 1.0, 1_000, 0),
        ],
        [],
        [],
    )

    told = store.get_logged_model(made.model_id)
    assert told.status == LoggedModelStatus.PENDING
    assert (told.name, told.model_type, told.source_run_id) == ("m", "agent", run)
    assert [
        (one.key, one.value, one.timestamp, one.dataset_name, one.dataset_digest, one.run_id)
        for one in told.metrics
    ] == [
        ("acc", 0.5, 1_000, "d", "1", run),
        ("acc", 1.7976931348623157e308, 2_000, None, None, run),
    ]
    # The points are the run's as well.
    assert len(store.get_metric_history(run, "acc")) == 2
    assert store.get_run(run).data.metrics["loss"] == 1.0


def test_the_source_of_a_model_may_be_any_text(store: TrackingStore, experiment: str) -> None:
    made = store.create_logged_model(experiment, source_run_id="123")
    told = store.get_logged_model(made.model_id)
    assert [(one.source_run_id, one.tags) for one in (made, told)] == [("123", {})] * 2
    (found,) = store.search_logged_models([experiment], "source_run_id = '123'")
    assert found.model_id == made.model_id


def test_a_logged_model_with_many_metrics_is_told_with_all(
    store: TrackingStore, experiment: str, run: str
) -> None:
    model = store.create_logged_model(experiment)
    for start in (0, 1_000):
        points = [
            measured(model.model_id, run, "a", float(n), n) for n in range(start, start + 1_000)
        ]
        store.log_batch(run, points, [], [])
    told = store.get_logged_model(model.model_id)
    assert [one.value for one in told.metrics] == [float(n) for n in range(2_000)]


def test_its_life_is_mlflows(store: TrackingStore, experiment: str) -> None:
    model = store.create_logged_model(experiment).model_id
    assert store.finalize_logged_model(model, LoggedModelStatus.READY).status == "READY"
    assert store.finalize_logged_model(model, LoggedModelStatus.FAILED).status == "FAILED"
    store.set_logged_model_tags(model, [LoggedModelTag("a", "1"), LoggedModelTag("b", None)])
    store.delete_logged_model_tag(model, "a")
    assert store.get_logged_model(model).tags == {"b": ""}
    with pytest.raises(MlflowException, match="No tag with key 'a' found") as caught:
        store.delete_logged_model_tag(model, "a")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    store.log_logged_model_params(model, [LoggedModelParameter("p", "1")])
    with pytest.raises(MlflowException, match="has another value"):
        store.log_logged_model_params(model, [LoggedModelParameter("p", "2")])

    store.delete_logged_model(model)
    assert store.search_logged_models([experiment]) == []
    assert store.get_logged_model(model, allow_deleted=True).params == {"p": "1"}
    for change in (
        lambda: store.get_logged_model(model),
        lambda: store.delete_logged_model(model),
        lambda: store.finalize_logged_model(model, LoggedModelStatus.READY),
        lambda: store.set_logged_model_tags(model, [LoggedModelTag("a", "1")]),
        lambda: store.log_logged_model_params(model, [LoggedModelParameter("a", "1")]),
        lambda: store.get_logged_model("m-none"),
    ):
        with pytest.raises(MlflowException, match="not found") as caught:
            change()
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_model_needs_a_live_experiment_and_a_name_that_can_be(
    store: TrackingStore, experiment: str
) -> None:
    with pytest.raises(MlflowException, match="Invalid model name"):
        store.create_logged_model(experiment, name="a/b")
    store.delete_experiment(experiment)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        store.create_logged_model(experiment)


def test_points_of_a_model_that_is_not_there_are_refused(store: TrackingStore, run: str) -> None:
    other = ids.model_to_mlflow("0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50")
    for model in (other, "m-none"):
        with pytest.raises(MlflowException, match=f"'{model}' not found"):
            store.log_metric(run, measured(model, run, "acc", 1.0, 1))
    assert store.get_run(run).data.metrics == {}


def test_models_are_found_by_what_they_were_measured_by(
    store: TrackingStore, experiment: str, run: str
) -> None:
    first, second, third = (
        store.create_logged_model(experiment, name=name).model_id for name in "abc"
    )
    store.log_batch(
        run,
        [
            measured(first, run, "acc", 0.9, 1, "x", "1"),
            measured(first, run, "acc", 0.2, 2, "y", "1"),
            measured(second, run, "acc", 0.5, 1, "x", "2"),
        ],
        [],
        [],
    )

    def found(**request: Any) -> str:
        return "".join(one.name for one in store.search_logged_models([experiment], **request))

    assert found() == "cba"
    assert found(filter_string="metrics.acc > 0.6") == "a"
    assert found(filter_string="metrics.acc < 0.6") == "ba"
    assert found(filter_string="metrics.acc < 0.6", datasets=[{"dataset_name": "x"}]) == "b"
    assert found(datasets=[{"dataset_name": "x", "dataset_digest": "1"}]) == "a"
    assert found(filter_string=f"model_id IN ('{third}', '{first}')") == "ca"
    # The last value decides, and what has none comes last.
    assert found(order_by=[{"field_name": "metrics.acc"}]) == "abc"
    by_dataset = {"field_name": "metrics.acc", "ascending": True, "dataset_name": "x"}
    assert found(order_by=[by_dataset]) == "bac"
    assert found(order_by=[{"field_name": "name", "ascending": False}]) == "cba"
    with pytest.raises(MlflowException, match="dataset_name"):
        store.search_logged_models([experiment], datasets=[{"dataset_digest": "1"}])


def test_a_search_goes_on_page_by_page(store: TrackingStore, experiment: str) -> None:
    names = [store.create_logged_model(experiment).name for _ in range(5)]
    order = [{"field_name": "creation_time", "ascending": True}]
    found, token = [], None
    while True:
        page = store.search_logged_models(
            [experiment], max_results=2, order_by=order, page_token=token
        )
        found += [one.name for one in page]
        token = page.token
        if not token:
            break
    assert found == names
    page = store.search_logged_models([experiment], max_results=2)
    with pytest.raises(MlflowException, match="Order by in the page token does not match"):
        store.search_logged_models([experiment], order_by=order, page_token=page.token)


def test_a_run_tells_what_it_read_and_made(store: TrackingStore, experiment: str, run: str) -> None:
    made, read = (store.create_logged_model(experiment).model_id for _ in range(2))
    store.log_outputs(run, [LoggedModelOutput(made, 3)])
    store.log_inputs(run, models=[LoggedModelInput(read)])
    told = store.get_run(run)
    assert told.outputs.model_outputs == [LoggedModelOutput(made, 3)]
    assert told.inputs.model_inputs == [LoggedModelInput(read)]


@pytest.mark.usefixtures("fluent")
def test_the_fluent_functions_work() -> None:
    mlflow.set_experiment("fluent")
    model = mlflow.initialize_logged_model(name="agent", params={"a": "1"}, model_type="agent")
    assert model.status == LoggedModelStatus.PENDING
    model = mlflow.finalize_logged_model(model.model_id, "READY")
    assert model.status == LoggedModelStatus.READY
    with mlflow.start_run() as run:
        mlflow.log_metric("acc", 0.5, model_id=model.model_id)
        mlflow.log_metrics({"f1": 0.25}, step=1, model_id=model.model_id)
        mlflow.log_model_params({"b": "2"}, model_id=model.model_id)
        pending = mlflow.initialize_logged_model(name="pending")
        mlflow.finalize_logged_model(pending.model_id, LoggedModelStatus.FAILED)
    mlflow.set_logged_model_tags(model.model_id, {"k": "v"})

    told = mlflow.get_logged_model(model.model_id)
    assert told.params == {"a": "1", "b": "2"}
    assert told.tags["k"] == "v"
    assert {one.key: one.value for one in told.metrics} == {"acc": 0.5, "f1": 0.25}
    assert mlflow.get_logged_model(pending.model_id).source_run_id == run.info.run_id
    assert mlflow.get_run(run.info.run_id).data.metrics == {"acc": 0.5, "f1": 0.25}
    found = mlflow.search_logged_models(filter_string="metrics.acc > 0.4", output_format="list")
    assert [one.model_id for one in found] == [model.model_id]
    frame = mlflow.search_logged_models(order_by=[{"field_name": "name"}])
    assert list(frame["name"]) == ["agent", "pending"]
    assert mlflow.last_logged_model().model_id == pending.model_id


def test_a_registered_version_keeps_which_model_it_is(
    uri: str, store: TrackingStore, experiment: str, run: str
) -> None:
    model = store.create_logged_model(
        experiment, source_run_id=run, params=[LoggedModelParameter("depth", "3")]
    )
    store.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client: MlflowClient = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("fraud")
    made = client.create_model_version(
        "fraud", f"models:/{model.model_id}", run, model_id=model.model_id
    )
    version = client.get_model_version("fraud", made.version)
    assert (version.source, version.model_id) == (f"models:/{model.model_id}", model.model_id)
    # As MLflow's own server does it once the version is there.
    store.set_model_versions_tags("fraud", made.version, model.model_id)
    tag = store.get_logged_model(model.model_id).tags["mlflow.modelVersions"]
    assert '"fraud"' in tag
