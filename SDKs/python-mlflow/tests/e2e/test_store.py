"""The tracking store against a real server."""

from __future__ import annotations

import math
import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LifecycleStage,
    LoggedModelOutput,
    Metric,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException

from needletail_mlflow.telling import MAX_DOUBLE
from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    import needletail
    from mlflow.entities import Run

START = 1_700_000_000_000


def make_run(store: TrackingStore, name: str = "first", start: int = START) -> Run:
    return store.create_run("0", "ada", start, [RunTag("mlflow.user", "ada")], name)


def test_the_default_experiment_is_0_and_stays_it(store: TrackingStore, uri: str) -> None:
    assert store.get_experiment("0").name == "Default"
    store.rename_experiment("0", "first of all")
    store.delete_experiment("0")
    other = TrackingStore(uri)
    assert other.get_experiment("0").lifecycle_stage == LifecycleStage.DELETED
    other.restore_experiment("0")
    assert other.get_experiment("0").name == "first of all"


def test_two_stores_make_one_default_experiment(uri: str) -> None:
    stores = [TrackingStore(uri) for _ in range(4)]
    threads = [threading.Thread(target=one.get_experiment, args=("0",)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.name for one in stores[0].search_experiments()] == ["Default"]


def test_an_experiment_lives_as_with_mlflow(store: TrackingStore) -> None:
    made = store.create_experiment("digits", tags=[ExperimentTag("team", "vision")])
    found = store.get_experiment(made)
    assert (found.name, found.tags) == ("digits", {"team": "vision"})
    assert store.get_experiment_by_name("digits").experiment_id == made
    assert store.get_experiment_by_name("Digits") is None
    with pytest.raises(MlflowException, match="already exists") as caught:
        store.create_experiment("digits")
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    store.delete_experiment(made)
    assert store.get_experiment_by_name("digits").lifecycle_stage == LifecycleStage.DELETED
    assert [e.name for e in store.search_experiments(ViewType.DELETED_ONLY)] == ["digits"]
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        store.create_run(made, "ada", START, [], "late")
    store.restore_experiment(made)
    store.delete_experiment_tag(made, "team")
    assert store.get_experiment(made).tags == {}


def test_a_run_tells_what_it_logged(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    store.log_batch(
        run_id,
        metrics=[
            Metric("loss", 0.5, START, 1),
            Metric("loss", 0.25, START + 1, 2),
            Metric("up", math.inf, START, 0),
            Metric("down", -math.inf, START, 0),
            Metric("none", math.nan, START, 0),
        ],
        params=[Param("lr", "0.1"), Param("empty", "")],
        tags=[RunTag("a", "1"), RunTag("a", "2")],
    )
    run = store.get_run(run_id)
    assert (run.info.run_name, run.info.user_id, run.info.start_time) == ("first", "ada", START)
    assert (run.info.experiment_id, run.info.status) == ("0", "RUNNING")
    assert run.data.params == {"lr": "0.1", "empty": ""}
    assert run.data.tags == {"mlflow.user": "ada", "mlflow.runName": "first", "a": "2"}
    assert run.data.metrics["loss"] == 0.25
    assert run.data.metrics["up"] == MAX_DOUBLE
    assert run.data.metrics["down"] == -MAX_DOUBLE
    assert math.isnan(run.data.metrics["none"])
    history = store.get_metric_history(run_id, "loss")
    assert [(m.step, m.timestamp, m.value) for m in history] == [
        (1, START, 0.5),
        (2, START + 1, 0.25),
    ]


def test_another_value_of_a_parameter_is_refused_in_mlflows_words(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    store.log_param(run_id, Param("lr", "0.1"))
    store.log_param(run_id, Param("lr", "0.1"))
    with pytest.raises(MlflowException, match=r"Param with key='lr' was already logged") as caught:
        store.log_param(run_id, Param("lr", "0.2"))
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match=r"'old_value': '0.1', 'new_value': '0.3'"):
        store.log_batch(run_id, [], [Param("lr", "0.3"), Param("new", "1")], [])
    assert store.get_run(run_id).data.params == {"lr": "0.1"}


def test_a_run_that_ended_takes_what_is_logged_and_stays_ended(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    info = store.update_run_info(run_id, RunStatus.FAILED, START + 5, None)
    assert (info.status, info.end_time) == ("FAILED", START + 5)
    store.log_metric(run_id, Metric("late", 1.0, START, 0))
    store.log_param(run_id, Param("late", "1"))
    run = store.get_run(run_id)
    assert (run.info.status, run.info.end_time) == ("FAILED", START + 5)
    assert (run.data.metrics, run.data.params) == ({"late": 1.0}, {"late": "1"})
    assert store.update_run_info(run_id, RunStatus.FINISHED, None, "new").status == "FINISHED"
    assert store.update_run_info(run_id, RunStatus.RUNNING, None, None).end_time is None
    assert store.get_run(run_id).data.tags["mlflow.runName"] == "new"


def test_a_deleted_run_is_told_as_deleted(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    store.delete_run(run_id)
    store.delete_run(run_id)
    assert store.get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED
    assert len(store.search_runs(["0"], "", ViewType.ACTIVE_ONLY)) == 0
    assert len(store.search_runs(["0"], "", ViewType.DELETED_ONLY)) == 1
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        store.set_tag(run_id, RunTag("a", "b"))
    store.restore_run(run_id)
    assert store.get_run(run_id).info.lifecycle_stage == LifecycleStage.ACTIVE


def test_a_deleted_run_tells_what_it_logged(store: TrackingStore) -> None:
    names = {}
    for name in ("living", "deleted"):
        run_id = names[name] = make_run(store, name).info.run_id
        store.log_batch(
            run_id, [Metric("loss", 0.5, START, 1)], [Param("lr", "1")], [RunTag("a", name)]
        )
    gone = names["deleted"]
    before = store.get_run(gone).data
    store.delete_run(gone)
    assert store.get_run(gone).data.to_dictionary() == before.to_dictionary()
    assert [one.value for one in store.get_metric_history(gone, "loss")] == [0.5]
    assert [one.value for one in store.get_metric_history(gone, "loss", 10)] == [0.5]
    assert len(store.get_metric_history_bulk([gone], "loss", 10)) == 1
    text, order = "metrics.loss < 1 AND params.lr = '1'", ["tags.a DESC"]
    for view, found in (
        (ViewType.ACTIVE_ONLY, ["living"]),
        (ViewType.DELETED_ONLY, ["deleted"]),
        (ViewType.ALL, ["living", "deleted"]),
    ):
        runs = store.search_runs(["0"], text, view, 10, order)
        assert [run.data.tags["a"] for run in runs] == found


def test_runs_of_a_deleted_experiment_are_deleted(store: TrackingStore) -> None:
    made = store.create_experiment("digits", tags=[ExperimentTag("team", "vision")])
    run_id = store.create_run(made, "ada", START, [], "first").info.run_id
    store.delete_experiment(made)
    assert store.get_run(run_id).info.lifecycle_stage == LifecycleStage.DELETED
    assert len(store.search_runs([made], "", ViewType.DELETED_ONLY)) == 1
    assert store.get_experiment(made).tags == {"team": "vision"}
    (found,) = store.search_experiments(ViewType.DELETED_ONLY, filter_string="tags.team = 'vision'")
    assert (found.name, found.tags) == ("digits", {"team": "vision"})
    # To others its name is free.
    place = store._connection
    place.client.tracking.create_experiment(project_id=place.project_id, name="digits")
    names = store.search_experiments(ViewType.ALL, order_by=["name DESC"])
    assert [one.name for one in names] == ["digits", "digits", "Default"]
    living = store.get_experiment_by_name("digits")
    assert living.lifecycle_stage == LifecycleStage.ACTIVE


def test_a_run_goes_from_any_status_to_any_in_one_call(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = make_run(store).info.run_id
    calls = count_calls(store, monkeypatch)
    for status, end_time, told in (
        (RunStatus.SCHEDULED, None, None),
        (RunStatus.FAILED, START + 5, START + 5),
        (RunStatus.FINISHED, None, START + 5),
        (RunStatus.RUNNING, None, None),
        (RunStatus.FAILED, None, None),
        (RunStatus.KILLED, START + 7, START + 7),
    ):
        calls.clear()
        info = store.update_run_info(run_id, status, end_time, None)
        assert (info.status, info.end_time) == (RunStatus.to_string(status), told)
        assert calls == ["UpdateRun"]
        store.log_metric(run_id, Metric("loss", 1.0, START, 0))
        assert calls == ["UpdateRun", "LogBatch"]
    store.get_run(run_id)
    assert calls[2:] == ["SearchRuns"]


def test_runs_that_ended_at_an_unknown_time_come_last(store: TrackingStore) -> None:
    for name, end_time in (("late", START + 9), ("unknown", None), ("early", START + 4)):
        run_id = make_run(store, name).info.run_id
        info = store.update_run_info(run_id, RunStatus.FINISHED, end_time, None)
        assert (info.status, info.end_time) == ("FINISHED", end_time)
        assert store.get_run(run_id).info.end_time == end_time
    for order, names in (("asc", "early late unknown"), ("desc", "late early unknown")):
        found = store.search_runs(["0"], "", ViewType.ALL, 9, [f"attributes.end_time {order}"])
        assert [run.info.run_name for run in found] == names.split()


def count_calls(store: TrackingStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes the methods that a store calls from now on."""
    caller = store._connection.client.tracking._caller
    unary, calls = caller.unary, []

    def noted(method: Any, *rest: Any) -> Any:
        calls.append(method.name.rpartition("/")[2])
        return unary(method, *rest)

    monkeypatch.setattr(caller, "unary", noted)
    return calls


@pytest.mark.parametrize("run_id", ["0" * 32, "nonsense"])
def test_a_run_that_is_not_there_is_told_in_mlflows_words(
    store: TrackingStore, run_id: str
) -> None:
    with pytest.raises(MlflowException, match=f"Run with id={run_id} not found") as caught:
        store.get_run(run_id)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_runs_are_found_page_by_page(store: TrackingStore) -> None:
    made = [make_run(store, f"run {n}", START + n).info.run_id for n in range(5)]
    for number, run_id in enumerate(made):
        store.log_metric(run_id, Metric("loss", number, START, 0))
    pages, token = [], None
    while True:
        page = store.search_runs(["0"], "metrics.loss > 0", ViewType.ACTIVE_ONLY, 3, None, token)
        pages.append([run.info.run_id for run in page])
        token = page.token
        if not token:
            break
    assert pages == [made[:1:-1], made[1:2]]
    found = store.search_runs(["0"], f"run_id = '{made[2]}'", ViewType.ALL)
    assert [run.info.run_name for run in found] == ["run 2"]


def test_histories_come_in_pages_and_samples(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    points = [Metric("loss", float(step), START + step, step) for step in range(100)]
    store.log_batch(run_id, points, [], [])
    first = store.get_metric_history(run_id, "loss", 60)
    rest = store.get_metric_history(run_id, "loss", 60, first.token)
    assert [m.step for m in [*first, *rest]] == list(range(100))
    assert rest.token is None
    sample = store.get_metric_history_bulk_interval([run_id], "loss", 10, None, None)
    assert [m.step for m in sample] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 99]
    some = store.get_metric_history_bulk_interval([run_id], "loss", 10, 95, 97)
    assert [m.step for m in some] == [95, 96, 97]
    assert len(store.get_metric_history_bulk([run_id], "loss", 7)) == 7


def test_a_run_may_read_thousands_of_datasets(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    names = [f"shard {number}" for number in range(2_500)]
    store.log_inputs(
        run_id, [DatasetInput(Dataset(name, name, "local", "file:///"), []) for name in names]
    )
    for run in (store.get_run(run_id), store.search_runs(["0"], "", ViewType.ACTIVE_ONLY)[0]):
        assert [one.dataset.name for one in run.inputs.dataset_inputs] == names


@pytest.mark.parametrize("use", ["get", "name", "search"])
def test_the_default_experiment_is_there_at_first_sight(store: TrackingStore, use: str) -> None:
    found = {
        "get": lambda: store.get_experiment("0"),
        "name": lambda: store.get_experiment_by_name("Default"),
        "search": lambda: store.search_experiments()[0],
    }[use]()
    assert found is not None
    assert (found.experiment_id, found.name, found.lifecycle_stage) == ("0", "Default", "active")


def test_inputs_and_outputs_come_with_the_run(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    dataset = Dataset("digits", "5c1ab2", "local", "file:///digits", "{}", None)
    tag = InputTag("mlflow.data.context", "training")
    store.log_inputs(run_id, [DatasetInput(dataset, [tag])])
    # As MLflow does for the dataset of a metric.
    store.log_inputs(run_id, [DatasetInput(dataset, [])])
    store.log_outputs(run_id, [LoggedModelOutput("m-1", 3)])
    for run in (store.get_run(run_id), store.search_runs(["0"], "", ViewType.ACTIVE_ONLY)[0]):
        (found,) = run.inputs.dataset_inputs
        assert (found.dataset, found.tags) == (dataset, [tag])
        assert run.outputs.model_outputs == [LoggedModelOutput("m-1", 3)]
        assert not any(key.startswith("needletail.") for key in run.data.tags)
    assert len(store.search_runs(["0"], "dataset.name = 'digits'", ViewType.ACTIVE_ONLY)) == 1
    (summary,) = store._search_datasets(["0", "nonsense"])
    assert (summary.experiment_id, summary.name) == ("0", "digits")
    assert (summary.digest, summary.context) == ("5c1ab2", "training")


def test_a_run_with_more_links_than_an_answer_takes_is_told_whole(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    for letter in "ab":
        dataset = Dataset(letter, letter, "local", "file:///", "{}", letter * 900_000)
        store.log_inputs(run_id, [DatasetInput(dataset, [])])
    for run in (store.get_run(run_id), store.search_runs(["0"], "", ViewType.ACTIVE_ONLY)[0]):
        assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["a", "b"]


def log_in_child(store: TrackingStore, run_id: str) -> None:
    store.log_metric(run_id, Metric("child", 2.0, START, 0))


def test_a_forked_child_logs_with_its_parents_store(store: TrackingStore) -> None:
    run_id = make_run(store).info.run_id
    child = multiprocessing.get_context("fork").Process(target=log_in_child, args=(store, run_id))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    store.log_metric(run_id, Metric("parent", 1.0, START, 0))
    assert store.get_run(run_id).data.metrics == {"child": 2.0, "parent": 1.0}


def test_an_unknown_project_is_said_at_the_first_call(client: needletail.Client) -> None:
    store = TrackingStore(f"needletail://{client.settings.address}/nobody-has-this")
    with pytest.raises(MlflowException, match="there is no project nobody-has-this") as caught:
        store.get_experiment("0")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_what_is_not_kept_is_refused_and_searches_find_none(store: TrackingStore) -> None:
    with pytest.raises(MlflowException, match="create_gateway_secret") as caught:
        store.create_gateway_secret("openai", "secret", "openai")
    assert caught.value.error_code == "NOT_IMPLEMENTED"
    assert isinstance(caught.value, NotImplementedError)
    assert store.get_online_scoring_configs(["nobody"]) == []
    assert store.get_active_online_scorers() == []
