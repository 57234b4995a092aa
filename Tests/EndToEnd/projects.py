"""Everybody whom the tests of projects need, each with a client of their own."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from organizations import Organization, create_member, create_organization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program import Connection, UpServer


@dataclass(frozen=True, slots=True)
class Person:
    """A member with a client."""

    id: str
    api_key: str
    client: needletail.Client


@dataclass(frozen=True, slots=True)
class Team:
    """An organization of the test's own."""

    organization: Organization
    admin: Person
    owner: Person
    developer: Person
    viewer: Person

    def project(self, **fields: Any) -> Any:
        """Make a project that the owner owns."""
        return self.owner.client.identity.create_project(
            name=fields.pop("name", f"project {uuid.uuid4()}"), **fields
        )


@contextmanager
def open_team(served: UpServer, sql: Connection, name: str = "team") -> Iterator[Team]:
    """Make an organization and connect its members."""
    organization = create_organization(sql, name)
    row = sql.execute(
        "select user_id from organization_memberships where organization_id = %s",
        [organization.id],
    ).fetchone()
    assert row is not None
    with ExitStack() as stack:

        def person(identifier: uuid.UUID, api_key: str) -> Person:
            found = served.connection
            client = needletail.connect(
                f"needletail://{found['address']}:{found['port']}",
                api_key=api_key, ca_file=found["ca_file"],
            )  # fmt: skip
            return Person(str(identifier), api_key, stack.enter_context(client))

        def member(role: str) -> Person:
            made = create_member(sql, organization.id, role=role)
            return person(made.id, made.api_key)

        yield Team(
            organization, person(row["user_id"], organization.api_key),
            member("developer"), member("developer"), member("viewer"),
        )  # fmt: skip


def refused(
    reason: str, call: Callable[..., Any], /, *arguments: Any, **fields: Any
) -> needletail.CallError:
    """Make a call that must be refused with a reason; return the error."""
    with pytest.raises(needletail.CallError) as caught:
        call(*arguments, **fields)
    assert caught.value.reason == reason, caught.value
    return caught.value


def audited(sql: Connection, resource: str, action: str) -> list[dict[str, Any]]:
    """Return the details of what the audit log keeps of an action, oldest first."""
    rows = sql.execute(
        "select details from audit_logs where resource_id = %s and action = %s"
        " order by created_at, id",
        [resource, action],
    ).fetchall()
    return [row["details"] for row in rows]
