"""The artifact repository against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from needletail_mlflow.artifact_repository import NeedletailArtifactRepository

if TYPE_CHECKING:
    from pathlib import Path

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


def test_artifacts_of_a_run_are_found_at_the_current_tracking_uri(
    store: TrackingStore, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create_run("0", "ada", 1, [], "first")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.log_artifacts(str(make_files(tmp_path)))
    assert [one.path for one in repository.list_artifacts()] == ["deep", "empty.bin"]
