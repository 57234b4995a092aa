"""A real server, named by `NEEDLETAIL_CONNECTION_FILE`; without it these tests are skipped."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import needletail
import pytest
from mlflow import MlflowClient

from labs import KINDS, Lab, new_project
from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    from collections.abc import Iterator

# Taken at import: no test sees the environment of whoever runs it.
CONNECTION_FILE = os.environ.get("NEEDLETAIL_CONNECTION_FILE")


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


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lab]:
    """A store of MLflow's of each kind, that no test changes."""
    if not CONNECTION_FILE:
        pytest.skip("no server: set NEEDLETAIL_CONNECTION_FILE")
    return {kind: Lab(tmp_path_factory.mktemp(kind), kind).fill() for kind in KINDS}


@pytest.fixture
def project(client: needletail.Client) -> str:
    """The slug of a project of the test's own, to import into."""
    return new_project(client)
