"""More people for an organization, written by plain SQL as maintenance."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import needletail
from needletail._generated.descriptors import message_class
from organizations import Organization, create_organization, make_key, uuid7
from wire import Wire

if TYPE_CHECKING:
    from program import Connection

IDENTITY = "needletail.identity.v1.Identity"


def identity(name: str, /, **fields: Any) -> Any:
    """Make a message of the Identity service by its short name."""
    return message_class(f"needletail.identity.v1.{name}")(**fields)


@dataclass(frozen=True, slots=True)
class Person:
    """A member with a key."""

    id: str
    api_key: str


class Team:
    """An organization of a test's own, on a server that others use too."""

    def __init__(self, sql: Connection, server: dict[str, Any], name: str = "team") -> None:
        """Write one with one administrator, and no bound to its members."""
        self.sql = sql
        self.server = server
        self.organization: Organization = create_organization(sql, name)
        self.id = str(self.organization.id)
        self.allow(None)
        self.admin = Person(
            str(self.value("select user_id from organization_memberships where organization_id = "
                           "%(org)s")),
            self.organization.api_key,
        )  # fmt: skip

    def allow(self, members: int | None) -> None:
        """Bound the organization's members; None = no bound."""
        self.sql.execute(
            "update organizations set subscription_plan = 'enterprise', max_users = %s"
            " where id = %s",
            [members, self.organization.id],
        )

    def join(self, role: str = "developer", scopes: tuple[str, ...] = ("*",)) -> Person:
        """Write a person of the organization, in its project too."""
        user = uuid7()
        organization = self.organization.id
        with self.sql.transaction():
            self.sql.execute("set local role needletail_maintenance")
            self.sql.execute(
                "insert into users (id, email, display_name) values (%s, %s, 'Eve')",
                [user, f"eve-{user}@example.com"],
            )
            self.sql.execute(
                "insert into organization_memberships (organization_id, id, user_id, role,"
                " invited_by) values (%s, %s, %s, %s, %s)",
                [organization, uuid7(), user, role, self.admin.id],
            )
            self.sql.execute(
                "insert into project_members (organization_id, id, project_id, user_id, added_by)"
                " values (%s, %s, %s, %s, %s)",
                [organization, uuid7(), self.organization.project_id, user, self.admin.id],
            )
        return Person(str(user), self.key(str(user), scopes))

    def key(self, user: str, scopes: tuple[str, ...] = ("*",)) -> str:
        """Write a key of a user or service account."""
        identifier, key = make_key()
        with self.sql.transaction():
            self.sql.execute("set local role needletail_maintenance")
            self.sql.execute(
                "insert into api_keys (organization_id, id, user_id, name, key_id, key_prefix,"
                " secret_hash, scopes, created_by) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    self.organization.id, uuid7(), user, f"key {secrets.token_hex(4)}", identifier,
                    f"ntl_{identifier[:4]}…", hashlib.sha256(key.encode()).digest(), list(scopes),
                    user,
                ],
            )  # fmt: skip
        return key

    def client(self, person: Person | None = None, key: str = "") -> needletail.Client:
        """Connect the SDK as somebody; the administrator unless said."""
        return needletail.connect(
            f"needletail://{self.server['address']}:{self.server['port']}",
            api_key=key or (person or self.admin).api_key,
            ca_file=self.server["ca_file"],
        )

    def wire(self, person: Person | None = None) -> Wire:
        """Connect by hand as somebody; the administrator unless said."""
        return Wire.opened({**self.server, "api_key": (person or self.admin).api_key})

    def is_taken(self, key: str) -> bool:
        """Whether the server takes a key."""
        try:
            with self.client(key=key) as client:
                client.identity.who_am_i()
        except needletail.CallError as error:
            if error.reason != "INVALID_API_KEY":
                raise
            return False
        return True

    def value(self, query: str, **parameters: Any) -> Any:
        """Return the only value of a query's only row; %(org)s is the organization."""
        row = self.sql.execute(query, {"org": self.organization.id, **parameters}).fetchone()
        assert row is not None
        (value,) = row.values()
        return value

    def journal(self, action: str, resource: str) -> list[dict[str, Any]]:
        """Return the details of the audit entries of an action."""
        rows = self.sql.execute(
            "select details, actor_id::text as actor from audit_logs where organization_id = %s"
            " and action = %s and resource_id = %s and outcome = 'success' order by id",
            [self.organization.id, action, uuid.UUID(resource)],
        ).fetchall()
        return [dict(row) for row in rows]

    def events(self, kind: str, resource: str) -> int:
        """Count the events of a kind."""
        return int(
            self.value(
                "select count(*) from events where organization_id = %(org)s and type = %(kind)s"
                " and resource_id = %(resource)s",
                kind=kind, resource=uuid.UUID(resource),
            )
        )  # fmt: skip
