"""Every method that takes an idempotency key takes effect once for each key.

The methods are those of the method table, their requests come from the descriptors, and each test
has an organization of its own.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from estate import Estate, rows_of
from method_requests import KEYED, METHODS, Heard, build, exchange, short
from waiting import wait_until

if TYPE_CHECKING:
    from program import Connection, UpServer

ABORTED, FAILED_PRECONDITION = 10, 9
# What one change adds to the journals: an audit entry, an event and the answer that is kept.
JOURNALS = ("audit_logs", "events", "idempotency_records")

pytestmark = pytest.mark.parametrize("method", KEYED)


@pytest.fixture
def estate(served: UpServer, sql: Connection) -> Estate:
    return Estate(served, sql, "keyed")


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def shows_secret(method: str) -> bool:
    """Whether the answer of a method holds a secret, which is shown once."""
    return "secret" in METHODS[method].response_class.DESCRIPTOR.fields_by_name


def succeeded(method: str, heard: Heard) -> None:
    assert heard.status.code == 0, (
        f"{short(method)}: {heard.status}: say in VALUES or KINDS of method_requests.py what its"
        " request needs, and make in estate.py what it is about"
    )


def assert_again(method: str, first: Heard, again: Heard) -> None:
    """Assert that a call was answered as the first one with its key was."""
    if not shows_secret(method):
        assert (again.status.code, again.messages) == (0, first.messages)
        return
    assert (again.status.code, again.status.reason) == (
        FAILED_PRECONDITION, "SECRET_ALREADY_SHOWN",
    )  # fmt: skip
    resource = METHODS[method].response_class.FromString(first.messages[0]).api_key.id
    assert dict(again.status.details) == {"resource_id": resource}
    assert not any(again.messages)


def added(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """Return how many rows the journals got."""
    return {name: after[name][0] - before[name][0] for name in JOURNALS}


ONCE = dict.fromkeys(JOURNALS, 1)


def test_the_same_request_again_has_the_same_answer_and_no_effect(
    estate: Estate, sql: Connection, method: str, key: str
) -> None:
    request = build(method, estate)
    before = rows_of(sql, estate.id)
    with estate.wire() as wire:
        first = exchange(wire, method, request, key=key)
        succeeded(method, first)
        between = rows_of(sql, estate.id)
        again = exchange(wire, method, request, key=key)
    assert added(before, between) == ONCE
    assert rows_of(sql, estate.id, denials=True) == between
    assert_again(method, first, again)


def test_another_request_with_the_key_is_refused_and_has_no_effect(
    estate: Estate, sql: Connection, method: str, key: str
) -> None:
    other = build(method, estate, other=True)
    assert other != build(method, estate), f"VALUES has nothing that differs for {short(method)}"
    with estate.wire() as wire:
        first = exchange(wire, method, build(method, estate), key=key)
        succeeded(method, first)
        between = rows_of(sql, estate.id)
        status = exchange(wire, method, other, key=key).status
    assert (status.code, status.reason) == (ABORTED, "IDEMPOTENCY_KEY_REUSED")
    assert rows_of(sql, estate.id, denials=True) == between


def test_two_at_once_have_one_effect(
    estate: Estate, sql: Connection, served: UpServer, method: str, key: str
) -> None:
    request = build(method, estate)
    before = rows_of(sql, estate.id)
    with estate.wire() as one, estate.wire() as two, served.sql() as holder:
        # Whoever has the key makes both wait for it; then neither is first by its arrival.
        holder.execute("begin")
        holder.execute(
            "insert into idempotency_records (organization_id, principal_id, key, method,"
            " request_digest) values (%s, %s, %s, 'x', sha256(''))",
            [estate.id, estate.ids["admin"], key],
        )
        streams = [(wire, wire.open(method, request, key=key)) for wire in (one, two)]
        wait_until("both wait for the key", lambda: waiting_for(sql, holder) == 2)
        holder.execute("rollback")
        ends = [wire.end(stream) for wire, stream in streams]
    heard = sorted(
        (Heard(end.status, [end.message], b"") for end in ends), key=lambda one: one.status.code
    )
    succeeded(method, heard[0])
    assert added(before, rows_of(sql, estate.id, denials=True)) == ONCE
    assert_again(method, heard[0], heard[1])


def waiting_for(sql: Connection, holder: Connection) -> int:
    """Count the sessions that wait for what another one holds."""
    row = sql.execute(
        "select count(*) as n from pg_stat_activity where %s = any(pg_blocking_pids(pid))",
        [holder.info.backend_pid],
    ).fetchone()
    assert row is not None
    return int(row["n"])
