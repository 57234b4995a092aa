"""What is called without an API key tells nobody of an organization, or of who is there.

Whoever guesses wrong hears the same, byte by byte, whatever was wrong: on a connection without a
key, and on one with a key of another organization.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from estate import Estate
from estate_rows import rows_of
from guests import PHRASE, address
from method_requests import ANONYMOUS, METHODS, exchange
from wire import IDENTITY, Wire, identity_message

if TYPE_CHECKING:
    import needletail
    from program import Connection, UpServer

WRONG = "not the password"
REASONS = {
    "AcceptInvitation": "INVITATION_NOT_FOUND",
    "Login": "CREDENTIALS_INVALID",
    "UndeleteOrganization": "CREDENTIALS_INVALID",
    "UndeleteUser": "CREDENTIALS_INVALID",
}


@pytest.fixture(scope="module")
def theirs(served: UpServer) -> Estate:
    """An organization; every text of it holds a canary."""
    with served.sql() as sql:
        return Estate(served, sql, f"canary-{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
def mine(served: UpServer) -> Estate:
    """The organization of who guesses."""
    with served.sql() as sql:
        return Estate(served, sql, "mine")


def guesses(method: str, mine: Estate, theirs: Estate) -> dict[str, dict[str, str]]:
    """Return requests that fail, by what is wrong with them."""
    own, other = mine.words(), theirs.words()
    nowhere = f"nowhere-{uuid.uuid4()}"
    email, slug = other["email"], other["slug"]
    wrong, right = {"password": WRONG}, {"password": PHRASE}
    return {
        "AcceptInvitation": {
            "no token": {"token": nowhere, **right},
            "a token of nothing": {"token": f"nti_{uuid.uuid4().hex}", **right},
            "taken back": {"token": theirs.tokens["deleted_invitation"], **right},
        },
        "Login": {
            "nobody": {"email": address(), **right},
            "nobody there": {"email": address(), "organization": slug, **right},
            "wrong password": {"email": email, **wrong},
            "wrong password there": {"email": email, "organization": slug, **wrong},
            "wrong password here": {"email": email, "organization": own["slug"], **wrong},
            "no member here": {"email": email, "organization": own["slug"], **right},
            "no member there": {"email": own["email"], "organization": slug, **right},
            "nowhere": {"email": own["email"], "organization": nowhere, **right},
            "deleted": {"email": other["deleted_email"], "organization": slug, **right},
        },
        "UndeleteOrganization": {
            "nobody": {"email": address(), "slug": slug, **right},
            "wrong password": {"email": email, "slug": slug, **wrong},
            "no member here": {"email": email, "slug": own["slug"], **right},
            "no member there": {"email": own["email"], "slug": slug, **right},
            "nowhere": {"email": own["email"], "slug": nowhere, **right},
            "deleted": {"email": other["deleted_email"], "slug": slug, **right},
        },
        "UndeleteUser": {
            "nobody": {"email": address(), **right},
            "wrong password": {"email": other["deleted_email"], **wrong},
            "not deleted": {"email": email, **wrong},
        },
    }[method]


def told(wire: Wire, method: str, request: dict[str, str]) -> tuple[Any, bytes]:
    """Make a call; return its status, and the bytes that do not name the call."""
    heard = exchange(wire, f"{IDENTITY}/{method}", identity_message(f"{method}Request", **request))
    status = type(heard.status).FromString(heard.status.SerializeToString())
    status.request_id = ""
    return heard.status, status.SerializeToString(deterministic=True) + b"".join(heard.messages)


def test_every_method_for_strangers_is_guessed_at(client: needletail.Client) -> None:
    served = client.server.list_methods().methods
    found = {method.name for method in served if method.permission == "anonymous"}
    assert found == {f"{IDENTITY}/{method}" for method in ANONYMOUS}
    assert set(REASONS) == ANONYMOUS
    assert found <= set(METHODS)


@pytest.mark.parametrize("with_key", [False, True], ids=["without a key", "with another's key"])
@pytest.mark.parametrize("method", sorted(ANONYMOUS))
def test_whatever_is_wrong_the_answer_is_the_same_and_nothing_is_changed(
    mine: Estate, theirs: Estate, sql: Connection, method: str, *, with_key: bool
) -> None:
    before = [rows_of(sql, estate.id) for estate in (mine, theirs)]
    answers = set()
    with mine.wire(method="" if with_key else f"{IDENTITY}/{method}") as wire:
        for name, request in guesses(method, mine, theirs).items():
            status, answer = told(wire, method, request)
            assert status.reason == REASONS[method], name
            answers.add(answer)
    assert len(answers) == 1
    for text in (theirs.text, *theirs.ids.values()):
        assert not any(text.encode() in answer for answer in answers)
    assert [rows_of(sql, estate.id) for estate in (mine, theirs)] == before


def test_a_deleted_organization_is_as_unknown_as_another(
    mine: Estate, served: UpServer, sql: Connection
) -> None:
    gone = Estate(served, sql, f"canary-{uuid.uuid4().hex}")
    method = "UndeleteOrganization"
    gone.prepare(sql, f"{IDENTITY}/{method}")
    before = rows_of(sql, gone.id)
    with mine.wire(method=f"{IDENTITY}/{method}") as wire:
        answers = {
            told(wire, method, request)[1] for request in guesses(method, mine, gone).values()
        }
    assert len(answers) == 1
    assert rows_of(sql, gone.id) == before
