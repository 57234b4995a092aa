"""Getting a key for a password, and what happens to those who guess."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from organizations import create_organization, uuid7
from people import OTHER, PASSWORD, WRONG, email, login, nobody, refused, with_password
from team import IDENTITY, Team, identity
from waiting import wait_until
from wire import GoawayError, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Connection, UpServer
    from team import Person


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def enter(team: Team, person: Person, role: str = "viewer") -> str:
    """Let a person join another organization, too; return its slug."""
    other = create_organization(team.sql, "elsewhere")
    with team.sql.transaction():
        team.sql.execute("set local role needletail_maintenance")
        team.sql.execute(
            "insert into organization_memberships (organization_id, id, user_id, role)"
            " values (%s, %s, %s, %s)",
            [other.id, uuid7(), person.id, role],
        )
    row = team.sql.execute("select slug from organizations where id = %s", [other.id]).fetchone()
    assert row is not None
    return str(row["slug"])


def slug(team: Team) -> str:
    return str(team.value("select slug from organizations where id = %(org)s"))


def denied(team: Team, action: str) -> list[dict[str, Any]]:
    return [
        dict(row)
        for row in team.sql.execute(
            "select actor_id::text as actor, reason, api_key_id, host(ip_address) as address,"
            " (details ->> 'count')::int as count from audit_logs"
            " where organization_id = %s and action = %s and outcome = 'denied'",
            [team.id, action],
        ).fetchall()
    ]


def test_a_password_gives_a_key_that_expires(team: Team) -> None:
    eve = with_password(team)
    answer = login(team.server, email(eve).upper(), key_name="laptop", expires_in_seconds=60)
    assert answer.api_key is not None
    assert answer.user is not None
    assert (answer.organization_id, answer.user.id, answer.api_key.name) == (
        team.id, eve.id, "laptop",
    )  # fmt: skip
    assert list(answer.api_key.scopes) == ["*"]
    lifetime = answer.api_key.expires_at - answer.api_key.created_at
    assert lifetime.total_seconds() == 60
    assert answer.user.last_login_at is not None
    with team.client(key=answer.secret) as client:
        me = client.identity.who_am_i()
        assert (me.user_id, me.organization_id, me.role) == (eve.id, team.id, "developer")
        assert client.identity.get_user().has_password
    row = team.sql.execute(
        "select api_key_id::text as key, actor_id::text as actor, host(ip_address) as address,"
        " details::text as details from audit_logs"
        " where organization_id = %s and action = 'user.login'",
        [team.id],
    ).fetchone()
    assert row is not None
    assert (row["key"], row["actor"], row["address"]) == (answer.api_key.id, eve.id, "127.0.0.1")
    assert PASSWORD not in row["details"]
    assert answer.secret not in row["details"]
    assert "scrypt" not in row["details"]


def test_every_login_that_fails_is_answered_alike(team: Team) -> None:
    eve, stopped, gone = with_password(team), with_password(team), with_password(team)
    bare, left = team.join(), with_password(team)
    other = enter(team, team.join())
    sql = team.sql.execute
    sql("update users set is_active = false where id = %s", [stopped.id])
    sql("update users set deleted_at = now() where id = %s", [gone.id])
    sql("update organization_memberships set is_active = false where user_id = %s", [left.id])
    with nobody(team.server) as client:
        answers = {
            name: refused("CREDENTIALS_INVALID", lambda given=given: client.identity.login(**given))
            for name, given in {
                "wrong": {"email": email(eve), "password": WRONG},
                "unknown": {"email": "nobody@example.com", "password": PASSWORD},
                "no password": {"email": email(bare), "password": PASSWORD},
                "inactive": {"email": email(stopped), "password": PASSWORD},
                "deleted": {"email": email(gone), "password": PASSWORD},
                "elsewhere": {
                    "email": email(eve), "password": PASSWORD, "organization": other,
                },
                "nowhere": {
                    "email": email(eve), "password": PASSWORD, "organization": "no-such-place",
                },
                "deactivated here": {
                    "email": email(left), "password": PASSWORD, "organization": slug(team),
                },
            }.items()
        }  # fmt: skip
    assert len({(str(error.message), str(error.details)) for error in answers.values()}) == 1
    assert all(error.code is needletail.Code.UNAUTHENTICATED for error in answers.values())


def test_fields_are_checked_before_anything_is_hashed(team: Team) -> None:
    with nobody(team.server) as client:
        for given in (
            {"email": "a", "password": PASSWORD},
            {"email": "a@example.com", "password": ""},
            {"email": "a@example.com", "password": "x" * (1 << 20)},
            {"email": "a@example.com", "password": PASSWORD, "expires_in_seconds": 59},
            {"email": "a@example.com", "password": PASSWORD, "expires_in_seconds": 2_592_001},
            {"email": "a@example.com", "password": PASSWORD, "key_name": "x" * 501},
        ):
            refused("FIELD_INVALID", lambda given=given: client.identity.login(**given))


def test_who_belongs_to_several_organizations_names_one(team: Team) -> None:
    eve = with_password(team)
    other = enter(team, eve)
    error = refused("ORGANIZATION_NEEDED", lambda: login(team.server, email(eve)))
    own = slug(team)
    assert sorted(error.details["organizations"].split()) == sorted([own, other])
    assert login(team.server, email(eve), organization=own).organization_slug == own
    there = login(team.server, email(eve), organization=other)
    with team.client(key=there.secret) as client:
        assert client.identity.who_am_i().role == "viewer"
    refused("CREDENTIALS_INVALID", lambda: login(team.server, email(eve), WRONG))


def test_a_login_that_is_repeated_does_not_show_its_secret_again(team: Team) -> None:
    eve = with_password(team)
    with Wire.opened({**team.server, "api_key": ""}) as wire:
        request = identity("LoginRequest", email=email(eve), password=PASSWORD)
        first = wire.call(f"{IDENTITY}/Login", request, key="once")
        assert not first.HasField("status")
        again = wire.call(f"{IDENTITY}/Login", request, key="once")
        assert again.status.reason == "SECRET_ALREADY_SHOWN"
        wrong = identity("LoginRequest", email=email(eve), password=WRONG)
        assert wire.call(f"{IDENTITY}/Login", wrong, key="once").status.reason == (
            "CREDENTIALS_INVALID"
        )
    digests = team.sql.execute(
        "select count(distinct request_digest) as digests, count(*) as records"
        " from idempotency_records where organization_id = %s and principal_id = %s and key = %s",
        [team.id, eve.id, "once"],
    ).fetchone()
    assert digests == {"digests": 1, "records": 1}


def test_a_connection_without_a_key_may_do_nothing_else(team: Team) -> None:
    with nobody(team.server) as client:
        for call in (
            client.identity.who_am_i,
            client.identity.get_user,
            client.identity.list_members,
            client.identity.list_projects,
        ):
            refused("API_KEY_NEEDED", call)


def test_a_connection_without_a_key_does_not_stay(own_server: Callable[..., UpServer]) -> None:
    server = own_server("--set", "anonymous-timeout=300ms")
    server.start()
    with Wire.opened({**server.connection, "api_key": ""}) as wire:
        with pytest.raises(GoawayError) as caught:
            wire.receive()
        assert caught.value.status.reason == "API_KEY_NEEDED"


def test_ten_wrong_passwords_close_an_account_for_a_while_whether_it_is_there_or_not(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server(
        "--operations-port", "0", "--set", "password-cost=12", "--set",
        "audit-refusal-interval=300ms", "--set", "wrong-passwords-per-address-max=60", "--set",
        "wrong-password-period=24h",
    )  # fmt: skip
    server.start()
    with server.sql() as sql:
        team = Team(sql, server.connection)
        eve, adam = with_password(team), with_password(team)
        with nobody(server.connection) as client:
            for address in (email(eve), "nobody@example.com"):
                for _ in range(10):
                    refused(
                        "CREDENTIALS_INVALID",
                        lambda address=address: client.identity.login(
                            email=address, password=WRONG
                        ),
                    )
                error = refused(
                    "LOGIN_THROTTLED",
                    lambda address=address: client.identity.login(
                        email=address.upper(), password=PASSWORD
                    ),
                )
                assert error.retry_after is not None
                assert 8_000 < error.retry_after <= 8_640
            # Others are not touched, and a right password forgives what came before.
            for _ in range(3):
                for _ in range(9):
                    refused(
                        "CREDENTIALS_INVALID",
                        lambda: client.identity.login(email=email(adam), password=WRONG),
                    )
                client.identity.login(email=email(adam), password=PASSWORD)
            # Beyond the address's own bound nobody's password is looked at.
            for number in range(13):
                refused(
                    "CREDENTIALS_INVALID",
                    lambda number=number: client.identity.login(
                        email=f"{number}@example.com", password=PASSWORD
                    ),
                )
            refused(
                "LOGIN_THROTTLED",
                lambda: client.identity.login(email=email(adam), password=PASSWORD),
            )
        # Keys work on from the same address.
        with team.client(adam) as client:
            assert client.identity.who_am_i().user_id == adam.id
            refused(
                "LOGIN_THROTTLED",
                lambda: client.identity.change_password(
                    current_password=PASSWORD, new_password=OTHER
                ),
            )
        wait_until(
            "the refused logins are in the audit log",
            lambda: sum(one["count"] for one in denied(team, "user.login")) == 37,
        )
        entries = denied(team, "user.login")
        assert {one["actor"] for one in entries} == {eve.id, adam.id}
        assert {(one["reason"], one["api_key_id"], one["address"]) for one in entries} == {
            ("CREDENTIALS_INVALID", None, "127.0.0.1")
        }
        _, page = server.page("/metrics")
        assert "needletail_passwords_wrong_total 60\n" in page
        assert "needletail_passwords_throttled_total 4\n" in page


def test_many_guesses_at_once_are_no_way_around_the_bound(team: Team) -> None:
    address = f"guess-{uuid7()}@example.com"
    reasons: list[str] = []

    def guess() -> None:
        with nobody(team.server) as client:
            try:
                client.identity.login(email=address, password=WRONG)
            except needletail.CallError as error:
                reasons.append(error.reason)

    threads = [threading.Thread(target=guess) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reasons) == ["CREDENTIALS_INVALID"] * 10 + ["LOGIN_THROTTLED"] * 6


def test_an_outdated_hash_is_replaced_at_the_next_login(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server("--set", "password-cost=12")
    server.start()
    with server.sql() as sql:
        team = Team(sql, server.connection)
        eve = with_password(team)

        def stored() -> str:
            return str(team.value("select password_hash from users where id = %(id)s", id=eve.id))

        before = stored()
        assert before.startswith("$scrypt$ln=12,r=8,p=1$")
        login(server.connection, email(eve))
        assert stored() == before
    assert server.stop() == 0
    server.arguments = (*server.arguments, "--set", "password-cost=13")
    server.start()
    with server.sql() as sql:
        team.sql = sql
        login(server.connection, email(eve))
        assert stored().startswith("$scrypt$ln=13,r=8,p=1$")
        login(server.connection, email(eve))
