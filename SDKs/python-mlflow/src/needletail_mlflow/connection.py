"""The connection: made at first use, one for each server and key of a process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import needletail
from needletail import settings as settings_module

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing

if TYPE_CHECKING:
    from needletail.client import Client
    from needletail.settings import Settings

    from needletail_mlflow.uri import Place

_PROJECTS_PER_PAGE = 1_000
_clients: dict[Settings, Client] = {}
_lock = threading.Lock()


class Connection:
    """A client, and the project that it works in."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._client: Client | None = None
        self._project_id = ""

    @property
    def client(self) -> Client:
        """The client, which opens its connection with the first call."""
        if self._client is None:
            with TRANSLATED:
                self._client = _client(settings_module.resolve(self.place.url))
        return self._client

    @property
    def project_id(self) -> str:
        """UUID of the project."""
        if not self._project_id:
            with TRANSLATED:
                self._project_id = self._find_project()
        return self._project_id

    def _find_project(self) -> str:
        named = self.place.project
        if not named:
            return self._only_project()
        uuid = ids.to_uuid(named)
        if uuid is not None:
            return uuid
        token = ""
        while True:
            page = self.client.identity.list_projects(
                page_size=_PROJECTS_PER_PAGE, page_token=token
            )
            for project in page.projects:
                if project.slug == named:
                    return project.id
            token = page.next_page_token
            if not token:
                raise missing(f"there is no project {named} on {self.client.settings.address}")

    def _only_project(self) -> str:
        if self.client.settings.project_id:
            return self.client.settings.project_id
        projects = self.client.identity.who_am_i().projects
        if len(projects) == 1:
            return projects[0].id
        known = ", ".join(project.slug for project in projects) or "none yet"
        raise invalid(
            "the tracking URI names no project: write"
            f" needletail://{self.client.settings.address}/project, with one of: {known}"
        )


def _client(settings: Settings) -> Client:
    # The client itself is good for any number of threads, and for forked children.
    with _lock:
        client = _clients.get(settings)
        if client is None:
            client = _clients[settings] = needletail.Client(settings)
        return client


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 another thread of the parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
