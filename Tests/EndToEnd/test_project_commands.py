"""`needletail projects` against a real server: what it prints, and what it ends with."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from organizations import create_member, create_organization
from program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import Connection, UpServer

OK, USAGE, MISSING, CONFLICT, INVALID = 0, 2, 4, 5, 7


@pytest.fixture
def cli(served: UpServer, sql: Connection, place: Path) -> Callable[..., str]:
    """Runs `needletail projects` for an organization of its own; returns what it printed."""
    connection = place / "connection.json"
    connection.write_text(json.dumps(create_organization(sql, "cli").connection(served.connection)))

    def run(*arguments: str, code: int = OK) -> str:
        result = run_program("projects", *arguments, "--connection-file", connection)
        assert result.returncode == code, (result.stdout, result.stderr)
        assert not (result.stderr if code == OK else result.stdout)
        return result.stdout or result.stderr

    return run


def read(text: str) -> Any:
    return json.loads(text)


def test_a_project_from_its_creation_to_its_return(cli: Callable[..., str]) -> None:
    made = read(
        cli(
            "create", "Vision & Speech", "--description", "of all kinds", "--visibility", "public",
            "--settings", '{"a": 1}', "-o", "json",
        )
    )  # fmt: skip
    assert (made["slug"], made["visibility"]) == ("vision-speech", "VISIBILITY_PUBLIC")
    shown = cli("show", "vision-speech")
    assert made["id"] in shown
    assert "of all kinds" in shown
    lines = cli("list").splitlines()
    assert lines[0].split() == ["ID", "SLUG", "NAME", "VISIBILITY", "CREATED"]
    assert lines[1].split()[:2] == [made["id"], "vision-speech"]
    changed = read(
        cli("update", "vision-speech", "--slug", "vision", "--visibility", "private", "--etag",
            made["etag"], "-o", "json")
    )  # fmt: skip
    assert (changed["slug"], changed["name"]) == ("vision", "Vision & Speech")
    assert "ETAG_MISMATCH" in cli("update", "vision", "--name", "x", "--etag", "1", code=CONFLICT)
    assert "SLUG_TAKEN" in cli("create", "Vision", code=CONFLICT)
    assert "--yes" in cli("delete", "vision", code=USAGE)
    assert "vision" in cli("show", made["id"])
    assert "gone" in cli("delete", "vision", "--yes")
    assert "PROJECT_NOT_FOUND" in cli("show", "vision", code=MISSING)
    assert [p["id"] for p in read(cli("list", "--deleted", "-o", "json"))["projects"]] == [
        made["id"]
    ]
    assert "vision" in cli("undelete", made["id"])
    assert "RECOVERY_OVER" in cli("undelete", made["id"], code=CONFLICT)
    assert made["id"] in cli("show", "vision")


def test_the_members_of_a_project(cli: Callable[..., str], sql: Connection) -> None:
    slug = read(cli("create", "Speech", "-o", "json"))["slug"]
    row = sql.execute(
        "select organization_id from projects where slug = %s order by id desc limit 1", [slug]
    ).fetchone()
    assert row is not None
    user = str(create_member(sql, row["organization_id"]).id)
    member = read(cli("members", "set", slug, user, "--role", "viewer", "-o", "json"))
    assert (member["userId"], member["role"]) == (user, "PROJECT_ROLE_VIEWER")
    assert "owner" in cli("members", "set", slug, user, "--role", "owner")
    lines = cli("members", "list", slug).splitlines()
    assert lines[0].split() == ["USER", "NAME", "E-MAIL", "ROLE", "ADDED"]
    assert lines[1].split()[0] == user
    assert len(read(cli("members", "list", slug, "-o", "json"))["members"]) == 2
    assert "--yes" in cli("members", "remove", slug, user, code=USAGE)
    assert user in cli("members", "remove", slug, user, "--yes")
    assert user not in cli("members", "list", slug)
    assert "USER_NOT_FOUND" in cli("members", "remove", slug, user, "--yes", code=MISSING)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["create"], USAGE, "name"),
        (["create", "x", "--visibility", "secret"], USAGE, "private"),
        (["create", "x", "--slug", "Not A Slug"], INVALID, "slug"),
        (["update", "default"], USAGE, "Nothing"),
        (["list", "--limit", "0"], USAGE, "--limit"),
        (["members", "set", "default", str(uuid.UUID(int=1))], USAGE, "--role"),
        (["members", "set", "default", "x", "--role", "admin"], USAGE, "contributor"),
        (["show", str(uuid.UUID(int=1))], MISSING, "PROJECT_NOT_FOUND"),
    ],
)
def test_what_is_wrong_is_said(
    cli: Callable[..., str], arguments: list[str], code: int, text: str
) -> None:
    assert text in cli(*arguments, code=code)
