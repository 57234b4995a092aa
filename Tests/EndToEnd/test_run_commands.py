"""`needletail experiments` and `needletail runs` against a real server: what they change."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from organizations import create_organization
from program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Connection, UpServer

OK, USAGE, MISSING, CONFLICT, INVALID = 0, 2, 4, 5, 7


@pytest.fixture
def cli(served: UpServer, sql: Connection, place: Path) -> Callable[..., str]:
    """Runs the program for an organization of its own; returns what it printed."""
    connection = place / "connection.json"
    connection.write_text(json.dumps(create_organization(sql, "cli").connection(served.connection)))

    def run(*arguments: str, code: int = OK) -> str:
        result = run_program(*arguments, "--connection-file", connection)
        assert result.returncode == code, (result.stdout, result.stderr)
        assert not (result.stderr if code == OK else result.stdout)
        return result.stdout or result.stderr

    return run


@pytest.fixture
def read(cli: Callable[..., str]) -> Callable[..., Any]:
    """Runs the program and reads its JSON."""
    return lambda *arguments: json.loads(cli(*arguments, "-o", "json"))


@pytest.fixture
def experiment(read: Callable[..., Any]) -> str:
    """An experiment with a tag, in a project of its own."""
    slug = read("projects", "create", "Vision", "--slug", f"v-{uuid.uuid4()}")["slug"]
    made = read("experiments", "create", "first", "--project", slug, "--tag", "team=a=b")
    return str(made["id"])


def test_an_experiment_from_its_creation_to_its_return(
    cli: Callable[..., str], read: Callable[..., Any], experiment: str
) -> None:
    assert "a=b" in cli("experiments", "show", experiment)
    cli("experiments", "tag", experiment, "owner=me", "--remove", "team")
    shown = read("experiments", "show", experiment)
    assert shown["experiment"]["id"] == experiment
    assert shown["tags"] == [{"key": "owner", "value": "me"}]
    cli("experiments", "update", experiment, "--name", "second", "--archived")
    assert experiment not in cli("experiments", "list")
    assert "second" in cli("experiments", "list", "--archived")
    cli("experiments", "update", experiment, "--no-archived")
    assert experiment in cli("experiments", "list")
    assert "--yes" in cli("experiments", "delete", experiment, code=USAGE)
    assert "gone" in cli("experiments", "delete", experiment, "--yes")
    assert "EXPERIMENT_NOT_FOUND" in cli("experiments", "show", experiment, code=MISSING)
    assert experiment in cli("experiments", "list", "--deleted")
    assert "second" in cli("experiments", "undelete", experiment)


def test_a_run_from_its_creation_to_its_return(
    cli: Callable[..., str], read: Callable[..., Any], experiment: str
) -> None:
    parent = read("runs", "create", "--experiment", experiment, "--scheduled")["id"]
    run = read(
        "runs", "create", "--experiment", experiment, "--name", "try", "--parent", parent,
        "--tag", "team=vision", "--parameter", "rate=0.1", "--fork-of", parent, "--fork-step", "7",
    )["id"]  # fmt: skip
    shown = cli("runs", "show", run)
    assert f"{parent} at step 7" in shown
    options = (
        "--entry-point=train.py", "--git-commit=4b825dc", "--git-repository=example.com:a/b.git",
        "--git-branch=trunk", "--git-dirty", "--code-digest=e3b0c44", "--host=node-7",
    )  # fmt: skip
    made = read("runs", "create", "--experiment", experiment, *options)
    assert made["source"] == {
        "entryPoint": "train.py", "gitCommit": "4b825dc", "gitRepository": "example.com:a/b.git",
        "gitBranch": "trunk", "gitDirty": True, "codeDigest": "e3b0c44", "host": "node-7",
        "processNumber": "0",
    }  # fmt: skip
    lines = cli("runs", "show", made["id"])
    assert re.search("code digest +e3b0c44", lines)
    assert "4b825dc *" in lines
    cli("runs", "delete", made["id"], "--yes", "--purge")
    assert "RECOVERY_OVER" in cli("runs", "undelete", made["id"], code=CONFLICT)
    assert "nested under" in shown
    assert "vision" in cli("runs", "tags", run)
    cli("runs", "tag", "latest", "best=yes", "--remove", "team")
    assert read("runs", "tags", run)["tags"] == [{"key": "best", "value": "yes"}]
    assert "PARAMETER_DIFFERS" in cli("runs", "set", run, "rate=0.2", code=CONFLICT)
    cli("runs", "set", run, "rate=0.2", "depth=3", "--overwrite")
    assert read("runs", "parameters", run)["parameters"] == [
        {"key": "depth", "value": "3"}, {"key": "rate", "value": "0.2"},
    ]  # fmt: skip
    assert "0.1" in cli("runs", "parameter-history", run, "rate")
    changed = read("runs", "update", run, "--parent", "", "--pinned", "--name", "again")
    assert (changed["parentRunId"], changed["pinned"], changed["name"]) == ("", True, "again")
    assert "failed" in cli("runs", "finish", run, "--status", "failed")
    assert "running" in cli("runs", "reopen", run)
    assert "running" in cli("runs", "update", parent, "--start")
    cli("runs", "update", run, "--archived")
    assert run not in cli("runs", "list")
    assert run in cli("runs", "list", "--archived")
    assert "gone" in cli("runs", "delete", run, "--yes")
    assert run in cli("runs", "list", "--deleted")
    assert "again" in cli("runs", "undelete", run)
    assert "RECOVERY_OVER" in cli("runs", "undelete", run, code=CONFLICT)


def test_a_list_of_runs_has_the_columns_that_were_asked_for(
    cli: Callable[..., str], read: Callable[..., Any], experiment: str
) -> None:
    make = ("runs", "create", "--experiment", experiment, "--name")
    cli(*make, "one", "--parameter", "lr=0.1", "--tag", "a,b=first\nsecond")
    cli(*make, "two", "--scheduled")
    mine = ("runs", "list", "--experiment", experiment)
    asked = (*mine, "--columns", "name,attributes.status,params.lr,tags.`a,b`,metrics.loss")
    assert [line.split() for line in cli(*asked).splitlines()] == [
        ["NAME", "STATUS", "params.lr", "tags.`a,b`", "metrics.loss"],
        ["two", "scheduled", "–", "–", "–"],
        ["one", "running", "0.1", "first", "–"],
    ]
    assert [line.split()[0] for line in cli(*asked, "--status", "running").splitlines()] == [
        "NAME", "one",
    ]  # fmt: skip
    whole = read(*asked)["runs"]
    assert [one["name"] for one in whole] == ["two", "one"]
    assert set(whole[0]) == set(read(*mine)["runs"][0])
    plain = cli(*mine, "--columns", "run_name,duration_ms,parent_run_id", "--status", "scheduled")
    assert [line.split() for line in plain.splitlines()] == [
        ["RUN_NAME", "DURATION_MS", "PARENT_RUN_ID"], ["two", "–", "–"],
    ]  # fmt: skip
    refused = cli(*mine, "--columns", "name,loss", code=USAGE)
    assert "There is no column loss; there are archive_time" in refused
    assert "metrics.KEY" in refused
    cli(*asked, "--count", code=USAGE)
    assert len(cli(*asked, "--deleted").splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "update", "latest"),
        ("experiments", "update", "x"),
        ("runs", "create", "--experiment", "x", "--fork-of", "y"),
        ("runs", "tag", "latest", "no value"),
        ("runs", "set", "latest", "=no key"),
    ],
)
def test_what_makes_no_sense_is_not_sent(cli: Callable[..., str], arguments: Any) -> None:
    cli(*arguments, code=USAGE)


def test_experiments_and_projects_are_named_as_people_name_them(
    cli: Callable[..., str], read: Callable[..., Any], experiment: str
) -> None:
    project = read("experiments", "show", "FIRST")["experiment"]["projectId"]
    slug = read("projects", "show", project)["slug"]
    run = read("runs", "create", "--experiment", "first", "--parameter", "lr=0.1", "--tag", "a=b")
    for where in (["--experiment", "First"], ["--project", slug, "--experiment", "first"]):
        assert [found["id"] for found in read("runs", "list", *where)["runs"]] == [run["id"]]
        assert run["id"] in cli("runs", "export", *where)
    assert read("experiments", "list", "--project", slug)["experiments"][0]["id"] == experiment
    assert "EXPERIMENT_NOT_FOUND" in cli("runs", "list", "--experiment", "none", code=MISSING)
    other = read("projects", "create", "Other", "--slug", f"o-{uuid.uuid4()}")["slug"]
    cli("experiments", "create", "first", "--project", other)
    assert "--project" in cli("runs", "list", "--experiment", "first", code=USAGE)
    assert read("runs", "list", "--experiment", "first", "--project", other)["runs"] == []


def test_a_run_is_shown_with_its_parameters_and_tags(
    cli: Callable[..., str], read: Callable[..., Any], experiment: str
) -> None:
    pairs = [f"--parameter=key{number:02}=value" for number in range(51)]
    run = read("runs", "create", "--experiment", experiment, "--tag", "team=vision", *pairs)["id"]
    shown = cli("runs", "show", run)
    assert "key49" in shown
    assert "key50" not in shown
    assert "and more" in shown
    assert "team  vision" in shown
    whole = read("runs", "show", run)
    assert len(whole["parameters"]) == 51
    assert whole["tags"] == [{"key": "team", "value": "vision"}]
