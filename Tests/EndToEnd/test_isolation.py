"""Whatever an organization asks with another's identifiers, it hears nothing and changes nothing.

Every method is tried with another organization's identifier in each field that takes one. What a
method answers is NOT_FOUND with the reason of what the field identifies; the exceptions stand in
isolation_answers.py.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from estate import Estate
from estate_rows import rows_of, tables_of
from isolation_answers import ALSO, CHANGES, EMPTY, EXCEPTIONS, OWN, REASONS
from method_requests import (
    KEYED,
    METHODS,
    TOKENS,
    Field,
    Heard,
    build,
    exchange,
    id_fields,
    short,
    token_of,
)
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail
    from program import Connection, UpServer

NOT_FOUND, INVALID_ARGUMENT = 5, 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call with one thing of the other organization in it, and the same with nothing's."""

    field: Field
    value: str
    absent: str
    heard: Heard
    heard_of_absent: Heard | None
    changed: list[str]


def expected(field: Field) -> str:
    """Return the reason that a field's foreign value is refused with, or EMPTY or OWN."""
    standard = REASONS.get(field.kind or "", f"{field.kind}_not_found".upper())
    return EXCEPTIONS.get(field.name, REASONS.get(field.path[-1], standard))


FIELDS = [field for method in sorted(METHODS) for field in id_fields(method)]


@pytest.fixture(scope="module")
def theirs(served: UpServer) -> Estate:
    """The other organization; every text of it holds a canary."""
    with served.sql() as sql:
        return Estate(served, sql, f"canary-{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
def mine(served: UpServer) -> Estate:
    """The organization that asks."""
    with served.sql() as sql:
        return Estate(served, sql, "mine")


def foreign(field: Field, theirs: Estate) -> Iterator[tuple[str, str]]:
    """Yield values of the other organization, each with one of nothing that looks like it."""
    if field.kind in TOKENS:
        with theirs.wire() as wire:
            yield token_of(wire, field, theirs), ""
        return
    # Also what the caller may choose, such as a writer: it is told apart by the organization.
    kind = field.kind or re.sub("_ids?$", "", field.path[-1])
    for name in (kind, *ALSO.get(kind, ()), *ALSO.get(field.name, ())):
        value = theirs.id_of(replace(field, kind=name))
        yield value, f"{uuid.uuid4()}-{uuid.uuid4()}"[: len(value)]


def tried(sql: Connection, mine: Estate, theirs: Estate) -> Iterator[Attempt]:
    """Make every attempt; say of each which tables it changed."""
    with mine.wire() as wire:
        for field in FIELDS:
            for value, absent in foreign(field, theirs):
                name = "__".join(field.path)
                before = {org.id: rows_of(sql, org.id) for org in (mine, theirs)}
                heard = exchange(wire, field.method, build(field.method, mine, **{name: value}))
                changed = [
                    f"{table} of {'mine' if org is mine else 'theirs'}"
                    for org in (mine, theirs)
                    for table, rows in rows_of(sql, org.id).items()
                    if rows != before[org.id][table]
                ]
                other = None
                if absent and expected(field) != OWN:
                    other = exchange(
                        wire, field.method, build(field.method, mine, **{name: absent})
                    )
                yield Attempt(field, value, absent, heard, other, changed)


@pytest.fixture(scope="module")
def attempts(served: UpServer, mine: Estate, theirs: Estate) -> list[Attempt]:
    """Every attempt, made once for all tests."""
    with served.sql() as sql:
        return list(tried(sql, mine, theirs))


@pytest.fixture(scope="module")
def log(served: UpServer, mine: Estate, attempts: list[Attempt]) -> str:
    """What the server logged of the calls of who asks."""
    with mine.wire() as wire:
        last = exchange(
            wire, "needletail.tracking.v1.Tracking/GetRun",
            build("needletail.tracking.v1.Tracking/GetRun", mine, id=str(uuid.uuid4())),
        ).status.request_id  # fmt: skip
    assert last
    wait_until("the last call is logged", lambda: last in served.log)
    return served.log


def of(attempts: list[Attempt], field: Field) -> list[Attempt]:
    """Return the attempts with a field."""
    found = [attempt for attempt in attempts if attempt.field == field]
    assert found
    return found


def test_every_method_of_the_server_is_tried(client: needletail.Client) -> None:
    served = {method.name for method in client.server.list_methods().methods}
    assert served == set(METHODS), "run Scripts/generate: the SDK does not know every method"
    assert set(EXCEPTIONS) <= {field.name for field in FIELDS}, "an exception is for no field"


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(KEYED)))
def test_what_is_tried_would_succeed_with_ones_own(mine: Estate, method: str) -> None:
    # Keyed methods are tried in test_keyed_methods.py, each in an organization of its own.
    with mine.wire() as wire:
        heard = exchange(wire, method, build(method, mine))
    assert heard.status.code == 0, (
        f"{short(method)}: {heard.status}: say in VALUES or KINDS of method_requests.py what its"
        " request needs"
    )


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_what_another_organization_has_is_not_there(attempts: list[Attempt], field: Field) -> None:
    for attempt in of(attempts, field):
        status, wanted = attempt.heard.status, expected(field)
        if wanted.endswith("_INVALID"):
            assert (status.code, status.reason) == (INVALID_ARGUMENT, wanted)
        elif wanted in {EMPTY, OWN}:
            assert status.code == 0, status
            assert wanted == OWN or not any(attempt.heard.messages)
        else:
            assert (status.code, status.reason) == (NOT_FOUND, wanted), (
                f"{field.name}: {status}: or say in EXCEPTIONS what it promises instead"
            )


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_what_another_has_is_answered_as_what_nobody_has(
    attempts: list[Attempt], field: Field
) -> None:
    for attempt in of(attempts, field):
        if attempt.heard_of_absent is None:
            continue
        answers = []
        for heard, value in (
            (attempt.heard, attempt.value), (attempt.heard_of_absent, attempt.absent),
        ):  # fmt: skip
            status = type(heard.status).FromString(heard.status.SerializeToString())
            status.request_id = ""
            told = status.SerializeToString(deterministic=True)
            answers.append((told.replace(value.encode(), b"..."), heard.messages))
        assert answers[0] == answers[1]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_nothing_is_changed_by_it(attempts: list[Attempt], field: Field) -> None:
    for attempt in of(attempts, field):
        if EXCEPTIONS.get(field.name) == OWN:
            # The caller's own change is made; the other organization's rows stay.
            assert not [table for table in attempt.changed if table.endswith("theirs")]
        else:
            assert attempt.changed == CHANGES.get(field.name, [])


def test_no_answer_tells_of_another_organization(attempts: list[Attempt], theirs: Estate) -> None:
    for attempt in attempts:
        # What was asked for may be said again.
        told = attempt.heard.frames.replace(attempt.value.encode(), b"")
        for text in (theirs.text, *theirs.ids.values()):
            assert text.encode() not in told, (attempt.field.name, text)


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(KEYED)))
def test_no_look_at_ones_own_tells_of_another_organization(
    mine: Estate, theirs: Estate, method: str
) -> None:
    whole = build(method, mine)
    with mine.wire() as wire:
        # Without its filters, a listing is of everything there is.
        for request in (whole, type(whole)()):
            heard = exchange(wire, method, request)
            assert heard.status.code in {0, INVALID_ARGUMENT}
            for text in (theirs.text, *theirs.ids.values()):
                assert text.encode() not in heard.frames


def test_no_log_line_tells_of_another_organization(log: str, mine: Estate, theirs: Estate) -> None:
    lines = [line for line in log.splitlines() if mine.id in line]
    assert len(lines) > len(FIELDS)
    for line in lines:
        for text in (theirs.text, theirs.id):
            assert text not in line.replace(theirs.ids["project_slug"], "")


def test_the_metrics_tell_of_no_organization(
    served: UpServer, attempts: list[Attempt], theirs: Estate
) -> None:
    assert attempts
    status, page = served.page("/metrics")
    assert status == 200
    for text in (theirs.text, *theirs.ids.values()):
        assert text not in page


# Texts that no organization chooses, or that it chooses from a list.
NOT_CHOSEN = {
    ("api_keys", "key_id"),
    ("api_keys", "key_prefix"),
    ("api_keys", "scopes"),
    ("audit_logs", "action"),
    ("audit_logs", "actor_type"),
    ("audit_logs", "outcome"),
    ("audit_logs", "reason"),
    ("audit_logs", "request_id"),
    ("audit_logs", "resource_type"),
    ("evaluation_datasets", "digest"),
    ("events", "actor_type"),
    ("events", "request_id"),
    ("events", "resource_type"),
    ("events", "type"),
    ("experiments", "status"),
    ("idempotency_records", "method"),
    ("invitations", "role"),
    ("issues", "severity"),
    ("issues", "status"),
    ("organization_memberships", "role"),
    ("organizations", "subscription_plan"),
    ("organizations", "subscription_status"),
    ("label_schemas", "input_kind"),
    ("label_schemas", "kind"),
    ("logged_models", "status"),
    ("project_members", "role"),
    ("projects", "visibility"),
    ("review_items", "status"),
    ("review_queues", "kind"),
    ("run_models", "role"),
    ("runs", "status"),
    ("trace_assessments", "kind"),
    ("traces", "state"),
    ("users", "kind"),
    ("webhooks", "status"),
    # Its words have no dashes, as the canary has.
    ("webhooks", "events"),
    # Nothing writes them yet.
    ("user_identities", "provider"),
    ("user_identities", "subject"),
    ("maintenance_tasks", "error"),
    ("maintenance_tasks", "name"),
    # A chunk's, which the estate's are too young to be merged into.
    ("metric_rollups", "key"),
    ("metric_remainders", "key"),
    ("model_version_stages", "from_stage"),
    ("model_version_stages", "stage"),
    ("model_versions", "stage"),
    ("model_versions", "status"),
    ("run_metric_definitions", "goal"),
    ("run_metric_definitions", "summary"),
}


def test_every_text_that_an_organization_chooses_holds_its_canary(
    sql: Connection, theirs: Estate
) -> None:
    conditions = {name: rows for name, rows in tables_of(sql).items() if rows != "true"}
    columns = sql.execute(
        "select table_name as table, column_name as column from information_schema.columns"
        " where table_schema = 'public' and udt_name in ('text', 'jsonb', '_text')"
        " and table_name = any(%s)",
        [list(conditions)],
    ).fetchall()
    assert len(columns) > len(NOT_CHOSEN)
    without = set()
    for row in columns:
        table, column = row["table"], row["column"]
        found = sql.execute(
            f"select count(*) as n from {table} where {conditions[table]}"
            f" and {column}::text like %(text)s",
            {"organization": theirs.id, "text": f"%{theirs.text}%"},
        ).fetchone()
        if found == {"n": 0}:
            without.add((table, column))
    assert without == NOT_CHOSEN, (
        "write the canary into a new column in estate.py, or say in NOT_CHOSEN that nobody chooses"
        f" it: {without ^ NOT_CHOSEN}"
    )


def test_a_slug_of_another_organization_is_free(mine: Estate, theirs: Estate) -> None:
    with mine.client() as client:
        slug = theirs.ids["project_slug"]
        assert client.identity.create_project(name="mine", slug=slug).slug == slug
