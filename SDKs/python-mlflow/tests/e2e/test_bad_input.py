"""What a wrong setting, a server that is away or a weak key is answered with."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import needletail
import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    from collections.abc import Callable

# Taken at import: no test sees the environment of whoever runs it.
CONNECTION_FILE = os.environ.get("NEEDLETAIL_CONNECTION_FILE", "")
READING = ("experiment.get", "experiment.list", "project.list", "run.get", "run.list")


@pytest.fixture
def said(client: needletail.Client, monkeypatch, tmp_path) -> Callable[..., None]:
    """Says so much of what a user says, and nothing else."""
    server = json.loads(Path(CONNECTION_FILE).read_text(encoding="utf-8"))
    known = {
        "NEEDLETAIL_API_KEY": server["api_key"],
        "NEEDLETAIL_CA_FILE": server["ca_file"],
        "NEEDLETAIL_SPOOL_DIR": str(tmp_path),
        "HOME": str(tmp_path),
    }

    def say(**others: str) -> None:
        for name in list(os.environ):
            if name.startswith("NEEDLETAIL_"):
                monkeypatch.delenv(name)
        for name, value in {**known, **others}.items():
            if value:
                monkeypatch.setenv(name, value)

    monkeypatch.setattr(needletail.settings, "DEFAULT_TIMEOUT_SECONDS", 1.0)
    say()
    return say


def refused(uri: str, code: str, words: str) -> None:
    store = TrackingStore(uri)  # Nothing is wrong before the first call.
    with pytest.raises(MlflowException, match=words) as caught:
        store.create_run("0", "somebody", 1, [], None)
    assert caught.value.error_code == code


def test_a_key_that_is_missing_or_wrong(uri, said) -> None:
    said(NEEDLETAIL_API_KEY="")
    refused(uri, "INVALID_PARAMETER_VALUE", "set NEEDLETAIL_API_KEY")
    said(NEEDLETAIL_API_KEY="ntl_wrong")
    refused(uri, "UNAUTHENTICATED", "check NEEDLETAIL_API_KEY")


def test_an_authority_that_is_missing_or_not_there(uri, said) -> None:
    said(NEEDLETAIL_CA_FILE="")
    refused(uri, "INVALID_PARAMETER_VALUE", "not trusted.*set NEEDLETAIL_CA_FILE")
    said(NEEDLETAIL_CA_FILE="/nowhere.pem")
    refused(uri, "INVALID_PARAMETER_VALUE", "/nowhere.pem")


def test_a_project_that_is_unknown_or_not_named(uri, client, said) -> None:
    base = uri.rpartition("/")[0]
    refused(f"{base}/nowhere", "RESOURCE_DOES_NOT_EXIST", "no project nowhere.*create it")
    refused(f"{base}/{uuid.uuid4()}", "RESOURCE_DOES_NOT_EXIST", "PROJECT_NOT_FOUND")
    client.identity.create_project(name="another", slug=f"another-{uuid.uuid4().hex}")
    refused(base, "INVALID_PARAMETER_VALUE", "names no project: write needletail://.*with one of")


def test_a_server_that_is_away(said) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        uri = f"needletail://127.0.0.1:{port}/vision"
        refused(uri, "TEMPORARILY_UNAVAILABLE", "CONNECT_FAILED.*Look at MLFLOW_TRACKING_URI")
    refused("needletail://nobody.invalid/vision", "TEMPORARILY_UNAVAILABLE", "look up the name")


def test_a_key_without_the_scope_reads_and_no_more(uri, client, said, store) -> None:
    run = store.create_run("0", "somebody", 1, [], "theirs").info.run_id
    made = client.identity.create_api_key(name=uuid.uuid4().hex, scopes=READING)
    said(NEEDLETAIL_API_KEY=made.secret)
    assert TrackingStore(uri).get_run(run).info.run_name == "theirs"
    refused(uri, "PERMISSION_DENIED", "needs the permission run.create.*use a key whose scopes")


def test_a_key_without_the_scope_in_a_project_that_is_new(uri, client, said) -> None:
    made = client.identity.create_api_key(name=uuid.uuid4().hex, scopes=READING)
    said(NEEDLETAIL_API_KEY=made.secret)
    refused(uri, "PERMISSION_DENIED", "needs the permission experiment.create.*use a key whose")
    reader = TrackingStore(uri)
    assert reader.get_experiment("0").name == "Default"
    assert reader.get_experiment_by_name("Default").experiment_id == "0"
    assert [one.experiment_id for one in reader.search_experiments()] == ["0"]
    assert reader.search_runs(["0"], "", ViewType.ALL) == []
    said()
    run = TrackingStore(uri).create_run("0", "somebody", 1, [], "first").info.run_id
    said(NEEDLETAIL_API_KEY=made.secret)
    assert reader.get_run(run).info.experiment_id == "0"
    assert [one.info.run_id for one in reader.search_runs(["0"], "", ViewType.ALL)] == [run]


def test_a_port_where_no_tls_is_spoken(said) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1 << 12)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        port = listener.getsockname()[1]
        refused(f"needletail://127.0.0.1:{port}/x", "INVALID_PARAMETER_VALUE", "also at its port")


def test_what_is_corrected_counts_also_for_a_store_that_failed(uri, said) -> None:
    said(NEEDLETAIL_API_KEY="ntl_wrong")
    store = TrackingStore(uri)
    with pytest.raises(MlflowException, match="INVALID_API_KEY"):
        store.get_experiment("0")
    said()
    assert store.get_experiment("0").name == "Default"


@pytest.mark.parametrize("name", ["NEEDLETAIL_MLFLOW_SPOOL", "NEEDLETAIL_MLFLOW_PATIENCE_SECONDS"])
def test_settings_that_cannot_be(uri, said, name) -> None:
    said(**{name: "perhaps"})
    with pytest.raises(MlflowException, match=f"{name} is 'perhaps': write"):
        TrackingStore(uri)
