"""`--client-ca`: who comes without a certificate of that authority is told so, key or not."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from authority import Authority
from organizations import create_organization
from program import Server, connect_sql, migrate, run_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNAVAILABLE = 6


class Club:
    """A `serve` that asks for certificates, and whom it knows."""

    def __init__(self, place: Path, url: str) -> None:
        for name in ("servers", "members", "strangers"):
            (place / name).mkdir()
        servers = Authority(place / "servers")
        members = Authority(place / "members")
        self.pairs = {
            "a member": members.pair("trainer"),
            "a stranger": Authority(place / "strangers").pair("trainer"),
            "nobody": None,
        }
        migrate(url, "up")
        with connect_sql(url) as sql:
            organization = create_organization(sql, "acme")
        pair = servers.pair("server")
        self.server = Server(
            place / "server", "serve", "--postgres", url, "--port", "0", "--certificate",
            pair.certificate, "--key", pair.key, "--client-ca", members.ca_file,
        )  # fmt: skip
        self.server.start()
        self.place = place
        self.connection = organization.connection({
            "address": "127.0.0.1",
            "port": self.server.port,
            "ca_file": str(servers.ca_file),
        })  # fmt: skip

    def connection_of(self, who: str) -> Path:
        """Write the connection file of somebody."""
        pair = self.pairs[who]
        own = {"certificate_file": str(pair.certificate), "key_file": str(pair.key)} if pair else {}
        file = self.place / "connection.json"
        file.write_text(json.dumps({**self.connection, **own}))
        return file


@pytest.fixture
def club(place: Path, scratch_url: str) -> Iterator[Club]:
    club = Club(place, scratch_url)
    yield club
    club.server.discard()


def whoami(club: Club, who: str) -> Any:
    return run_program("whoami", "--connection-file", club.connection_of(who))


def test_the_program_of_a_member_is_served(club: Club) -> None:
    result = whoami(club, "a member")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("who", ["a stranger", "nobody"])
def test_the_program_of_another_says_what_is_missing(club: Club, who: str) -> None:
    result = whoami(club, who)
    assert result.returncode == UNAVAILABLE, result.stdout
    assert "TLS_FAILED" in result.stderr
    assert "NEEDLETAIL_CERTIFICATE_FILE" in result.stderr


def test_the_sdk_of_a_member_is_served(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLETAIL_CONNECTION_FILE", str(club.connection_of("a member")))
    with needletail.connect() as client:
        assert client.identity.who_am_i().organization_id


@pytest.mark.parametrize("who", ["a stranger", "nobody"])
def test_the_sdk_of_another_gives_up_at_once(
    club: Club, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setenv("NEEDLETAIL_CONNECTION_FILE", str(club.connection_of(who)))

    async def ask() -> None:
        async with needletail.aio.connect() as client:
            # Without a limit: only an error at once ends it.
            await client.identity.who_am_i(timeout_seconds=3_600)

    with needletail.connect() as client, pytest.raises(needletail.CallError) as caught:
        client.identity.who_am_i(timeout_seconds=3_600)
    with pytest.raises(needletail.CallError) as caught_later:
        asyncio.run(ask())
    for error in (caught.value, caught_later.value):
        assert error.reason == "TLS_FAILED"
        assert "certificate_file" in str(error)
