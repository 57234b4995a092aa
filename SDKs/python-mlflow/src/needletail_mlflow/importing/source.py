"""Where data comes from: any store that MLflow's own client reads."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from needletail_mlflow.importing import points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities import Experiment, Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_RUNS_PER_PAGE = 200
# Every page of a file store reads all of its files.
_RUNS_PER_PAGE_OF_FILES = 5_000
_PAGE = 1_000
_POINTS_PER_PAGE = 25_000
_FIRST_TRIES = "1"
_TRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_PASSWORD = re.compile(r"://[^/@\s]*@")


class SourceError(Exception):
    """The source can't be used; the text says what to do."""


class SourceAwayError(SourceError):
    """The source does not answer, or no more."""


class Source:
    """An MLflow store, read page by page. Good for any number of threads."""

    def __init__(self, uri: str, *, registry_uri: str | None = None, name: str = "") -> None:
        """Connects.

        Args:
            uri: As `MLFLOW_TRACKING_URI` has it.
            registry_uri: Where the models are; None = with the runs.
            name: What the source is called in tags; empty = its address without credentials.

        Raises:
            SourceError: There is no such store.
            SourceAwayError: It does not answer.
        """
        self.uri = _whole(uri)
        self.name = name or _without_credentials(self.uri)
        self.is_files = _scheme(self.uri) == "file"
        with _told(self.uri):
            _check_is_there(self.uri)
            self.store = _tracking_store(self.uri)
            self.registry_uri = registry_uri or self.uri
            self._first_answer()

    def _first_answer(self) -> None:
        # MLflow tries for minutes what is not there; once it answered, that is right.
        before = os.environ.get(_TRIES)
        os.environ[_TRIES] = _FIRST_TRIES
        try:
            self.store.search_experiments(ViewType.ALL, 1)
        finally:
            if before is None:
                del os.environ[_TRIES]
            else:
                os.environ[_TRIES] = before

    # Experiments and runs.

    def experiments(self, *, deleted: bool) -> Iterator[Experiment]:
        """The experiments, oldest first."""
        view, token = _view(deleted=deleted), None
        while True:
            page = self.store.search_experiments(
                view, _PAGE, order_by=["creation_time ASC"], page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def runs(self, experiment_id: str, *, deleted: bool) -> Iterator[Run]:
        """The runs of an experiment, oldest first: new ones come behind those that were read."""
        view, token = _view(deleted=deleted), None
        size = _RUNS_PER_PAGE_OF_FILES if self.is_files else _RUNS_PER_PAGE
        while True:
            page = self.store.search_runs(
                [experiment_id], "", view, size, ["attributes.start_time ASC"], token
            )
            yield from page
            token = page.token
            if not token:
                return

    def run(self, run_id: str) -> Run:
        """A run with what it logged, but for histories."""
        return self.store.get_run(run_id)

    def history(self, run_id: str, key: str) -> Iterator[list[points.Point]]:
        """The points of a metric, in pages."""
        token = None
        while True:
            page = self.store.get_metric_history(
                run_id, key, max_results=_POINTS_PER_PAGE, page_token=token
            )
            yield [points.point(one.step, one.timestamp * 1_000, one.value) for one in page]
            token = getattr(page, "token", None)
            if not token:
                return

    # Files.

    def repository(self, artifact_uri: str) -> ArtifactRepository:
        """Where files are."""
        return get_artifact_repository(artifact_uri, tracking_uri=self.uri)

    # Models.

    @property
    def registry(self) -> Any:
        """The store of models; None where there is none."""
        from mlflow.tracking._model_registry import utils  # noqa: PLC0415 only where it is wanted

        try:
            return utils._get_store(store_uri=self.registry_uri, tracking_uri=self.uri)
        except MlflowException:
            return None


def files(repository: ArtifactRepository, path: str = "") -> Iterator[tuple[str, int | None]]:
    """Every file below a folder: path and size in bytes."""
    folders: list[str] = [path]
    while folders:
        for entry in repository.list_artifacts(folders.pop() or None):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                yield entry.path, entry.file_size


@contextlib.contextmanager
def local_copy(repository: ArtifactRepository, path: str, draft: Path) -> Iterator[Path]:
    """A file of the source on this machine; `draft` is where it goes if it is elsewhere."""
    if isinstance(repository, LocalArtifactRepository):
        yield Path(repository.download_artifacts(path))
        return
    try:
        repository._download_file(path, str(draft))
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _tracking_store(uri: str) -> Any:
    from mlflow.tracking._tracking_service import utils  # noqa: PLC0415 MLflow's settings are set

    return utils._get_store(store_uri=uri)


def _view(*, deleted: bool) -> int:
    return ViewType.ALL if deleted else ViewType.ACTIVE_ONLY


def _scheme(uri: str) -> str:
    """The first part of an address: "sqlite" of sqlite+pysqlite:///…, "file" of a folder."""
    return uri.partition("://")[0].partition("+")[0] if "://" in uri else "file"


def _whole(uri: str) -> str:
    """An address that means the same from any folder."""
    if _scheme(uri) == "file":
        path = unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
        return Path(path).expanduser().resolve().as_uri()
    if _scheme(uri) == "sqlite":
        head, _, path = uri.partition(":///")
        return f"{head}:///{Path(path).resolve()}"
    return uri.rstrip("/")


def _without_credentials(uri: str) -> str:
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme.partition('+')[0]}://{host}{parts.path}"


def _check_is_there(uri: str) -> None:
    """Refuses what MLflow would make on the spot: an import only reads."""
    scheme = _scheme(uri)
    if scheme == "file":
        folder = Path(unquote(urlsplit(uri).path))
        if not folder.is_dir():
            raise SourceError(f"there is no folder {folder}")
        if not any(folder.glob("*/meta.yaml")):
            raise SourceError(f"{folder} is no folder of MLflow's: no experiment is in it")
        # MLflow asks for this before it reads one.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return
    if scheme in {"http", "https"}:
        return
    if scheme not in _DATABASES:
        raise SourceError(
            f"{scheme}: is no source: write http(s)://host:port, sqlite:///file, postgresql://…,"
            " mysql://… or the folder of a file store"
        )
    if scheme == "sqlite" and not Path(uri.partition(":///")[2]).is_file():
        raise SourceError(f"there is no file {uri.partition(':///')[2]}")
    _check_tables(uri)


def _check_tables(uri: str) -> None:
    try:
        import sqlalchemy  # noqa: PLC0415 only databases need it
    except ImportError:
        raise SourceError("to read a database, install all of MLflow: pip install mlflow") from None
    engine = sqlalchemy.create_engine(uri)
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()
    if not {"experiments", "runs", "latest_metrics"} <= tables:
        raise SourceError("the database is none of MLflow's: its tables are not there")


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    """What goes wrong with a source, without the password in its address."""
    shown = _PASSWORD.sub("://…@", uri)
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{shown}: {error}") from None
    except Exception as error:  # noqa: BLE001 drivers of databases have errors of their own
        text = _PASSWORD.sub("://…@", " ".join(str(error).split()))
        raise SourceAwayError(f"{shown} can't be read: {text or type(error).__name__}") from None
