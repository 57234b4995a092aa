"""The artifact repository: files of runs, on Needletail."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path
from needletail import artifacts
from needletail.errors import CallError

from needletail_mlflow import ids
from needletail_mlflow.connection import Connection
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.uri import SCHEMES, Place, parse_artifact_uri, parse_tracking_uri

if TYPE_CHECKING:
    from concurrent.futures import Future

_PAGE = 1_000
# runs/<run>/artifacts/… as the server calls it, <experiment>/<run>/artifacts/… as MLflow does.
_PATH = re.compile(r"[^/]+/(?P<run>[0-9a-fA-F-]{32,36})/artifacts(?:/(?P<rest>.*))?\Z")


class NeedletailArtifactRepository(ArtifactRepository):
    """The artifacts of a run, or of all runs of a project.

    Files are streamed, checked by their SHA-256, and go on where they were after a lost connection.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        place, self._root = parse_artifact_uri(artifact_uri)
        if place.url is None:
            place = _tracked(tracking_uri)
        self._connection = Connection(place)

    def log_artifact(self, local_file, artifact_path=None):
        """Uploads a file."""
        verify_artifact_path(artifact_path)
        file = Path(local_file)
        run, folder = self._resolve(artifact_path)
        with TRANSLATED:
            self._upload(run, file, PurePosixPath(folder, file.name))

    def log_artifacts(self, local_dir, artifact_path=None):
        """Uploads every file below a folder, several at a time."""
        verify_artifact_path(artifact_path)
        root = Path(local_dir)
        if not root.is_dir():
            raise invalid(f"not a folder: {local_dir}")
        run, folder = self._resolve(artifact_path)
        uploads: list[Future[None]] = [
            self.thread_pool.submit(
                self._upload, run, file, PurePosixPath(folder, file.relative_to(root).as_posix())
            )
            for file in sorted(root.rglob("*"))
            if file.is_file()
        ]
        with TRANSLATED:
            for upload in uploads:
                upload.result()

    def list_artifacts(self, path=None):
        """Tells what is in a folder; nothing of a file."""
        run, folder = self._resolve(path)
        with TRANSLATED:
            found = self._connection.client.tracking.iterate_artifacts(
                run_id=run, path=folder, page_size=_PAGE
            )
            infos = [
                FileInfo(
                    self._outside(path, folder, entry.path),
                    entry.is_folder,
                    None if entry.is_folder else entry.size_bytes,
                )
                for entry in found
                if entry.path != folder
            ]
        return sorted(infos, key=lambda info: info.path)

    def delete_artifacts(self, artifact_path=None):
        """Deletes a file, or everything below a folder."""
        run, path = self._resolve(artifact_path)
        client = self._connection.client
        with TRANSLATED:
            for entry in list(artifacts.list_files(client, run, path)):
                client.tracking.delete_artifact(run_id=run, path=entry.path)
            if path:
                self._delete_file(run, path)

    def _delete_file(self, run: str, path: str) -> None:
        try:
            self._connection.client.tracking.delete_artifact(run_id=run, path=path)
        except CallError as error:
            if error.reason != "ARTIFACT_NOT_FOUND":
                raise

    def _download_file(self, remote_file_path, local_path):
        run, path = self._resolve(remote_file_path)
        with TRANSLATED:
            try:
                artifacts.download_file(self._connection.client, run, path, local_path)
            except CallError as error:
                if error.reason != "ARTIFACT_NOT_FOUND":
                    raise
                raise missing(f"No such artifact: '{remote_file_path}'") from error

    def _upload(self, run: str, file: Path, place: PurePosixPath) -> None:
        artifacts.upload_file(self._connection.client, run, file, str(place))

    def _resolve(self, path: str | None) -> tuple[str, str]:
        """The run's UUID and the path among its files."""
        whole = "/".join(part for part in (self._root, (path or "").strip("/")) if part)
        found = _PATH.match(whole)
        run = ids.to_uuid(found["run"]) if found else None
        if found is None or run is None:
            raise invalid(
                f"no run has artifacts at {self.artifact_uri}, path {path!r}: Needletail keeps"
                " files of runs, at <experiment>/<run>/artifacts"
            )
        return run, (found["rest"] or "").strip("/")

    @staticmethod
    def _outside(path: str | None, folder: str, inside: str) -> str:
        """How whoever asked for `path`, which is `folder` of the run, calls a file of the run."""
        name = inside[len(folder) :].lstrip("/") if folder else inside
        return f"{path.strip('/')}/{name}" if path else name


def _tracked(tracking_uri: str | None) -> Place:
    """The server of the tracking URI, the given one or the current, where that is one of ours."""
    for uri in (tracking_uri, mlflow.get_tracking_uri()):
        if uri and uri.partition(":")[0] in SCHEMES:
            return parse_tracking_uri(uri)
    return Place()
