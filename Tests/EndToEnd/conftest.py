"""Fixtures: servers made by the real program, and ways to ask them."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from postgres import Cluster, create_database, drop_database
from program import Connection, UpServer, new_folder, remove
from seaweed import Seaweed
from wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import needletail

# Taken at import: no test sees the environment of whoever runs it.
GIVEN_CLUSTER = os.environ.get("NEEDLETAIL_TEST_POSTGRES")
for name in [name for name in os.environ if name.startswith("NEEDLETAIL_")]:
    del os.environ[name]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of the test's own."""
    folder = new_folder()
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def served() -> Iterator[UpServer]:
    """One server with a private PostgreSQL, for tests that leave it unharmed."""
    folder = new_folder()
    # Passwords are hashed cheaply: how dear they are is a setting's business.
    server = UpServer(
        folder, "--operations-port", "0", "--set", "log-every-call=on", "--set", "password-cost=12"
    )
    try:
        server.start()
        yield server
        assert server.stop() == 0, server.log[-4_000:]
    finally:
        server.discard()
        remove(folder)


@pytest.fixture
def own_server(place: Path) -> Iterator[Callable[..., UpServer]]:
    """Makes servers, with a private PostgreSQL, that a test may harm."""
    servers: list[UpServer] = []

    def make(*options: str, postgres: str | None = None, folder: str = "server") -> UpServer:
        servers.append(UpServer(place / folder, *options, postgres=postgres))
        return servers[-1]

    yield make
    for server in servers:
        server.discard()


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """The URL of a running PostgreSQL, for its superuser: the given one, or one made for this."""
    if GIVEN_CLUSTER:
        yield GIVEN_CLUSTER
        return
    folder = new_folder()
    cluster = Cluster(folder / "pg", "max_connections=100")
    try:
        cluster.start()
        yield cluster.url()
    finally:
        cluster.stop()
        remove(folder)


@pytest.fixture
def scratch_url(cluster_url: str) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    url = create_database(cluster_url)
    yield url
    drop_database(cluster_url, url)


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """One SeaweedFS for all servers that leave it unharmed, over HTTP and HTTPS."""
    folder = new_folder()
    started = Seaweed(folder / "weed")
    try:
        started.start()
        yield started
    finally:
        started.kill()
        remove(folder)


@pytest.fixture(scope="module")
def mortal_seaweed() -> Iterator[Seaweed]:
    """One SeaweedFS that tests start and kill."""
    folder = new_folder()
    made = Seaweed(folder / "weed")
    try:
        yield made
    finally:
        made.kill()
        remove(folder)


@pytest.fixture
def client(served: UpServer) -> Iterator[needletail.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def wire(served: UpServer) -> Iterator[Wire]:
    """A connection to the shared server, after Welcome."""
    with Wire.opened(served.connection) as wire:
        yield wire


@pytest.fixture
def sql(served: UpServer) -> Iterator[Connection]:
    """The shared server's database, as its superuser."""
    with served.sql() as connection:
        yield connection


@pytest.fixture
def experiment_id(served: UpServer, client: needletail.Client) -> str:
    """An experiment of the test's own on the shared server."""
    return client.tracking.create_experiment(
        project_id=served.connection["project_id"], name=f"test {uuid.uuid4()}"
    ).id


@pytest.fixture
def run_id(client: needletail.Client, experiment_id: str) -> str:
    """A running run of the test's own on the shared server."""
    return client.tracking.create_run(experiment_id=experiment_id).id
