"""The certificates that Certificates/make-development-ca makes, in front of a server."""

from __future__ import annotations

import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from program import ROOT, Server

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROOT / "Certificates" / "make-development-ca"


def make(folder: Path, *options: str) -> str:
    result = subprocess.run(
        [SCRIPT, "--out", folder, *options], capture_output=True, text=True, check=True, cwd="/"
    )
    return result.stdout


def names(folder: Path) -> set[str]:
    """Return the names of the certificate that a strict client is shown, which it must trust."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["needletail/1"])
    # The database is of no matter to a handshake.
    server = Server(
        folder / "server", "serve", "--postgres", "host=/nonexistent", "--port", "0",
        "--certificate", folder / "server.pem", "--key", folder / "server.key",
    )  # fmt: skip
    try:
        server.start()
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            shown = secure.getpeercert()
            assert shown is not None
            return {str(value) for _, value in shown["subjectAltName"]}
    finally:
        server.discard()


def test_a_strict_client_trusts_them(place: Path) -> None:
    make(place, "--host", "train.internal")
    assert names(place) == {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1", "train.internal"}


def test_keys_are_for_their_owner_alone(place: Path) -> None:
    make(place)
    for key in ("ca.key", "server.key"):
        assert (place / key).stat().st_mode & 0o777 == 0o600


def test_they_are_kept_until_a_host_is_missing(place: Path) -> None:
    make(place, "--host", "one.internal")
    before = {name: (place / name).read_bytes() for name in ("ca.pem", "server.pem")}
    assert "kept" in make(place, "--host", "one.internal")
    assert (place / "server.pem").read_bytes() == before["server.pem"]
    make(place, "--host", "two.internal")
    assert (place / "ca.pem").read_bytes() == before["ca.pem"]
    assert {"one.internal", "two.internal"} <= names(place)


def test_a_host_that_is_none_is_named(place: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        make(place, "--host", "no host")
    assert '"no host"' in caught.value.stderr
