"""Where data comes from: any store that MLflow's own client reads."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.rest_utils import http_request

from needletail_mlflow.importing import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow.entities import Experiment, Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.store.entities.paged_list import PagedList

Found = TypeVar("Found")

_SERVERS = ("postgresql", "mysql", "mssql")
_DATABASES = ("sqlite", *_SERVERS)
# Names of drivers in addresses, and of their modules: the first that is installed is used where an
# address names none, as SQLAlchemy's own choice changed from version to version.
_DRIVERS = {
    "postgresql": {"psycopg2": "psycopg2", "psycopg": "psycopg", "pg8000": "pg8000"},
    "mysql": {"pymysql": "pymysql", "mysqldb": "MySQLdb", "mysqlconnector": "mysql.connector"},
    "mssql": {"pymssql": "pymssql", "pyodbc": "pyodbc"},
}
# Of kinds of servers, and of drivers that are called otherwise.
_PACKAGES = {"postgresql": "psycopg2-binary", "mysql": "pymysql", "mssql": "pymssql"}
_PACKAGES |= {"psycopg2": "psycopg2-binary", "mysqldb": "mysqlclient"}
_PACKAGES |= {"mysqlconnector": "mysql-connector-python"}
_RUNS_PER_PAGE = 200
# Every page of a file store reads all of its files.
_RUNS_PER_PAGE_OF_FILES = 5_000
_PAGE = 1_000
_POINTS_PER_PAGE = 25_000
_UNKNOWN = {"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "NOT_FOUND", "FEATURE_DISABLED"}
_FIRST_TRIES = "1"
_TRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_PASSWORD = re.compile(r"(://)[^@\s]*@|(passw(?:or)?d=)[^&\s]*")


class SourceError(Exception):
    """The source can't be used; the text says what to do."""


class SourceAwayError(SourceError):
    """The source does not answer, or no more."""


class Source:
    """An MLflow store, read page by page. Good for any number of threads."""

    PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
    """For so long a source may be away, where MLflow does not wait itself."""

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
        self._lock = threading.Lock()
        self.uri = _there(uri)
        self.is_files = _scheme(self.uri) == "file"
        self.registry_uri = _there(registry_uri) if registry_uri else self.uri
        with _told(self.uri):
            self.store = _tracking_store(self.uri)
            self.name = name or _without_credentials(self.uri)
            self._answer()

    def check(self, error: Exception) -> None:
        """Waits until the source is there again, after something of it could not be read.

        Raises:
            SourceAwayError: It is not; with what could not be read.
        """
        for pause in (*self.PAUSES_SECONDS, None):
            with contextlib.suppress(Exception):
                self._answer()
                return
            if pause:
                time.sleep(pause)
        with _told(self.uri):
            raise error

    def _answer(self) -> None:
        # MLflow tries for minutes what is not there.
        with self._lock:
            before = os.environ.get(_TRIES)
            os.environ[_TRIES] = _FIRST_TRIES
            try:
                self.store.search_experiments(ViewType.ALL, 1)
            finally:
                if before is None:
                    del os.environ[_TRIES]
                else:
                    os.environ[_TRIES] = before

    @functools.cached_property
    def is_mlflow_2(self) -> bool:
        """Whether it is a server of MLflow 2, which fails when it is asked for one trace."""
        if _scheme(self.uri) not in {"http", "https"}:
            return False
        answer = http_request(self.store.get_host_creds(), "/version", "GET")
        return answer.ok and answer.text.startswith("2.")

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
        """The store of models.

        Raises:
            MlflowException: There is none at this address.
        """
        from mlflow.tracking._model_registry import utils  # noqa: PLC0415 only where it is wanted

        return utils._get_store(store_uri=self.registry_uri, tracking_uri=self.uri)


def is_unknown(error: Exception) -> bool:
    """Whether a store, or a server, says that it knows nothing of what it was asked for."""
    if isinstance(error, MlflowException):
        return error.error_code in _UNKNOWN
    return isinstance(error, NotImplementedError)


def pages(search: Callable[[str | None], PagedList[Found]]) -> Iterator[Found]:
    """All that a search finds, page by page; nothing where the store does not know what it is."""
    token = None
    while True:
        try:
            page = search(token)
        except (MlflowException, NotImplementedError) as error:
            if is_unknown(error):
                return
            raise
        yield from page
        token = page.token
        if not token:
            return


def files(repository: ArtifactRepository, path: str = "") -> Iterator[str]:
    """The path of every file below a folder."""
    if isinstance(repository, LocalArtifactRepository):
        # MLflow refuses some names, such as those with # or %.
        root = Path(repository.artifact_dir)
        if (root / path).is_dir():
            for folder, _, names in os.walk(root / path, onerror=_refuse, followlinks=True):
                for name in names:
                    yield (Path(folder) / name).relative_to(root).as_posix()
        return
    folders: list[str] = [path]
    while folders:
        for entry in repository.list_artifacts(folders.pop() or None):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                yield entry.path


def _refuse(error: OSError) -> None:
    raise error


@contextlib.contextmanager
def local_copy(repository: ArtifactRepository, path: str, draft: Path) -> Iterator[Path]:
    """A file of the source on this machine; `draft` is where it goes if it is elsewhere."""
    if isinstance(repository, LocalArtifactRepository):
        yield Path(repository.artifact_dir) / path
        return
    try:
        repository._download_file(path, str(draft))
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _tracking_store(uri: str) -> Any:
    from mlflow.tracking._tracking_service import utils  # noqa: PLC0415 MLflow's settings are set

    if _scheme(uri) in _DATABASES:
        return _database_store(uri)
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
    if _scheme(uri) in _SERVERS:
        import sqlalchemy  # noqa: PLC0415 only databases need it

        url = sqlalchemy.make_url(uri)
        asked = {key: str(value) for key, value in url.query.items() if key in {"host", "port"}}
        place = f"{url.host or asked.get('host', '')}:{url.port or asked.get('port', '')}"
        return f"{_scheme(uri)}://{place.removesuffix(':')}/{url.database or ''}"
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme.partition('+')[0]}://{host}{parts.path}"


def _there(given: str) -> str:
    """The whole address of a store that there is."""
    uri = _whole(given)
    with _told(uri):
        uri = _with_driver(uri)
        _check_is_there(uri)
    return uri


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
    """Refuses a database that MLflow would make tables in, or upgrade."""
    try:
        import sqlalchemy  # noqa: PLC0415 only databases need it
        from mlflow.store.db import utils  # noqa: PLC0415
    except ImportError:
        raise SourceError("to read a database, install all of MLflow: pip install mlflow") from None
    try:
        engine = sqlalchemy.create_engine(uri)
    except (ImportError, sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise SourceError(f"no database can be read there: {error}") from None
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
        if not {"experiments", "runs", "latest_metrics"} <= tables:
            raise SourceError("the database is none of MLflow's: its tables are not there")
        found, wanted = utils._get_schema_version(engine), utils._get_latest_schema_revision()
    finally:
        engine.dispose()
    if found != wanted:
        raise SourceError(
            f"the database has the schema of another MLflow, {found}; {mlflow.__version__}, which"
            f" is installed here, reads {wanted}: give the address of its server, http://…, or"
            " copy the database, and upgrade the copy by 'mlflow db upgrade'; or install its MLflow"
            " here, if that is 3.10 or newer"
        )


def _with_driver(uri: str) -> str:
    """An address that names a driver that is installed, if it is a database server's."""
    scheme, _, rest = uri.partition("://")
    kind, _, named = scheme.partition("+")
    if kind not in _SERVERS:
        return uri
    for driver, module in _DRIVERS[kind].items():
        if named in {"", driver} and _is_installed(module):
            return f"{kind}+{driver}://{rest}"
    if named and named not in _DRIVERS[kind]:
        return uri
    package = _PACKAGES.get(named or kind, named)
    raise SourceError(f"a driver is missing to read {kind}: pip install {package}")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _database_store(uri: str) -> Any:
    """A store that is only read, also where it has no experiment yet."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

    class Store(SqlAlchemyStore):
        def _create_default_experiment(self, session: Any) -> None:
            pass

    return Store(uri, "./mlruns")


def without_password(text: str) -> str:
    """A text in which the address of a source may be."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}…{'@' if found[1] else ''}", text)


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    """What goes wrong with a source, without the password in its address."""
    shown = without_password(uri)
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{shown}: {without_password(str(error))}") from None
    except Exception as error:  # noqa: BLE001 drivers of databases have errors of their own
        text = without_password(" ".join(str(error).split()))
        raise SourceAwayError(f"{shown} can't be read: {text or type(error).__name__}") from None
