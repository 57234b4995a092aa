"""`needletail models` against a real server: what it prints, and what it ends with."""

from __future__ import annotations

import json
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
    """Runs `needletail` for an organization of its own; returns what it printed."""
    connection = place / "connection.json"
    connection.write_text(json.dumps(create_organization(sql, "cli").connection(served.connection)))

    def run(*arguments: str, code: int = OK) -> str:
        result = run_program(*arguments, "--connection-file", connection)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout or result.stderr

    return run


@pytest.fixture
def model(cli: Callable[..., str]) -> str:
    """A model, made by the command line."""
    cli("projects", "create", "Fraud", "--slug", "fraud")
    made = read(
        cli("models", "create", "finder", "--project", "fraud", "--tag", "a=b", "-o", "json")
    )
    return str(made["id"])


def read(text: str) -> Any:
    return json.loads(text)


def test_versions_are_registered_promoted_and_called_by_an_alias(
    cli: Callable[..., str], model: str
) -> None:
    first = read(cli("models", "register", model, "--source", "s3://a", "-o", "json"))
    assert (first["ordinal"], first["version"]) == ("1", "1.0.0")
    cli("models", "register", model, "--source", "s3://b", "--semver", "2.1.0")
    cli("models", "stage", model, "1", "production")
    moved = read(
        cli("models", "stage", model, "2", "production", "--archive-existing", "-o", "json")
    )
    assert moved["archivedVersionIds"] == [first["id"]]
    cli("models", "alias", model, "champion", "2")
    shown = cli("models", "show", model)
    for text in ("finder", "tag a", "alias champion", "production", "2 (2.1.0)"):
        assert text in shown
    lines = cli("models", "versions", model).splitlines()
    assert lines[1].split()[1:4] == ["2.1.0", "production", "ready"]
    assert "champion" in lines[1]
    found = read(cli("models", "versions", model, "--filter", "stage = 'archived'", "-o", "json"))
    assert [one["version"] for one in found["versions"]] == ["1.0.0"]
    assert "champion=2" in cli("models", "list", "--filter", "name LIKE 'find%'")
    cli("models", "alias", model, "champion")
    assert "champion" not in cli("models", "list")


def test_a_name_that_one_project_alone_has_stands_for_the_model(
    cli: Callable[..., str], model: str
) -> None:
    assert model in cli("models", "show", "finder")
    cli("models", "register", "finder", "--source", "s3://a")
    assert "s3://a" in cli("models", "versions", "finder")
    cli("projects", "create", "Other", "--slug", "other")
    cli("models", "create", "finder", "--project", "other")
    assert "MODEL_AMBIGUOUS" in cli("models", "show", "finder", code=USAGE)
    cli("models", "delete", model, "--yes")
    assert model not in cli("models", "show", "finder")


def test_a_model_is_deleted_and_brought_back(cli: Callable[..., str], model: str) -> None:
    assert "--yes" in cli("models", "delete", model, code=USAGE)
    cli("models", "delete", model, "--yes")
    cli("models", "show", model, code=MISSING)
    assert model in cli("models", "list", "--deleted")
    assert model not in cli("models", "list")
    cli("models", "undelete", model)
    assert "finder" in cli("models", "list", "--project", "fraud")


def test_what_cannot_be_is_told(cli: Callable[..., str], model: str) -> None:
    assert "MODEL_NAME_TAKEN" in cli(
        "models", "create", "finder", "--project", "fraud", code=CONFLICT
    )
    cli("models", "alias", model, "latest", "1", code=INVALID)
    cli("models", "alias", model, "a", "1", code=MISSING)
    cli("models", "stage", model, "1", "nowhere", code=USAGE)
