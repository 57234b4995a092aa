"""The artifact repository against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from needletail.tracing import TraceState

from needletail_mlflow import ids
from needletail_mlflow.artifact_repository import NeedletailArtifactRepository
from needletail_mlflow.connection import Connection
from needletail_mlflow.uri import logged_model_artifact_location, parse_tracking_uri

if TYPE_CHECKING:
    import needletail

    from needletail_mlflow.tracking_store import TrackingStore


def make_files(folder: Path) -> Path:
    (folder / "out" / "deep").mkdir(parents=True)
    (folder / "out" / "empty.bin").write_bytes(b"")
    (folder / "out" / "deep" / "model.bin").write_bytes(b"m" * 3_000_000)
    return folder / "out"


@pytest.fixture
def repository(store: TrackingStore, uri: str) -> NeedletailArtifactRepository:
    run = store.create_run("0", "ada", 1, [], "first")
    return get_artifact_repository(run.info.artifact_uri, uri)


def test_a_folder_goes_there_and_back(
    repository: NeedletailArtifactRepository, tmp_path: Path
) -> None:
    assert type(repository) is NeedletailArtifactRepository
    folder = make_files(tmp_path)
    repository.log_artifacts(str(folder), "copy")
    repository.log_artifact(str(folder / "empty.bin"))
    told = [(one.path, one.is_dir, one.file_size) for one in repository.list_artifacts()]
    assert told == [("copy", True, None), ("empty.bin", False, 0)]
    assert [one.path for one in repository.list_artifacts("copy")] == [
        "copy/deep",
        "copy/empty.bin",
    ]
    assert repository.list_artifacts("copy/empty.bin") == []
    target = tmp_path / "back"
    target.mkdir()
    repository.download_artifacts("copy", str(target))
    assert (target / "copy" / "empty.bin").read_bytes() == b""
    model = (target / "copy" / "deep" / "model.bin").read_bytes()
    assert model == (folder / "deep" / "model.bin").read_bytes()


def test_the_artifacts_of_a_run_without_any_are_an_empty_folder(
    store: TrackingStore, uri: str, tmp_path: Path
) -> None:
    location = store.create_run("0", "ada", 1, [], "first").info.artifact_uri
    for place in (location, f"{location}/"):
        target = tmp_path / str(len(place))
        target.mkdir()
        found = mlflow.artifacts.download_artifacts(place, dst_path=str(target), tracking_uri=uri)
        assert list(Path(found).iterdir()) == []
    with pytest.raises(MlflowException, match="No such artifact: 'none'"):
        get_artifact_repository(location, uri).download_artifacts("none", str(tmp_path))


def test_files_and_folders_are_deleted(
    repository: NeedletailArtifactRepository, tmp_path: Path
) -> None:
    repository.log_artifacts(str(make_files(tmp_path)))
    repository.delete_artifacts("empty.bin")
    assert [one.path for one in repository.list_artifacts()] == ["deep"]
    repository.delete_artifacts("deep")
    assert repository.list_artifacts() == []


def test_a_file_that_is_not_there_is_said(
    repository: NeedletailArtifactRepository, tmp_path: Path
) -> None:
    with pytest.raises(MlflowException, match="nothing"):
        repository.download_artifacts("nothing", str(tmp_path))


def test_a_server_finds_runs_below_its_destination(
    store: TrackingStore, uri: str, tmp_path: Path
) -> None:
    run = store.create_run("0", "ada", 1, [], "first")
    # As `mlflow server --artifacts-destination` asks.
    served = get_artifact_repository(uri)
    path = f"0/{run.info.run_id}/artifacts"
    served.log_artifacts(str(make_files(tmp_path)), path)
    assert [one.path for one in served.list_artifacts(path)] == [
        f"{path}/deep",
        f"{path}/empty.bin",
    ]
    own = get_artifact_repository(run.info.artifact_uri, uri)
    assert [one.path for one in own.list_artifacts()] == ["deep", "empty.bin"]
    with pytest.raises(MlflowException, match="no run has artifacts"):
        served.list_artifacts("0")


def test_files_of_a_logged_model_go_there_and_back(
    client: needletail.Client, store: TrackingStore, uri: str, tmp_path: Path
) -> None:
    experiment = ids.to_uuid(store.create_experiment("models")) or ""
    model = ids.model_to_mlflow(
        client.tracking.create_logged_model(experiment_id=experiment, name="model").id
    )
    own = get_artifact_repository(logged_model_artifact_location(experiment, "", model), uri)
    own.log_artifacts(str(make_files(tmp_path)))
    assert [one.path for one in own.list_artifacts()] == ["deep", "empty.bin"]
    # As `mlflow server --artifacts-destination` asks.
    served = get_artifact_repository(uri)
    path = f"7/models/{model}/artifacts/deep"
    assert [one.path for one in served.list_artifacts(path)] == [f"{path}/model.bin"]
    target = tmp_path / "back"
    target.mkdir()
    served.download_artifacts(path, str(target))
    assert (target / path / "model.bin").stat().st_size == 3_000_000
    own.delete_artifacts("deep")
    assert [one.path for one in own.list_artifacts()] == ["empty.bin"]


def test_attachments_of_a_trace_are_kept(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Earlier versions of MLflow have none.
    Attachment = pytest.importorskip("mlflow.tracing.attachments").Attachment  # noqa: N806
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("pictures")
    with mlflow.start_span("look") as span:
        span.set_inputs({"picture": Attachment(content_type="image/png", content_bytes=b"png")})
    trace = mlflow.get_trace(span.trace_id)
    reference = Attachment.parse_ref(trace.data.spans[0].inputs["picture"])
    repository = get_artifact_repository(trace.info.tags["mlflow.artifactLocation"], uri)
    attachment = reference["attachment_id"]
    assert repository.download_trace_attachment(attachment) == b"png"
    assert [one.path for one in repository.list_artifacts("attachments")] == [
        f"attachments/{attachment}"
    ]
    MlflowClient(uri).delete_traces(trace.info.experiment_id, trace_ids=[span.trace_id])
    with pytest.raises(MlflowException):
        repository.download_trace_attachment(attachment)


def test_data_of_a_trace_is_kept_and_found_at_a_server(
    store: TrackingStore, client: needletail.Client, uri: str
) -> None:
    experiment = store.create_experiment("traces")
    project = Connection(parse_tracking_uri(uri)).project_id
    client.tracing.start_trace(
        project_id=project,
        experiment_id=ids.to_uuid(experiment) or "",
        trace_id="tr-1",
        state=TraceState.OK,
        request_time_ms=1,
    )
    root = f"needletail:/experiments/{ids.to_uuid(experiment)}/traces"
    repository = get_artifact_repository(f"{root}/tr-1/artifacts", uri)
    repository.upload_trace_data('{"spans": []}')
    assert repository.download_trace_data() == {"spans": []}
    served = get_artifact_repository(uri)
    path = f"{experiment}/traces/tr-1/artifacts"
    assert [one.path for one in served.list_artifacts(path)] == [f"{path}/traces.json"]
    with pytest.raises(MlflowException) as caught:
        get_artifact_repository(f"{root}/tr-2/artifacts", uri).list_artifacts()
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_artifacts_of_a_run_are_found_at_the_current_tracking_uri(
    store: TrackingStore, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create_run("0", "ada", 1, [], "first")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.log_artifacts(str(make_files(tmp_path)))
    assert [one.path for one in repository.list_artifacts()] == ["deep", "empty.bin"]
