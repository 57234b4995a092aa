"""Who has lost a password, and what a password that changes ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from people import OTHER, PASSWORD, email, login, refused, with_password
from program import run_program
from team import Team

if TYPE_CHECKING:
    from program import Connection, UpServer


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def reset(served: UpServer, address: str, *more: str) -> str:
    """Reset a password as the operator; return the new one."""
    done = run_program("users", "reset-password", address, "--postgres", served.database_url, *more)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("password")]
    return line.split()[1]


def test_an_operator_gives_somebody_another_password(team: Team, served: UpServer) -> None:
    eve = with_password(team)
    opened = login(served.connection, email(eve)).secret
    assert team.is_taken(opened)
    asked = run_program("users", "reset-password", email(eve), "--postgres", served.database_url)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert team.is_taken(opened)

    given = reset(served, email(eve).upper(), "--yes")
    assert len(given) == 24
    assert not team.is_taken(opened)
    assert team.is_taken(eve.api_key)
    refused("CREDENTIALS_INVALID", lambda: login(served.connection, email(eve)))
    assert login(served.connection, email(eve), given).user.id == eve.id
    (entry,) = team.journal("user.reset_password", eve.id)
    assert (entry["actor"], entry["details"]["after"]) == (None, {"revoked_keys": "1"})
    assert given not in served.log + str(entry)
    again = reset(served, email(eve), "--yes", "--all-keys")
    assert again != given
    assert not team.is_taken(eve.api_key)
    assert team.is_taken(team.admin.api_key)
    assert login(served.connection, email(eve), again).user.id == eve.id

    nobodys = run_program(
        "users", "reset-password", "nobody@example.com", "--yes", "--postgres", served.database_url
    )
    assert nobodys.returncode != 0
    assert "nobody has" in nobodys.stderr


def test_who_has_no_password_gets_one_from_the_operator(team: Team, served: UpServer) -> None:
    eve = team.join()
    assert login(served.connection, email(eve), reset(served, email(eve), "--yes")).secret


def test_a_key_that_replaced_a_logins_ends_with_it(team: Team, served: UpServer) -> None:
    eve = with_password(team)
    opened = login(served.connection, email(eve))
    with team.client(key=opened.secret) as client:
        made = client.identity.create_api_key(name="mine", scopes=["*"])
        rotated = client.identity.rotate_api_key(id=opened.api_key.id, overlap_seconds=60)
        again = client.identity.rotate_api_key(id=rotated.api_key.id, overlap_seconds=60)
    assert (opened.api_key.is_from_login, made.api_key.is_from_login) == (True, False)
    assert again.api_key.is_from_login
    with team.client(eve) as client:
        answer = client.identity.change_password(current_password=PASSWORD, new_password=OTHER)
        assert answer.revoked_keys == 3
    for secret in (opened.secret, rotated.secret, again.secret):
        assert not team.is_taken(secret)
    assert team.is_taken(made.secret)


def test_an_address_that_only_looks_the_same_needs_the_password_and_is_not_verified(
    team: Team, served: UpServer
) -> None:
    eve = with_password(team)
    one, two = (f"{form}-{eve.id}@example.com" for form in ("\u00e9", "e\u0301"))
    with team.client(eve) as client:
        client.identity.update_user(email=one, current_password=PASSWORD)
        assert run_program(
            "users", "verify", one, "--postgres", served.database_url
        ).returncode == 0  # fmt: skip
        refused("PASSWORD_WRONG", lambda: client.identity.update_user(email=two))
        after = client.identity.update_user(email=two, current_password=PASSWORD)
        assert after.user is not None
        assert after.user.email == two
        assert after.user.email_verified_at is None
