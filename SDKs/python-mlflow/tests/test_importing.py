"""What an import does without a server: points in order, what is refused, and sources."""

from __future__ import annotations

import io
import math
import random
import sqlite3
from typing import TYPE_CHECKING

import pytest
from needletail.errors import CallError, Code

from needletail_mlflow.importing import appending, command, digests, points, source
from needletail_mlflow.importing.command import UNAVAILABLE, WRONG_COMMAND, main
from needletail_mlflow.importing.points import Digest, Sorted
from needletail_mlflow.importing.progress import Progress
from needletail_mlflow.importing.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAN = math.nan


def some_points(count: int) -> list[points.Point]:
    drawn = random.Random(count)
    values = (0.5, -0.0, math.inf, -math.inf, NAN, -1e300)
    return [
        points.point(drawn.randrange(-9, 9), drawn.randrange(3), drawn.choice(values))
        for _ in range(count)
    ]


@pytest.mark.parametrize("held", [1, 7, 10_000])
def test_points_come_in_order_and_once_however_few_are_held(held: int) -> None:
    wanted = some_points(1_000)
    found = Sorted(held)
    for start in range(0, len(wanted), 30):
        found.add(wanted[start : start + 30])
    assert list(found) == sorted(set(wanted))
    assert list(found) == sorted(set(wanted))
    found.close()


def test_a_digest_does_not_depend_on_the_order_in_which_points_came() -> None:
    wanted = some_points(10_000)
    taken = []
    for seed in range(2):
        random.Random(seed).shuffle(wanted)
        found = Sorted(500)
        found.add(wanted)
        taken.append(Digest().take(found))
        found.close()
    assert taken[0].hex == taken[1].hex
    assert taken[0].count == len(set(wanted))
    assert Digest().take(sorted(set(wanted))[1:]).hex != taken[0].hex


def test_zeros_of_both_signs_are_equal_and_nan_equals_nan() -> None:
    assert points.point(1, 2, -0.0) == points.point(1, 2, 0.0)
    assert points.point(1, 2, NAN) == points.point(1, 2, -NAN)
    assert points.point(1, 2, NAN) != points.point(1, 2, 0.0)
    assert math.isnan(points.value_of(points.point(1, 2, NAN)))


def test_missing_points_are_those_that_others_have_not() -> None:
    drawn = random.Random(1)
    wanted = sorted(set(some_points(300)))
    there = sorted({*drawn.sample(wanted, len(wanted) // 2), points.point(99, 0, 1.0)})
    found = list(points.missing(wanted, there))
    assert found == sorted(set(wanted) - set(there))
    assert list(points.missing(wanted, [])) == wanted
    assert list(points.missing([], there)) == []


def test_points_of_equal_step_and_time_are_ordered_whatever_order_the_server_has() -> None:
    one = [points.point(1, 1, value) for value in (NAN, 2.0, -math.inf, 2.0)]
    other = points.point(2, 0, 1.0)
    assert list(points.reordered([*one, other])) == [*sorted(set(one)), other]


def test_batches_are_full_and_have_every_point_once() -> None:
    sizes = {"a": 3, "b": 25_000, "c": 1, "d": 9_999, "e": 0}
    made = {
        key: [points.point(step, 0, 1.0) for step in range(size)] for key, size in sizes.items()
    }
    found = list(appending.batches(made.items()))
    assert [appending.count(batch) for batch in found] == [10_000, 10_000, 10_000, 5_003]
    steps: dict[str, list[int]] = {key: [] for key in sizes}
    for batch in found:
        for series in batch:
            steps[series.key] += series.steps
    assert steps == {key: list(range(size)) for key, size in sizes.items()}


def test_a_writer_is_the_same_in_every_import_and_anothers_nowhere() -> None:
    same = appending.writer_of("file:///a", "r", "p")
    assert appending.writer_of("file:///a", "r", "p") == same
    others = [("file:///b", "r", "p"), ("file:///a", "s", "p"), ("file:///a", "r", "q")]
    assert len({same, *(appending.writer_of(*other) for other in others)}) == 4


def test_what_is_refused_is_told_alone_and_the_others_are_sent() -> None:
    troubles, sent = Troubles(), []

    def send(items: Sequence[int]) -> None:
        if {3, 8} & set(items):
            raise CallError(code=Code.INVALID_ARGUMENT, message="not this")
        sent.extend(items)

    troubles.each("here", list(range(10)), send, lambda item: f"item {item}")
    assert sent == [0, 1, 2, 4, 5, 6, 7, 9]
    assert [(one.what, one.why) for one in troubles.failures] == [
        ("item 3", "not this"),
        ("item 8", "not this"),
    ]


def test_a_server_that_is_away_is_no_refusal() -> None:
    def send(items: Sequence[int]) -> None:
        del items
        raise CallError(code=Code.UNAVAILABLE, message="away")

    with pytest.raises(CallError, match="away"):
        Troubles().each("here", [1, 2], send, str)


def test_sums_do_not_depend_on_the_order_and_tell_a_difference() -> None:
    one, other = digests.Sums(), digests.Sums()
    for name in "abc":
        one.compare("runs", name, name, name)
        one.count("runs", 1, 1)
    for name in "cab":
        other.compare("runs", name, name, "x" if name == "a" else name)
        other.count("runs", 1, 1)
    (row,), (different,) = one.rows(), other.rows()
    assert row["source_digest"] == row["here_digest"] == different["source_digest"]
    assert different["here_digest"] != row["here_digest"]
    assert "≠" not in digests.table([row])
    assert "≠" in digests.table([different])


@pytest.fixture
def no_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLETAIL_URL", "needletail://127.0.0.1:1")
    monkeypatch.setenv("NEEDLETAIL_API_KEY", "ntl_none")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("sqlite:///{folder}/none.db", "there is no file"),
        ("sqlite:///{folder}/other.db", "none of MLflow's"),
        ("{folder}/none", "there is no folder"),
        ("{folder}", "no folder of MLflow's"),
        ("ftp://host/", "ftp: is no source"),
        ("http://ada:geheim@127.0.0.1:1", "can't be read"),
        ("postgresql://ada:geheim@127.0.0.1:1/mlflow", "can't be read"),
    ],
)
def test_a_source_that_cannot_be_is_told_with_its_address_and_not_made(
    uri: str,
    told: str,
    tmp_path: Path,
    no_tries: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del no_tries
    if uri.startswith("postgresql"):
        pytest.importorskip("psycopg2")
        told = "refused"
    sqlite3.connect(tmp_path / "other.db").execute("create table runs (id text)")
    before = sorted(tmp_path.iterdir())
    code = main(["--from", uri.format(folder=tmp_path), "--quiet"])
    error = capsys.readouterr().err
    assert code == (UNAVAILABLE if told in {"can't be read", "refused"} else WRONG_COMMAND)
    assert told in error
    assert "geheim" not in error
    assert sorted(tmp_path.iterdir()) == before


def test_a_database_of_another_mlflow_is_refused_and_not_upgraded(
    tmp_path: Path, no_tries: None, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sqlalchemy")
    # Whatever tables are missing, MLflow itself would make.
    with sqlite3.connect(tmp_path / "old.db") as database:
        for table in ("experiments", "runs", "latest_metrics"):
            database.execute(f"create table {table} (id text)")
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values ('90e64c465722')")
    before = (tmp_path / "old.db").read_bytes()
    assert main(["--from", f"sqlite:///{tmp_path}/old.db", "--quiet"]) == WRONG_COMMAND
    assert "schema of another MLflow, 90e64c465722; " in capsys.readouterr().err
    assert main(
        ["--from", str(tmp_path), "--from-registry", f"sqlite:///{tmp_path}/old.db", "--quiet"]
    ) == WRONG_COMMAND  # fmt: skip
    assert (tmp_path / "old.db").read_bytes() == before


@pytest.mark.parametrize(
    ("uri", "package"),
    [
        ("postgresql://ada:geheim@host/mlflow", "psycopg2-binary"),
        ("mysql://ada:geheim@host/mlflow", "pymysql"),
        ("mysql+mysqldb://ada:geheim@host/mlflow", "mysqlclient"),
        ("mssql://ada:geheim@host/mlflow", "pymssql"),
        ("mssql+pyodbc://ada:geheim@host/mlflow", "pyodbc"),
    ],
)
def test_a_driver_that_is_missing_is_told_with_what_to_install(
    uri: str,
    package: str,
    no_tries: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(source, "_is_installed", lambda _: False)
    assert main(["--from", uri, "--quiet"]) == WRONG_COMMAND
    error = capsys.readouterr().err
    assert error.rstrip().endswith(f"pip install {package}")
    assert "geheim" not in error


def test_the_driver_that_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_is_installed", lambda module: module in {"psycopg", "MySQLdb"})
    for uri, wanted in (
        ("postgresql://host/db", "postgresql+psycopg://host/db"),
        ("mysql://host/db", "mysql+mysqldb://host/db"),
        ("postgresql+another://host/db", "postgresql+another://host/db"),
        ("sqlite:///file", "sqlite:///file"),
        ("https://host", "https://host"),
    ):
        assert source._with_driver(uri) == wanted


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("postgresql+psycopg2://ada:ge/heim@host:1/db?password=geheim", "postgresql://host:1/db"),
        ("postgresql://ada@/db?host=/run/a&port=2", "postgresql:///run/a:2/db"),
        ("mysql+pymysql://ada:geheim@host/db?charset=utf8", "mysql://host/db"),
        ("https://ada:geheim@host:5000/path", "https://host:5000/path"),
        ("file:///folder", "file:///folder"),
    ],
)
def test_a_source_is_called_by_its_place_alone(uri: str, name: str) -> None:
    pytest.importorskip("sqlalchemy")
    assert source._without_credentials(uri) == name


def test_passwords_are_told_nowhere() -> None:
    told = source.without_password(
        "a postgresql://ada:ge/heim@host/db and mysql://host/db?user=ada&password=geheim&x=1,"
        " https://host/path is fine"
    )
    assert told == (
        "a postgresql://…@host/db and mysql://host/db?user=ada&password=…&x=1,"
        " https://host/path is fine"
    )
    troubles = Troubles()
    troubles.fail("run 1", "artifacts", OSError("postgresql://ada:geheim@host/db is no http"))
    assert "geheim" not in troubles.failures[0].why


def test_threads_have_a_bound(no_tries: None, capsys: pytest.CaptureFixture[str]) -> None:
    del no_tries
    assert main(["--from", "x", "--threads", "0"]) == WRONG_COMMAND
    assert "1 to 64" in capsys.readouterr().err


def test_progress_tells_how_far_it_has_come() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.stage("runs", 8)
        progress.step()
        progress.step()
        progress.add("points", 12_000)
        assert "runs  [######..................]  2 of 8  12,000 points  0:0" in progress.line()
        progress.stage("models")
        assert progress.line().startswith("models  12,000 points")
    assert stream.getvalue().startswith("runs  [........................]  0 of 8")


def test_what_is_told_steers_no_terminal() -> None:
    assert command._visible("a\x1b[31m\udc80ü\n") == "a\\x1b[31m\\udc80ü\\n"
