"""Webhooks: what is kept, and what `mlflow server` delivers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import logging
import os
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException
from needletail.registry import WebhookEvents

from needletail_mlflow import webhooks
from needletail_mlflow.registry_store import RegistryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail

KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
MODEL = WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED)
VERSION = WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED)
SECRET = "what signs"  # noqa: S105
WAIT_SECONDS = 60


def new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let webhooks lead to this machine, whose names MLflow does not look up then."""
    monkeypatch.setenv(KEY, new_key())
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")


@pytest.fixture
def registry(uri: str) -> RegistryStore:
    return RegistryStore(uri, uri)


def kept(registry: RegistryStore, client: needletail.Client) -> Any:
    """What the project has, as every client sees it."""
    return client.registry.list_webhooks(project_id=registry._connection.project_id).webhooks


def test_a_webhook_is_what_the_project_has(
    registry: RegistryStore, client: needletail.Client
) -> None:
    made = registry.create_webhook("hook", "https://localhost/a", [VERSION, MODEL], "d", SECRET)
    assert (made.status, made.events, made.secret) == (
        WebhookStatus.ACTIVE, [VERSION, MODEL], SECRET,
    )  # fmt: skip
    (stored,) = kept(registry, client)
    assert (stored.id, list(stored.events)) == (
        made.webhook_id, ["model_version.created", "registered_model.created"],
    )  # fmt: skip
    assert SECRET not in stored.sealed_secret
    assert stored.sealed_secret
    for found in (registry.get_webhook(made.webhook_id), *registry.list_webhooks()):
        assert vars(found) == vars(made)
    changed = registry.update_webhook(made.webhook_id, status=WebhookStatus.DISABLED)
    assert (changed.status, changed.name, changed.secret) == (
        WebhookStatus.DISABLED, "hook", SECRET,
    )  # fmt: skip
    assert changed.last_updated_timestamp > made.last_updated_timestamp
    changed = registry.update_webhook(made.webhook_id, description="", secret="", events=[MODEL])
    found = registry.get_webhook(made.webhook_id)
    assert (found.description, found.secret, found.events) == (None, "", [MODEL])
    bare = registry.create_webhook("bare", "http://localhost", [MODEL])
    assert (bare.description, bare.secret) == (None, None)
    registry.delete_webhook(made.webhook_id)
    assert [one.name for one in registry.list_webhooks()] == ["bare"]


def test_webhooks_are_listed_by_event(registry: RegistryStore) -> None:
    for number in range(120):
        registry.create_webhook(
            f"w{number}", "http://localhost", [MODEL, VERSION][: number % 2 + 1]
        )
    names = [f"w{number}" for number in reversed(range(120))]
    page = registry.list_webhooks()
    assert ([one.name for one in page], bool(page.token)) == (names[:100], True)
    page = registry.list_webhooks(page_token=page.token)
    assert ([one.name for one in page], page.token) == (names[100:], None)
    assert [one.name for one in registry.list_webhooks(1_000)] == names
    assert [one.name for one in registry.list_webhooks_by_event(VERSION)] == names[::2]
    page = registry.list_webhooks_by_event(VERSION, 1)
    assert [one.name for one in page] == ["w119"]
    page = registry.list_webhooks_by_event(VERSION, 1, page.token)
    assert [one.name for one in page] == ["w117"]
    for method in (
        registry.list_webhooks,
        lambda most: registry.list_webhooks_by_event(MODEL, most),
    ):
        for most in (-1, 1_001):
            with pytest.raises(MlflowException, match="max_results must be between 1 and 1000"):
                method(most)


def test_what_is_not_there_is_not_found(registry: RegistryStore) -> None:
    for wrong in ("none", "0" * 32, "01900000-0000-7000-8000-000000000000"):
        for method in (registry.get_webhook, registry.update_webhook, registry.delete_webhook):
            with pytest.raises(MlflowException, match=f"Webhook with ID {wrong} not found") as told:
                method(wrong)
            assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_what_this_mlflow_does_not_know_is_left_out(
    registry: RegistryStore, client: needletail.Client
) -> None:
    made = registry.create_webhook("w", "http://localhost", [MODEL]).webhook_id
    project = registry._connection.project_id
    for events, told in ((["x.y", str(MODEL)], [[MODEL]]), (["x.y"], [])):
        client.registry.update_webhook(
            project_id=project, webhook_id=made, events=WebhookEvents(events=events)
        )
        assert [one.events for one in registry.list_webhooks()] == told


def test_what_another_key_sealed_is_not_delivered(
    registry: RegistryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = registry.create_webhook("sealed", "http://localhost", [MODEL], secret=SECRET)
    registry.create_webhook("open", "http://localhost", [MODEL])
    monkeypatch.setenv(KEY, new_key())
    with caplog.at_level(logging.ERROR):
        found = registry.list_webhooks_by_event(MODEL)
    assert [one.name for one in found] == ["open"]
    assert f"the secret of webhook {sealed.webhook_id}" in caplog.text
    with pytest.raises(MlflowException, match=f"set {KEY} to that key") as told:
        registry.get_webhook(sealed.webhook_id)
    assert told.value.error_code == "INVALID_STATE"
    # It is seen, and may be given a new one.
    assert {one.name: one.secret for one in registry.list_webhooks()} == {
        "sealed": None, "open": None,
    }  # fmt: skip
    assert registry.update_webhook(sealed.webhook_id, secret=SECRET).secret == SECRET
    assert registry.get_webhook(sealed.webhook_id).secret == SECRET


def test_a_process_without_a_key_has_its_own(
    registry: RegistryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(KEY)
    made = registry.create_webhook("hook", "http://localhost", [MODEL], secret=SECRET)
    assert f"{KEY} is not set" in caplog.text
    assert registry.get_webhook(made.webhook_id).secret == SECRET
    webhooks._key_of_this_process.cache_clear()
    with pytest.raises(MlflowException, match=KEY):
        registry.get_webhook(made.webhook_id)
    monkeypatch.setenv(KEY, "no key")
    with pytest.raises(MlflowException, match=f"{KEY} is no key of Fernet"):
        registry.create_webhook("hook", "http://localhost", [MODEL], secret=SECRET)


class Listener:
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[Any, bytes]] = queue.Queue()
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.put((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


def test_a_server_of_mlflow_delivers(server: str, listener: Listener) -> None:
    client = MlflowClient(server, server)
    events = ["registered_model.created"]
    client.create_webhook("signed", listener.url, events, secret=SECRET)
    off = client.create_webhook("off", f"{listener.url}-off", events, status="DISABLED")
    assert [one.name for one in client.list_webhooks()] == ["off", "signed"]
    client.create_registered_model("fraud")
    headers, body = listener.heard.get(timeout=WAIT_SECONDS)
    told = json.loads(body)
    assert (told["entity"], told["action"]) == ("registered_model", "created")
    assert told["data"]["name"] == "fraud"
    signed = f"{headers['X-MLflow-Delivery-ID']}.{headers['X-MLflow-Timestamp']}.{body.decode()}"
    digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    assert headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert client.test_webhook(off.webhook_id).success
    headers, _ = listener.heard.get(timeout=WAIT_SECONDS)
    assert headers["X-MLflow-Signature"] is None
    client.delete_webhook(off.webhook_id)
    assert listener.heard.empty()
