"""Imports that are cut, refused and interrupted, against a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from needletail import artifacts
from needletail import client as client_module
from needletail.errors import CallError, Code

from judging import needs_issues
from labs import START, Lab, bring, here, new_project, runs_of
from needletail_mlflow.importing import appending, evaluations, issues, scorers
from needletail_mlflow.importing.command import (
    DENIED,
    DONE,
    FAILED,
    NOT_FOUND,
    STOPPED,
    UNAVAILABLE,
)
from needletail_mlflow.importing.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    import needletail


class Death(BaseException):
    """What nothing catches, as a kill."""


def die_at(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int, *, after: bool
) -> None:
    """Makes a call die, before or after its work."""
    do: Callable[..., Any] = getattr(owner, name)
    calls = [0]

    def counted(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number and not after:
            raise Death
        answer = do(*arguments, **named)
        if calls[0] == number:
            raise Death
        return answer

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("place", "numbers"),
    [
        ("read", (2, 4)),
        ("history", (1, 5)),
        ("unary", (6, 12, 20, 28, 37, 45, 60, 75, 90)),
        ("evaluation", (1, 2)),
        pytest.param("issue", (1, 1), marks=needs_issues),
        ("scorer", (1, 1)),
        ("points", (1, 3)),
        ("upload", (1, 6)),
    ],
)
def test_an_import_that_was_killed_goes_on_to_the_same_end(
    filled: dict[str, Lab],
    client: needletail.Client,
    place: str,
    numbers: tuple[int, ...],
    after: bool,
) -> None:
    owners: dict[str, tuple[Any, str]] = {
        "read": (Source, "run"),
        "history": (Source, "history"),
        "unary": (client_module._Caller, "unary"),
        "points": (appending.Appender, "finish"),
        # Between making a dataset and knowing of it.
        "evaluation": (evaluations._Copy, "_read"),
        "issue": (issues._Copy, "_create"),
        "scorer": (scorers._Copy, "_register"),
        "upload": (artifacts, "upload_file"),
    }
    lab, whole = filled["sqlite"], new_project(client)
    assert bring(lab, whole) == DONE
    wanted = here(client, whole)
    project, deaths = new_project(client), 0
    for number in numbers:
        with pytest.MonkeyPatch.context() as patched:
            die_at(patched, *owners[place], number, after=after)
            try:
                bring(lab, project, "--threads", "1")
            except Death:
                deaths += 1
    assert deaths >= 2, "it was not killed where it was meant to be"
    assert bring(lab, project) == DONE
    assert here(client, project) == wanted


def test_points_whose_acknowledgement_was_lost_are_there_once(
    client: needletail.Client, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path, "sqlite")
    run_id = lab.run("long", "digits", None)
    lab.log(run_id, "loss", range(120, 25_000))
    committed, lost = appending.Appender._committed, [0]

    def lose(self: appending.Appender) -> int:
        answer = committed(self)
        lost[0] += 1
        # The first is the stream's beginning; then one batch, and its stream, is lost.
        if lost[0] == 2:
            raise ConnectionError("cut")
        return answer

    monkeypatch.setattr(appending.Appender, "_committed", lose)
    assert bring(lab, project) == DONE
    assert lost[0] >= 3
    (run,) = [value for key, value in here(client, project).items() if key.endswith(run_id)]
    assert run[10] == [25_000, 4]


class Counted:
    """Something of the source, that does something else at its first calls, or from one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self._do: Callable[..., Any] = getattr(owner, name)
        self.calls = 0
        monkeypatch.setattr(owner, name, _method(self._called))

    def _called(self, *arguments: Any) -> Any:
        self.calls += 1
        self.at(self.calls)
        return self._do(*arguments)

    def at(self, call: int) -> None:
        """Before a call."""


def _method(call: Callable[..., Any]) -> Callable[..., Any]:
    """What a class takes for a method of its own."""

    def called(*arguments: Any) -> Any:
        return call(*arguments)

    return called


class Gone(Counted):
    """A source that ends after one call, and answers nothing from then on."""

    def at(self, call: int) -> None:
        if call > 1:
            raise ConnectionError("the source is gone")


class Interrupted(Counted):
    def at(self, call: int) -> None:
        if call == 3:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("what", "name", "code"),
    [(Gone, "run", UNAVAILABLE), (Gone, "repository", FAILED), (Interrupted, "history", STOPPED)],
)
def test_an_import_that_ends_half_way_says_so_and_is_gone_on_with(
    filled: dict[str, Lab],
    client: needletail.Client,
    project: str,
    capsys: pytest.CaptureFixture[str],
    what: type[Counted],
    name: str,
    code: int,
) -> None:
    lab = filled["sqlite"]
    with pytest.MonkeyPatch.context() as patched:
        what(patched, Source, name)
        if code == UNAVAILABLE:
            Gone(patched, Source, "_answer")
            patched.setattr(Source, "PAUSES_SECONDS", ())
        assert bring(lab, project, "--threads", "1") == code
    told = capsys.readouterr()
    assert ("the source is gone" in told.err + told.out) == (what is Gone)
    assert ("run the same command again" in told.err) == (code != FAILED)
    assert bring(lab, project) == DONE
    assert len(runs_of(here(client, project))) == 4


def test_a_key_that_may_only_read_is_refused(
    filled: dict[str, Lab],
    client: needletail.Client,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = client.identity.create_api_key(
        name="reader", scopes=["experiment.get", "experiment.list", "run.list", "project.list"]
    )
    monkeypatch.setenv("NEEDLETAIL_API_KEY", made.secret)
    assert bring(filled["sqlite"], project) == DENIED
    assert "PERMISSION_DENIED" in capsys.readouterr().err
    monkeypatch.undo()
    assert here(client, project) == {}


def test_an_unknown_project_is_said(
    filled: dict[str, Lab], client: needletail.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    del client
    assert bring(filled["sqlite"], "nobody-has-this") == NOT_FOUND
    assert "nobody-has-this" in capsys.readouterr().err


def test_files_that_only_a_server_finds_are_said_once(
    project: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(tmp_path, "sqlite")
    for name in ("one", "two"):
        experiment = lab.client.create_experiment(name, "mlflow-artifacts:/7")
        lab.client.create_run(experiment)
    assert bring(lab, project, "--without", "models") == FAILED
    told = capsys.readouterr().out
    assert told.count("come over with --from http://") == 1
    assert "mlflow.set_tracking_uri" not in told


def test_a_server_that_goes_away_is_said_and_the_import_goes_on_later(
    filled: dict[str, Lab],
    project: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unary, calls = client_module._Caller.unary, [0]

    def away(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > 25:
            raise CallError(code=Code.UNAVAILABLE, reason="CONNECT_FAILED", message="away")
        return unary(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(client_module._Caller, "unary", away)
        assert bring(filled["sqlite"], project) == UNAVAILABLE
    told = capsys.readouterr().err
    assert "away" in told
    assert "run the same command again" in told
    assert bring(filled["sqlite"], project) == DONE


def test_what_cannot_be_kept_is_told_by_name_and_the_rest_comes(
    client: needletail.Client,
    project: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = Lab(tmp_path, "files")
    run_id = lab.run("odd", "digits", "FINISHED")
    (folder,) = Path(lab.uri).glob(f"*/{run_id}")
    (folder / "params" / "long").write_text("x" * 40_000)
    (folder / "tags" / ("n" * 251)).write_text("x")
    (folder / "metrics" / "far").write_text(f"{START} 1.0 1\n-5 2.0 2\n")
    assert bring(lab, project) == FAILED
    told = capsys.readouterr().out
    for name in ("parameter long", f"tag {'n' * 251}", "metric far"):
        assert f"run {run_id}: {name}: " in told
    (run,) = [value for key, value in here(client, project).items() if key.endswith(run_id)]
    assert run[8].keys() == {"lr", "ü"}
    assert run[9].keys() == {"loss", "odd", "far"}


def test_two_imports_at_once_bring_everything_once(
    filled: dict[str, Lab], client: needletail.Client, project: str
) -> None:
    lab, whole = filled["sqlite"], new_project(client)
    assert bring(lab, whole) == DONE
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [
        sys.executable, "-m", "needletail_mlflow.importing.command", "--from", lab.uri,
        "--to", project, "--quiet",
    ]  # fmt: skip
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    # What one writes while the other compares may be a difference to that one.
    assert {one.wait(120) for one in both} <= {DONE, FAILED}
    assert bring(lab, project) == DONE
    assert here(client, project) == here(client, whole)


def test_connections_of_a_database_that_are_cut_are_made_anew(
    filled: dict[str, Lab], client: needletail.Client, project: str
) -> None:
    lab, read, cuts = filled["postgresql"], Source.history, [0]
    engine = lab.store.engine

    def cutting(self: Source, run_id: str, key: str) -> Any:
        with engine.connect() as connection:
            cuts[0] += connection.exec_driver_sql(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            ).scalar_one()
        return read(self, run_id, key)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Source, "history", cutting)
        bring(lab, project)
    assert cuts[0] >= 2
    assert bring(lab, project) == DONE
    whole = new_project(client)
    assert bring(lab, whole) == DONE
    assert here(client, project) == here(client, whole)


def _refused(*_: Any) -> Any:
    raise ConnectionError("no files today")


def test_what_is_deleted_is_deleted_here_once_its_files_are_here(
    client: needletail.Client, project: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(tmp_path, "sqlite")
    for name, experiment in (("alone", "digits"), ("with all", "letters")):
        lab.run(name, experiment, "FINISHED")
    lab.client.delete_run(lab.runs["alone"])
    lab.client.delete_experiment(lab.experiments["letters"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Source, "repository", _refused)
        assert bring(lab, project, "--deleted") == FAILED
    assert "is not deleted here yet" in capsys.readouterr().out
    assert bring(lab, project, "--deleted") == DONE
    runs = [value for key, value in here(client, project).items() if key[-32:] in lab.runs.values()]
    assert [one[6] for one in runs] == [False, False]
