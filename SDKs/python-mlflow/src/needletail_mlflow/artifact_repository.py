"""The artifact repository: files of runs, logged models and traces, on Needletail."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path
from needletail import artifacts
from needletail.artifacts import Owner
from needletail.errors import CallError

from needletail_mlflow import ids
from needletail_mlflow.connection import Connection
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.uri import SCHEMES, Place, parse_artifact_uri, parse_tracking_uri

if TYPE_CHECKING:
    from concurrent.futures import Future

_PAGE = 1_000
# runs/<run>/artifacts/… as the server calls it, <experiment>/<run>/artifacts/… as MLflow does; and
# <experiment>/models/<model>/artifacts/… or <experiment>/traces/<trace>/artifacts/…, where the
# experiment may be two parts, experiments/<experiment>.
_PATH = re.compile(
    r"(?:[^/]+/(?P<run>[0-9a-fA-F-]{32,36})"
    r"|(?:[^/]+/){1,2}models/(?P<model>m-[0-9a-fA-F]{32})"
    r"|(?:[^/]+/){1,2}traces/(?P<trace>[^/]+))"
    r"/artifacts(?:/(?P<rest>.*))?\Z"
)


class NeedletailArtifactRepository(ArtifactRepository):
    """The artifacts of a run, a logged model or a trace, or of all of a project.

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
        with TRANSLATED:
            owner, folder = self._resolve(artifact_path)
            self._upload(owner, file, PurePosixPath(folder, file.name))

    def log_artifacts(self, local_dir, artifact_path=None):
        """Uploads every file below a folder, several at a time."""
        verify_artifact_path(artifact_path)
        root = Path(local_dir)
        if not root.is_dir():
            raise invalid(f"not a folder: {local_dir}")
        with TRANSLATED:
            owner, folder = self._resolve(artifact_path)
        uploads: list[Future[None]] = [
            self.thread_pool.submit(
                self._upload, owner, file, PurePosixPath(folder, file.relative_to(root).as_posix())
            )
            for file in sorted(root.rglob("*"))
            if file.is_file()
        ]
        with TRANSLATED:
            for upload in uploads:
                upload.result()

    def list_artifacts(self, path=None):
        """Tells what is in a folder; nothing of a file."""
        with TRANSLATED:
            owner, folder = self._resolve(path)
            found = self._connection.client.tracking.iterate_artifacts(
                **owner.fields, path=folder, page_size=_PAGE
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

    def _is_directory(self, artifact_path):
        """Whether a path is a folder: that of all files is one also when there are none."""
        with TRANSLATED:
            _, folder = self._resolve(artifact_path)
        return not folder or super()._is_directory(artifact_path)

    def delete_artifacts(self, artifact_path=None):
        """Deletes a file, or everything below a folder."""
        client = self._connection.client
        with TRANSLATED:
            owner, path = self._resolve(artifact_path)
            for entry in list(artifacts.list_files(client, owner, path)):
                client.tracking.delete_artifact(**owner.fields, path=entry.path)
            if path:
                self._delete_file(owner, path)

    def _delete_file(self, owner: Owner, path: str) -> None:
        try:
            self._connection.client.tracking.delete_artifact(**owner.fields, path=path)
        except CallError as error:
            if error.reason != "ARTIFACT_NOT_FOUND":
                raise

    def _download_file(self, remote_file_path, local_path):
        with TRANSLATED:
            owner, path = self._resolve(remote_file_path)
            try:
                artifacts.download_file(self._connection.client, owner, path, local_path)
            except CallError as error:
                if error.reason != "ARTIFACT_NOT_FOUND":
                    raise
                raise missing(f"No such artifact: '{remote_file_path}'") from error

    def _upload(self, owner: Owner, file: Path, place: PurePosixPath) -> None:
        artifacts.upload_file(self._connection.client, owner, file, str(place))

    def _resolve(self, path: str | None) -> tuple[Owner, str]:
        """Whose files are meant, and the path among them."""
        whole = "/".join(part for part in (self._root, (path or "").strip("/")) if part)
        found = _PATH.match(whole)
        owner = self._owner(found) if found else None
        if found is None or owner is None:
            raise invalid(
                f"no run has artifacts at {self.artifact_uri}, path {path!r}: Needletail keeps"
                " files of runs, at <experiment>/<run>/artifacts, of logged models, at"
                " <experiment>/models/<model>/artifacts, and of traces, at"
                " <experiment>/traces/<trace>/artifacts"
            )
        return owner, (found["rest"] or "").strip("/")

    def _owner(self, found: re.Match[str]) -> Owner | None:
        if found["trace"]:
            return Owner(trace_id=found["trace"], project_id=self._connection.project_id)
        if found["model"]:
            model = ids.model_to_uuid(found["model"])
            return Owner(logged_model_id=model) if model else None
        run = ids.to_uuid(found["run"])
        return Owner(run_id=run) if run else None

    @staticmethod
    def _outside(path: str | None, folder: str, inside: str) -> str:
        """How whoever asked for `path`, which is `folder` inside, calls a file inside."""
        name = inside[len(folder) :].lstrip("/") if folder else inside
        return f"{path.strip('/')}/{name}" if path else name


def _tracked(tracking_uri: str | None) -> Place:
    """The server of the tracking URI, the given one or the current, where that is one of ours."""
    for uri in (tracking_uri, mlflow.get_tracking_uri()):
        if uri and uri.partition(":")[0] in SCHEMES:
            return parse_tracking_uri(uri)
    return Place()
