"""A real server, named by `NEEDLETAIL_CONNECTION_FILE`; without it these tests are skipped."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING
from unittest import mock

import mlflow
import needletail
import pytest
from mlflow import MlflowClient

from labs import Lab, Labs, new_project
from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60
# Taken at import: no test sees the environment of whoever runs it.
CONNECTION_FILE = os.environ.get("NEEDLETAIL_CONNECTION_FILE")


@pytest.fixture(autouse=True)
def _own_mlflow() -> Iterator[None]:
    """Lets a test set where the whole of MLflow is: the next test does not find it there."""
    with (
        mock.patch.dict(os.environ, MLFLOW_ALLOW_FILE_STORE="true"),
        mock.patch("mlflow.tracking.fluent._active_experiment_id", None),
    ):
        yield
        mlflow.set_tracking_uri(None)
        # Else runs, models and prompts of a store would be looked for in two places.
        mlflow.set_registry_uri(None)


@pytest.fixture
def client() -> Iterator[needletail.Client]:
    """The SDK's client."""
    if not CONNECTION_FILE:
        pytest.skip("no server: set NEEDLETAIL_CONNECTION_FILE")
    with needletail.connect() as client:
        yield client


@pytest.fixture
def uri(client: needletail.Client) -> str:
    """The tracking URI of a project of the test's own."""
    name = f"mlflow-{uuid.uuid4().hex}"
    client.identity.create_project(name=name, slug=name)
    return f"needletail://{client.settings.address}/{name}"


@pytest.fixture
def store(uri: str) -> TrackingStore:
    return TrackingStore(uri)


@pytest.fixture
def mlflow_client(uri: str) -> MlflowClient:
    return MlflowClient(uri, "sqlite://")


@pytest.fixture
def server(uri: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a server of MLflow's on a project."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port",
                str(port), "--workers", "1", "--backend-store-uri", uri,
                "--default-artifact-root", str(tmp_path),
            ],
            stdout=output, stderr=output, cwd=tmp_path, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()[-2_000:]
                assert time.monotonic() < deadline, log.read_text()[-2_000:]
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


class Gate:
    """A way to the server that can be cut: `close` and `open`; `mute` lets no answer through."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self._is_muted = False
        self.port = 0
        self.open()

    def open(self) -> None:
        self._is_muted = False
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def mute(self) -> None:
        self._is_muted = True

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._server)
                self._pairs += [client, server]
                self._pump(client, server, is_answer=False)
                self._pump(server, client, is_answer=True)

    def _pump(self, source: socket.socket, target: socket.socket, *, is_answer: bool) -> None:
        def pump() -> None:
            with contextlib.suppress(OSError), source:
                while data := source.recv(1 << 16):
                    if not (is_answer and self._is_muted):
                        target.sendall(data)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=pump, daemon=True).start()


@pytest.fixture
def gate(client: needletail.Client) -> Iterator[Gate]:
    """A way to the server that can be cut."""
    gate = Gate(client.settings.host, client.settings.port)
    yield gate
    gate.close()


@pytest.fixture
def gated_uri(uri: str, gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The project behind the gate, with little patience and a spool of the test's own."""
    monkeypatch.setenv("NEEDLETAIL_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("NEEDLETAIL_MLFLOW_PATIENCE_SECONDS", "0.5")
    return f"needletail://127.0.0.1:{gate.port}/{uri.rpartition('/')[2]}"


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lab]:
    """A store of MLflow's of each kind, that no test changes."""
    if not CONNECTION_FILE:
        pytest.skip("no server: set NEEDLETAIL_CONNECTION_FILE")
    return Labs(tmp_path_factory.mktemp)


@pytest.fixture
def project(client: needletail.Client) -> str:
    """The slug of a project of the test's own, to import into."""
    return new_project(client)
