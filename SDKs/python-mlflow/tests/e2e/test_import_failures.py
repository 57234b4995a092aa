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

from labs import START, Lab, bring, here, new_project, runs_of
from needletail_mlflow.importing import appending
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


def test_a_source_that_fails_half_way_is_told_and_gone_on_with(
    filled: dict[str, Lab],
    client: needletail.Client,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab, read, calls = filled["sqlite"], Source.run, [0]

    def failing(self: Source, run_id: str) -> Any:
        calls[0] += 1
        if calls[0] > 1:
            raise ConnectionError("the source is gone")
        return read(self, run_id)

    with monkeypatch.context() as patched:
        patched.setattr(Source, "run", failing)
        assert bring(lab, project, "--threads", "1") == UNAVAILABLE
    told = capsys.readouterr().err
    assert "the source is gone" in told
    assert "run the same command again" in told
    assert bring(lab, project) == DONE
    assert len(runs_of(here(client, project))) == 4


def test_control_c_ends_it_in_good_order(
    filled: dict[str, Lab],
    client: needletail.Client,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab, read, calls = filled["sqlite"], Source.history, [0]

    def interrupted(self: Source, run_id: str, key: str) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, run_id, key)

    with monkeypatch.context() as patched:
        patched.setattr(Source, "history", interrupted)
        assert bring(lab, project, "--threads", "1") == STOPPED
    assert "run the same command again" in capsys.readouterr().err
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
    assert "away" in capsys.readouterr().err
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
