"""People who have no key: calls by hand on connections that nobody has authenticated."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from team import IDENTITY, Team, identity
from wire import Wire

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

PHRASE = "correct horse battery"


def address(name: str = "eve") -> str:
    """Make an address that no other test has."""
    return f"{name}-{secrets.token_hex(6)}@example.com"


def stored(password: str = PHRASE) -> str:
    """Return a password as it is stored, of little cost."""
    salt = os.urandom(16)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=4_096, r=8, p=1, dklen=32)
    text = "$".join(base64.b64encode(part).rstrip(b"=").decode() for part in (salt, derived))
    return f"$scrypt$ln=12,r=8,p=1${text}"


def give_password(team: Team, user: str, password: str = PHRASE) -> str:
    """Write a password of a person, of little cost; return their address."""
    team.sql.execute("update users set password_hash = %s where id = %s", [stored(password), user])
    return str(team.value("select email from users where id = %(user)s", user=user))


class Guest:
    """A connection on which calls are made by hand, without a key unless one is given."""

    def __init__(self, team: Team, api_key: str = "") -> None:
        """Connect and say Hello."""
        self.wire = Wire.opened({**team.server, "api_key": api_key})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Close the connection."""
        self.wire.socket.close()

    def send(self, method: str, /, *, key: str = "", **fields: Any) -> int:
        """Send a call; return its stream."""
        request = identity(f"{method}Request", **fields)
        return self.wire.open(f"{IDENTITY}/{method}", request, key=key or str(uuid.uuid4()))

    def answer(self, method: str, stream: int) -> tuple[str, Any]:
        """Wait for a call's end; return its reason and its answer."""
        end = self.wire.end(stream)
        return end.status.reason, type(identity(f"{method}Response")).FromString(end.message)

    def call(self, method: str, /, *, key: str = "", **fields: Any) -> tuple[str, Any]:
        """Make a call; return its reason, which is empty for a success, and its answer."""
        return self.answer(method, self.send(method, key=key, **fields))


def accept(team: Team, token: str, password: str = PHRASE, **more: Any) -> tuple[str, Any]:
    """Accept an invitation without a key; return the reason and the answer."""
    with Guest(team) as guest:
        return guest.call("AcceptInvitation", token=token, password=password, **more)
