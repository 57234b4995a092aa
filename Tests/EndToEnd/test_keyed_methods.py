"""Every method that takes an idempotency key takes effect once for each key.

The methods are those of the method table, their requests come from the descriptors, and each test
has an organization of its own.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from estate import Estate
from estate_rows import rows_of
from method_requests import KEYED, METHODS, Heard, build, exchange, short
from waiting import wait_until
from wire import GoawayError, Wire

if TYPE_CHECKING:
    from program import Connection, UpServer

ABORTED, FAILED_PRECONDITION = 10, 9
# What ends the caller's key.
ENDING = {"DeleteOrganization", "DeleteUser"}
# What programs call all the time leaves neither an audit entry nor an event.
TELEMETRY = {"LogSpans"}
# What one change adds to the journals: an audit entry, an event and the answer that is kept.
JOURNALS = ("audit_logs", "events", "idempotency_records")

pytestmark = pytest.mark.parametrize("method", KEYED)


@pytest.fixture
def estate(served: UpServer, sql: Connection) -> Estate:
    return Estate(served, sql, "keyed")


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def fields(method: str) -> set[str]:
    """Return the names of what a method answers."""
    return set(METHODS[method].response_class.DESCRIPTOR.fields_by_name)


def resource_of(method: str, heard: Heard) -> str:
    """Return what to revoke when a secret was lost."""
    answer = METHODS[method].response_class.FromString(heard.messages[0])
    if "api_key_id" in fields(method):
        return str(answer.api_key_id)
    return str(getattr(answer, "api_key" if "api_key" in fields(method) else "invitation").id)


def succeeded(method: str, heard: Heard) -> None:
    assert heard.status.code == 0, (
        f"{short(method)}: {heard.status}: say in VALUES or KINDS of method_requests.py what its"
        " request needs, and make in estate.py what it is about"
    )


def assert_again(method: str, first: Heard, again: Heard) -> None:
    """Assert that a call was answered as the first one with its key was."""
    # A secret is shown once.
    if not {"secret", "token"} & fields(method):
        assert (again.status.code, again.messages) == (0, first.messages)
        return
    assert (again.status.code, again.status.reason) == (
        FAILED_PRECONDITION, "SECRET_ALREADY_SHOWN",
    )  # fmt: skip
    assert dict(again.status.details) == {"resource_id": resource_of(method, first)}
    assert not any(again.messages)


def added(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """Return how many rows the journals got."""
    return {name: after[name][0] - before[name][0] for name in JOURNALS}


def once(method: str) -> dict[str, int]:
    """Return what one change adds to the caller's journals."""
    if short(method) in TELEMETRY:
        return {name: int(name == "idempotency_records") for name in JOURNALS}
    # An organization's beginning is an event of its own.
    return {name: int((short(method), name) != ("CreateOrganization", "events"))
            for name in JOURNALS}  # fmt: skip


def ask(estate: Estate, method: str, request: Any, key: str) -> Heard:
    """Make a call on a connection of its own."""
    with estate.wire(method=method) as wire:
        return exchange(wire, method, request, key=key)


def test_the_same_request_again_has_the_same_answer_and_no_effect(
    estate: Estate, sql: Connection, method: str, key: str
) -> None:
    estate.prepare(sql, method)
    request = build(method, estate)
    before = rows_of(sql, estate.id)
    first = ask(estate, method, request, key)
    succeeded(method, first)
    assert added(before, rows_of(sql, estate.id)) == once(method)
    estate.revive(sql)
    between = rows_of(sql, estate.id, denials=True)
    again = ask(estate, method, request, key)
    assert rows_of(sql, estate.id, denials=True) == between
    assert_again(method, first, again)


def test_another_request_with_the_key_is_refused_and_has_no_effect(
    estate: Estate, sql: Connection, method: str, key: str
) -> None:
    estate.prepare(sql, method)
    other = build(method, estate, other=True)
    assert other != build(method, estate), f"VALUES has nothing that differs for {short(method)}"
    succeeded(method, ask(estate, method, build(method, estate), key))
    estate.revive(sql)
    between = rows_of(sql, estate.id, denials=True)
    status = ask(estate, method, other, key).status
    assert (status.code, status.reason) == (ABORTED, "IDEMPOTENCY_KEY_REUSED")
    assert rows_of(sql, estate.id, denials=True) == between


def test_two_at_once_have_one_effect(
    estate: Estate, sql: Connection, served: UpServer, method: str, key: str
) -> None:
    estate.prepare(sql, method)
    request = build(method, estate)
    before = rows_of(sql, estate.id)
    with (
        estate.wire(method=method) as one, estate.wire(method=method) as two,
        served.sql() as holder,
    ):  # fmt: skip
        # Whoever has the key makes both wait for it; then neither is first by its arrival.
        holder.execute("begin")
        holder.execute(
            "insert into idempotency_records (organization_id, principal_id, key, method,"
            " request_digest) values (%s, %s, %s, 'x', sha256(''))",
            [estate.id, estate.principal(method), key],
        )
        streams = [(wire, wire.open(method, request, key=key)) for wire in (one, two)]
        wait_until("both wait for the key", lambda: waiting_for(sql, holder) == 2)
        holder.execute("rollback")
        heard = [found for wire, stream in streams if (found := end_of(method, wire, stream))]
    heard.sort(key=lambda found: found.status.code)
    succeeded(method, heard[0])
    assert added(before, rows_of(sql, estate.id, denials=True)) == once(method)
    if len(heard) == 1:
        estate.revive(sql)
        heard.append(ask(estate, method, request, key))
    assert_again(method, heard[0], heard[1])


def end_of(method: str, wire: Wire, stream: int) -> Heard | None:
    """Return what ends a call; None: its connection has ended before, with the key."""
    try:
        end = wire.end(stream)
    except GoawayError as error:
        if short(method) not in ENDING or error.status.reason != "KEY_REVOKED":
            raise
        return None
    return Heard(end.status, [end.message], b"")


def waiting_for(sql: Connection, holder: Connection) -> int:
    """Count the sessions that wait for what another one holds."""
    row = sql.execute(
        "select count(*) as n from pg_stat_activity where %s = any(pg_blocking_pids(pid))",
        [holder.info.backend_pid],
    ).fetchone()
    assert row is not None
    return int(row["n"])
