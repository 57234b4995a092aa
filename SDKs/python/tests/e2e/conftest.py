"""A real server, named by `NEEDLETAIL_CONNECTION_FILE`; without it these tests are skipped."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

import needletail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Taken at import: no test sees the environment of whoever runs it.
CONNECTION_FILE = os.environ.get("NEEDLETAIL_CONNECTION_FILE")


@pytest.fixture(autouse=True)
def server(clean_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Points the SDK's settings at the server."""
    del clean_environment
    if not CONNECTION_FILE:
        pytest.skip("no server: set NEEDLETAIL_CONNECTION_FILE")
    monkeypatch.setenv("NEEDLETAIL_CONNECTION_FILE", CONNECTION_FILE)
    monkeypatch.setenv("NEEDLETAIL_SPOOL_DIR", str(tmp_path / "spool"))


@pytest.fixture
def client(server: None) -> Iterator[needletail.Client]:
    del server
    with needletail.connect() as client:
        yield client


@pytest.fixture
def project(client: needletail.Client) -> str:
    return client.settings.project_id or client.identity.who_am_i().projects[0].id


@pytest.fixture
def experiment(client: needletail.Client, project: str) -> needletail.tracking.Experiment:
    """An experiment of the test's own."""
    return client.tracking.create_experiment(
        project_id=project, name=f"e2e {uuid.uuid4()}", config_json='{"seed": 1}'
    )
