"""Webhooks, which `mlflow server` delivers, and the secrets that its deliveries are signed with."""

from __future__ import annotations

import base64
import contextlib
import functools
import logging
import os
from typing import TYPE_CHECKING, Any

from mlflow.entities import webhook as mlflow_webhook
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_STATE
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils import validation
from needletail.errors import CallError
from needletail.registry import WebhookEvents, WebhookStatus

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import gathered
from needletail_mlflow.times import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail.registry import Webhook as Stored

    from needletail_mlflow.connection import Connection

_KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
_STANDARD = 100
_MOST = 1_000
_PAGE = 100
_STATUSES = {one.name: one for one in WebhookStatus if one.value}
_logger = logging.getLogger(__name__)


class Webhooks:
    """The webhooks of a project."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # What MLflow calls.

    def create(self, name, url, events, description, secret, status):
        validation._validate_webhook_name(name)
        validation._validate_webhook_url(url)
        validation._validate_webhook_events(events)
        with TRANSLATED:
            stored = self._registry.create_webhook(
                project_id=self._connection.project_id,
                name=name,
                url=url,
                events=_written(events),
                description=description or "",
                sealed_secret=_sealed(secret) or "",
                status=_status(status) or WebhookStatus.ACTIVE,
            )
        return _told(stored, secret)

    def get(self, webhook_id):
        with TRANSLATED:
            stored = self._called(self._registry.get_webhook, webhook_id)
        return _told(stored, _opened(stored))

    def list(self, max_results, page_token):
        found, token = self._pages("", max_results, page_token)
        return PagedList([_told(one, _seen(one)) for one in found if _events(one)], token)

    def list_by_event(self, event, max_results, page_token):
        found, token = self._pages(_written([event])[0], max_results, page_token)
        told = []
        for one in found:
            try:
                told.append(_told(one, _opened(one)))
            except MlflowException as error:
                # It is not delivered without a signature; the others are delivered.
                _logger.error("A webhook is not delivered: %s", error.message)  # noqa: TRY400
        return PagedList(told, token)

    def update(self, webhook_id, name, description, url, events, secret, status):
        if name is not None:
            validation._validate_webhook_name(name)
        if url is not None:
            validation._validate_webhook_url(url)
        if events is not None:
            validation._validate_webhook_events(events)
        with TRANSLATED:
            stored = self._called(
                self._registry.update_webhook,
                webhook_id,
                name=name,
                description=description,
                url=url,
                events=None if events is None else WebhookEvents(events=tuple(_written(events))),
                sealed_secret=_sealed(secret),
                status=_status(status),
            )
        return _told(stored, _seen(stored) if secret is None else secret)

    def delete(self, webhook_id):
        with TRANSLATED:
            self._called(self._registry.delete_webhook, webhook_id)

    # How it is done.

    @property
    def _registry(self):
        return self._connection.client.registry

    def _called(self, method, webhook_id, **fields: Any) -> Any:
        uuid = ids.to_uuid(webhook_id)
        try:
            if uuid is not None:
                return method(project_id=self._connection.project_id, webhook_id=uuid, **fields)
        except CallError as error:
            if error.reason != "WEBHOOK_NOT_FOUND":
                raise
        raise missing(f"Webhook with ID {webhook_id} not found.")

    def _pages(self, event: str, max_results, page_token) -> tuple[Sequence[Stored], str | None]:
        most = max_results or _STANDARD
        if not 1 <= most <= _MOST:
            raise invalid(f"max_results must be between 1 and {_MOST}.")

        def read(size: int, token: str) -> tuple[Sequence[Stored], str]:
            page = self._registry.list_webhooks(
                project_id=self._connection.project_id, event=event, page_size=size,
                page_token=token,
            )  # fmt: skip
            return page.webhooks, page.next_page_token

        with TRANSLATED:
            return gathered(read, most, page_token or "", _PAGE)


# What is stored.


def _told(stored: Stored, secret: str | None):
    return mlflow_webhook.Webhook(
        webhook_id=stored.id,
        name=stored.name,
        url=stored.url,
        events=_events(stored),
        creation_timestamp=to_ms(stored.created_at),
        last_updated_timestamp=to_ms(stored.updated_at),
        description=stored.description or None,
        status=stored.status.name,
        secret=secret,
    )


def _events(stored: Stored) -> list[Any]:
    """What this MLflow knows of what a webhook is told of; others may have written more."""
    found = []
    for event in stored.events:
        with contextlib.suppress(ValueError, MlflowException):
            found.append(mlflow_webhook.WebhookEvent(*event.split(".")))
    return found


def _written(events: Sequence[Any]) -> list[str]:
    return [f"{event.entity.value}.{event.action.value}" for event in events]


def _status(status: Any) -> WebhookStatus | None:
    if status is None:
        return None
    name = getattr(status, "value", status)
    if name not in _STATUSES:
        raise invalid(f"Invalid webhook status {name!r}: it must be one of {', '.join(_STATUSES)}")
    return _STATUSES[name]


# Secrets, which are encrypted as MLflow's own store encrypts them: the server never sees one.


def _sealed(secret: str | None) -> str | None:
    if secret is None:
        return None
    if not os.environ.get(_KEY):
        _logger.warning(
            "%s is not set: what signs deliveries of the webhook is known to this process only, and"
            " lost when it ends",
            _KEY,
        )
    return _cipher().encrypt(secret.encode()).decode()


def _opened(stored: Stored) -> str | None:
    if not stored.sealed_secret:
        return None
    cipher = _cipher()
    try:
        return cipher.decrypt(stored.sealed_secret.encode()).decode()
    except Exception as error:
        message = (
            f"the secret of webhook {stored.id} was encrypted with another key than this process"
            f" has: set {_KEY} to that key, or give the webhook another secret"
        )
        raise MlflowException(message, INVALID_STATE) from error


def _seen(stored: Stored) -> str | None:
    """The secret where it is not needed: none, if the key is another one."""
    with contextlib.suppress(MlflowException):
        return _opened(stored)
    return None


def _cipher():
    try:
        from cryptography.fernet import Fernet  # noqa: PLC0415 the whole MLflow brings it along
    except ImportError as error:
        raise invalid("secrets of webhooks need the package cryptography: install it") from error
    try:
        return Fernet(os.environ.get(_KEY) or _key_of_this_process())
    except ValueError as error:
        raise invalid(f"{_KEY} is no key of Fernet: {error}") from error


@functools.cache
def _key_of_this_process() -> bytes:
    return base64.urlsafe_b64encode(os.urandom(32))
