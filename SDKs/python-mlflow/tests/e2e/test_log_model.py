"""Models that code logs: their files, and the way from there into the registry and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from collections.abc import Iterator

sklearn_linear = pytest.importorskip("sklearn.linear_model")
ROWS, LABELS = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


@pytest.fixture(autouse=True)
def at_server(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the whole of MLflow speak to a project of the test's own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.set_experiment("models")
    yield
    mlflow.sklearn.autolog(disable=True)


def fitted():
    """A model that knows 1.5."""
    return sklearn_linear.LogisticRegression().fit(ROWS, LABELS)


@pytest.mark.parametrize("is_in_run", [True, False])
def test_a_model_is_logged_loaded_and_registered(is_in_run: bool) -> None:
    if is_in_run:
        with mlflow.start_run() as run:
            info = mlflow.sklearn.log_model(fitted(), name="m", input_example=ROWS)
        stored = mlflow.get_run(run.info.run_id)
        assert [one.model_id for one in stored.outputs.model_outputs] == [info.model_id]
    else:
        info = mlflow.sklearn.log_model(fitted(), name="m")
        assert mlflow.active_run() is None
    assert info.model_uri == f"models:/{info.model_id}"
    assert list(mlflow.sklearn.load_model(info.model_uri).predict(ROWS)) == LABELS
    model = mlflow.get_logged_model(info.model_id)
    assert (model.name, str(model.status)) == ("m", "READY")
    (found,) = mlflow.search_logged_models(output_format="list")
    assert found.model_id == info.model_id

    version = mlflow.register_model(info.model_uri, "fraud")
    assert (str(version.version), version.model_id) == ("1", info.model_id)
    assert list(mlflow.pyfunc.load_model("models:/fraud/1").predict(ROWS)) == LABELS
    assert list(mlflow.sklearn.load_model("models:/fraud/1").predict(ROWS)) == LABELS
    paths = {one.path for one in mlflow.artifacts.list_artifacts(info.model_uri)}
    assert {"MLmodel", "requirements.txt"} <= paths


def test_a_model_is_registered_as_it_is_logged() -> None:
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(fitted(), name="m", registered_model_name="fraud")
    assert str(info.registered_model_version) == "1"
    assert list(mlflow.pyfunc.load_model("models:/fraud/1").predict(ROWS)) == LABELS


def test_autologging_logs_the_model() -> None:
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        fitted()
    (output,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
    model = mlflow.sklearn.load_model(f"models:/{output.model_id}")
    assert list(model.predict(ROWS)) == LABELS


def test_files_of_a_deleted_model_are_not_there() -> None:
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(fitted(), name="m")
    mlflow.MlflowClient().delete_logged_model(info.model_id)
    with pytest.raises(MlflowException):
        mlflow.sklearn.load_model(info.model_uri)
