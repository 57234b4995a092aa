"""Fixtures: certificates, peers and clients that end with their test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from peer import Certificates, Peer, PeerConnection
from tracking_peer import Store

import needletail
from needletail._runs import uploader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    StartRun = Callable[..., needletail.ActiveRun]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One authority for all tests."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings or the spool of whoever runs it."""
    for name in ("URL", "API_KEY", "CA_FILE", "CONNECTION_FILE", "PROFILE", "CONFIG", "SPOOL_DIR"):
        monkeypatch.delenv(f"NEEDLETAIL_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def make_peer(certificates: Certificates) -> Iterator[Callable[..., Peer]]:
    """Makes peers that are closed after the test."""
    peers: list[Peer] = []

    def make(script: Callable[[PeerConnection], None], **options: Any) -> Peer:
        peers.append(Peer(certificates, script, **options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def connect(certificates: Certificates) -> Iterator[Callable[..., needletail.Client]]:
    """Makes clients of a peer that are closed before it."""
    clients: list[needletail.Client] = []

    def make(peer: Peer, **options: float) -> needletail.Client:
        client = needletail.connect(
            peer.url,
            api_key="ntl_test",
            ca_file=str(certificates.ca_file),
            timeout_seconds=options.get("timeout_seconds", 10.0),
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader, "FIRST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(uploader, "MAX_PAUSE_SECONDS", 0.05)


@pytest.fixture
def start_run(certificates: Certificates, tmp_path: Path) -> StartRun:
    def start(port: int, **options: Any) -> needletail.ActiveRun:
        options.setdefault("flush_seconds", 0.005)
        options.setdefault("spool_dir", tmp_path / "spool")
        return needletail.run(
            experiment=options.pop("experiment", "digits"),
            url=f"needletail://127.0.0.1:{port}",
            api_key="ntl_test",
            ca_file=str(certificates.ca_file),
            **options,
        )

    return start
