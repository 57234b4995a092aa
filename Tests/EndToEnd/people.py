"""People with passwords, and how they log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import needletail
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from team import Person, Team

PASSWORD, WRONG, OTHER = "correct horse battery", "wrong horse", "another password"


def refused(reason: str, call: Callable[[], object]) -> needletail.CallError:
    """Expect a refusal for a reason."""
    with pytest.raises(needletail.CallError) as caught:
        call()
    assert caught.value.reason == reason, caught.value
    return caught.value


def email(person: Person) -> str:
    """The address that the team gave somebody."""
    return f"eve-{person.id}@example.com"


def with_password(team: Team, role: str = "developer", password: str = PASSWORD) -> Person:
    """Let somebody join who has chosen a password."""
    person = team.join(role)
    with team.client(person) as client:
        client.identity.change_password(new_password=password)
    return person


def nobody(server: dict[str, Any]) -> needletail.Client:
    """Connect without an API key."""
    return needletail.connect(url(server), is_anonymous=True, ca_file=server["ca_file"])


def url(server: dict[str, Any]) -> str:
    """Where a server is."""
    return f"needletail://{server['address']}:{server['port']}"


def login(server: dict[str, Any], address: str, password: str = PASSWORD, **more: Any) -> Any:
    """Log in on a connection of its own."""
    return needletail.login(address, password, url=url(server), ca_file=server["ca_file"], **more)
