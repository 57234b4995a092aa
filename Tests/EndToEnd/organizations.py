"""Another organization, written by plain SQL as maintenance, with a key of its own."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from program import Connection

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def uuid7() -> uuid.UUID:
    """Make a UUIDv7 of now."""
    tail = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(3 << 62)
    return uuid.UUID(int=int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | tail)


def make_key() -> tuple[str, str]:
    """Make an API key; return its public part and the whole."""
    identifier = "".join(secrets.choice(DIGITS) for _ in range(12))
    body = f"ntl_{identifier}_" + "".join(secrets.choice(DIGITS) for _ in range(43))
    rest = zlib.crc32(body.encode())
    checksum = ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        checksum = DIGITS[digit] + checksum
    return identifier, body + checksum


@dataclass(frozen=True, slots=True)
class Organization:
    """What a test has to know of one."""

    id: uuid.UUID
    project_id: uuid.UUID
    api_key: str

    def connection(self, server: dict[str, Any]) -> dict[str, Any]:
        """Return how to connect to the same server as this organization."""
        return {
            **server,
            "api_key": self.api_key,
            "organization_id": str(self.id),
            "project_id": str(self.project_id),
        }


def create_organization(
    sql: Connection, name: str, *, role: str = "admin", scopes: tuple[str, ...] = ("*",)
) -> Organization:
    """Write an organization with one member, a project and a key."""
    identifier, key = make_key()
    organization, user, project = uuid7(), uuid7(), uuid7()
    slug = f"{name}-{secrets.token_hex(4)}"
    with sql.transaction():
        sql.execute("set local role needletail_maintenance")
        sql.execute(
            "insert into organizations (id, name, slug, billing_email) values (%s, %s, %s, %s)",
            [organization, name, slug, f"{slug}@example.com"],
        )
        sql.execute(
            "insert into users (id, email, display_name) values (%s, %s, %s)",
            [user, f"ada@{slug}.example", name],
        )
        sql.execute(
            "insert into organization_memberships (organization_id, id, user_id, role)"
            " values (%s, %s, %s, %s)",
            [organization, uuid7(), user, role],
        )
        sql.execute(
            "insert into projects"
            " (organization_id, id, name, slug, visibility, created_by)"
            " values (%s, %s, %s, 'default', 'organization', %s)",
            [organization, project, name, user],
        )
        sql.execute(
            "insert into api_keys (organization_id, id, user_id, name, key_id, key_prefix,"
            " secret_hash, scopes, created_by) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                organization, uuid7(), user, "test", identifier, f"ntl_{identifier[:4]}…",
                hashlib.sha256(key.encode()).digest(), list(scopes), user,
            ],
        )  # fmt: skip
    return Organization(organization, project, key)


@dataclass(frozen=True, slots=True)
class Member:
    """What a test has to know of somebody in an organization."""

    id: uuid.UUID
    api_key: str


def create_member(sql: Connection, organization: uuid.UUID, *, role: str = "developer") -> Member:
    """Write another member of an organization, with a key."""
    identifier, key = make_key()
    user = uuid7()
    with sql.transaction():
        sql.execute("set local role needletail_maintenance")
        sql.execute(
            "insert into users (id, email, display_name) values (%s, %s, %s)",
            [user, f"{user}@example.com", f"member {user}"],
        )
        sql.execute(
            "insert into organization_memberships (organization_id, id, user_id, role)"
            " values (%s, %s, %s, %s)",
            [organization, uuid7(), user, role],
        )
        sql.execute(
            "insert into api_keys (organization_id, id, user_id, name, key_id, key_prefix,"
            " secret_hash, scopes, created_by) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                organization, uuid7(), user, "test", identifier, f"ntl_{identifier[:4]}…",
                hashlib.sha256(key.encode()).digest(), ["*"], user,
            ],
        )  # fmt: skip
    return Member(user, key)
