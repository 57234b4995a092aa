"""What people and attackers type: addresses, slugs and passwords that are none."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import needletail
import pytest
from needletail.identity import OrganizationRole
from people import PASSWORD, WRONG, email, login, nobody, refused, with_password
from program import peak_memory
from team import Team
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Connection, UpServer

MIB = 1 << 20
WRONG_PASSWORDS, GUESSERS = 10_000, 8
WRONG_MAX, PERIOD_SECONDS = 10, 20
NO_ADDRESSES = [
    "", "a@", "@b.c", "ada", "ada@@b.c", "a@b@c", "ada@b..c", "ada@.b", "ada@b.",
    "ada lovelace@b.c", "ada@b.c ", "ada\n@b.c", "ada\x7f@b.c",
    # No-break space, ideographic space, end of line, zero width, turned around, full-width @.
    "ada\u00a0x@b.c", "ada\u3000x@b.c", "ada\u2028@b.c", "a\u200bda@b.c", "ada\u202e@b.c",
    "ada\u00ad@b.c", "ada\uff20b.c", "a" * 330 + "@b.c",
]  # fmt: skip
NO_SLUGS = [
    "Acme", "ACME", "a_b", "a b", "-a", "a-", "a/b", "..", "\u0130x", "stra\u00dfe",
    "\uff41cme", "a\u0301", "a" * 101, "01a1ff82-2684-7312-8ada-f2161326da0e",
]  # fmt: skip


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def named(field: str, call: Callable[[], object]) -> None:
    """Expect a refusal that names a field."""
    error = refused("FIELD_INVALID", call)
    assert {violation.field for violation in error.field_violations} == {field}


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_taken_nowhere(team: Team, text: str) -> None:
    before = team.value("select count(*) from audit_logs where organization_id = %(org)s")
    with team.client() as client:
        identity = client.identity
        role = OrganizationRole.VIEWER
        named("email", lambda: identity.invite_member(email=text, role=role))
        named("email", lambda: identity.update_user(email=text))
        named("billing_email", lambda: identity.update_organization(billing_email=text))
    assert before == team.value("select count(*) from audit_logs where organization_id = %(org)s")


@pytest.mark.parametrize("text", NO_SLUGS)
def test_what_is_no_slug_is_taken_nowhere(client: needletail.Client, text: str) -> None:
    identity = client.identity
    named("slug", lambda: identity.create_organization(name="x", slug=text))
    named("slug", lambda: identity.update_organization(slug=text))
    named("slug", lambda: identity.create_project(name="x", slug=text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("ada", "ADA"), ("ida", "\u0130DA"), ("stra\u00dfe", "STRA\u1e9eE"), ("\uff41da", "\uff21da"),
     ("kim", "\u212aim"), ("\u00e9va", "\u00c9VA")],
)  # fmt: skip
def test_addresses_that_differ_in_case_are_one(team: Team, one: str, other: str) -> None:
    ada, eve = with_password(team), with_password(team)
    domain = f"{uuid.uuid4().hex}.example"
    role = OrganizationRole.VIEWER
    with team.client(ada) as client:
        client.identity.update_user(email=f"{one}@{domain}", current_password=PASSWORD)
    with team.client(eve) as client:
        refused(
            "EMAIL_TAKEN",
            lambda: client.identity.update_user(
                email=f"{other}@{domain}", current_password=PASSWORD
            ),
        )
    with team.client() as admin:
        refused(
            "ALREADY_MEMBER",
            lambda: admin.identity.invite_member(email=f"{other}@{domain.upper()}", role=role),
        )
    assert login(team.server, f"{other}@{domain}").user.id == ada.id


@pytest.mark.parametrize("method", ["login", "undelete_user", "undelete_organization"])
def test_another_writing_of_an_address_is_no_way_around_the_throttle(
    own_server: Callable[..., UpServer], method: str
) -> None:
    server = own_server("--set", "password-cost=12", "--set", "wrong-password-period=24h")
    server.start()
    forms = ["ida@example.com", "IDA@example.com", "\u0130da@example.com", "iDa@EXAMPLE.com"]
    more = {"slug": "default"} if method == "undelete_organization" else {}
    with nobody(server.connection) as client:
        call = getattr(client.identity, method)
        for number in range(WRONG_MAX):
            form = forms[number % len(forms)]
            refused(
                "CREDENTIALS_INVALID",
                lambda form=form: call(email=form, password=WRONG, **more),
            )
        for form in forms:
            refused("LOGIN_THROTTLED", lambda form=form: call(email=form, password=WRONG, **more))


def test_a_password_of_a_mebibyte_is_refused_before_it_is_hashed(team: Team) -> None:
    eve, text = with_password(team), "x" * MIB
    with nobody(team.server) as client:
        identity = client.identity
        named("password", lambda: identity.login(email=email(eve), password=text))
        named("password", lambda: identity.undelete_user(email=email(eve), password=text))
        named(
            "password",
            lambda: identity.undelete_organization(slug="x", email=email(eve), password=text),
        )
        named("password", lambda: identity.accept_invitation(token="", password=text))
    with team.client(eve) as client:
        identity = client.identity
        named(
            "new_password",
            lambda: identity.change_password(current_password=PASSWORD, new_password=text),
        )
        named(
            "current_password",
            lambda: identity.change_password(current_password=text, new_password=PASSWORD),
        )
        named(
            "current_password",
            lambda: identity.delete_user(email=email(eve), current_password=text),
        )
    assert login(team.server, email(eve)).user.id == eve.id


def test_ten_thousand_wrong_passwords_neither_open_an_account_nor_hold_up_the_server(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server(
        "--set", "password-cost=14", "--set", f"wrong-passwords-max={WRONG_MAX}", "--set",
        f"wrong-password-period={PERIOD_SECONDS}s",
    )  # fmt: skip
    server.start()
    assert server.process is not None
    with server.sql() as sql:
        team = Team(sql, server.connection)
        eve = with_password(team)
        before = peak_memory(server.process.pid)
        left = list(range(WRONG_PASSWORDS))
        is_over = threading.Event()

        def guess() -> dict[str, int]:
            reasons: dict[str, int] = {}
            with nobody(server.connection) as client:
                while left:
                    left.pop()
                    try:
                        client.identity.login(email=email(eve), password=WRONG)
                    except needletail.CallError as error:
                        reasons[error.reason] = reasons.get(error.reason, 0) + 1
            return reasons

        def work() -> int:
            done = 0
            with team.client() as client:
                while not is_over.is_set():
                    assert client.identity.who_am_i().organization_id == team.id
                    done += 1
            return done

        began = time.monotonic()
        with ThreadPoolExecutor(GUESSERS + 1) as pool:
            others = pool.submit(work)
            told = [pool.submit(guess) for _ in range(GUESSERS)]
            answers = [future.result() for future in told]
            passed = time.monotonic() - began
            is_over.set()
            assert others.result() > 0
        wrong = sum(answer.pop("CREDENTIALS_INVALID", 0) for answer in answers)
        # One is forgiven every so often.
        assert WRONG_MAX <= wrong <= WRONG_MAX + passed / (PERIOD_SECONDS / WRONG_MAX) + 1
        throttled = sum(answer.pop("LOGIN_THROTTLED", 0) for answer in answers)
        assert not any(answers), answers
        assert wrong + throttled >= WRONG_PASSWORDS - GUESSERS
        assert peak_memory(server.process.pid) - before < 128 * MIB

        def reason() -> str | None:
            try:
                login(server.connection, email(eve))
            except needletail.CallError as error:
                return error.reason
            return None

        last = wait_until(
            "the right password is looked at again",
            lambda: (found := reason()) != "LOGIN_THROTTLED" and [found],
        )
        assert last == [None]
