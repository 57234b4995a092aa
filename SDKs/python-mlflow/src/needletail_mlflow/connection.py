"""The connection: made at first use, one for each server and key of a process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import needletail
from needletail import settings as settings_module
from needletail.spools import RunSpools

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.keeping import patience_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail.client import Client
    from needletail.identity import ProjectSummary
    from needletail.settings import Settings

    from needletail_mlflow.uri import Place

_PROJECTS_PER_PAGE = 1_000
_NAMED_PROJECTS = 10
_VARIABLES = (
    "NEEDLETAIL_API_KEY",
    "NEEDLETAIL_CA_FILE",
    "NEEDLETAIL_CERTIFICATE_FILE",
    "NEEDLETAIL_KEY_FILE",
    "NEEDLETAIL_CONNECTION_FILE",
    "NEEDLETAIL_PROFILE",
)
_clients: dict[Settings, tuple[Client, RunSpools]] = {}
_lock = threading.Lock()


class Connection:
    """A client, and the project that it works in."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._shared: tuple[Client, RunSpools] | None = None
        self._said: tuple[str | None, ...] = ()
        self._project_id = ""

    @property
    def client(self) -> Client:
        """The client, which opens its connection with the first call."""
        return self._now()[0]

    @property
    def spools(self) -> RunSpools:
        """What is kept of runs while the server is away."""
        return self._now()[1]

    @property
    def project_id(self) -> str:
        """UUID of the project."""
        if not self._project_id:
            with TRANSLATED:
                self._project_id = self._find_project()
        return self._project_id

    def _now(self) -> tuple[Client, RunSpools]:
        # MLflow keeps its stores. Until one has worked, what is corrected in a notebook counts.
        if self._shared is not None and (self._project_id or self._said == _said()):
            return self._shared
        with TRANSLATED:
            self._said = _said()
            self._shared = _shared(
                settings_module.resolve(self.place.url, connect_timeout_seconds=patience_seconds())
            )
        return self._shared

    def _find_project(self) -> str:
        me = self.client.identity.who_am_i()
        # What is kept while the server is away is sent later with no other organization's key.
        self.spools.organization_id = me.organization_id
        named = self.place.project or self.client.settings.project_id
        if not named:
            return self._only_project(me.projects)
        found = {project.slug: project.id for project in me.projects}.get(named)
        return found or ids.to_uuid(named) or self._listed(named)

    def _listed(self, slug: str) -> str:
        """A project of many, of which the first were looked at already."""
        token = ""
        while True:
            page = self.client.identity.list_projects(
                page_size=_PROJECTS_PER_PAGE, page_token=token
            )
            for project in page.projects:
                if project.slug == slug:
                    return project.id
            token = page.next_page_token
            if not token:
                address = self.client.settings.address
                raise missing(
                    f"there is no project {slug} on {address} that this key can see: create it with"
                    f" `needletail projects create`, or name another one in the tracking URI"
                )

    def _only_project(self, projects: Sequence[ProjectSummary]) -> str:
        if len(projects) == 1:
            return projects[0].id
        known = ", ".join(project.slug for project in projects[:_NAMED_PROJECTS]) or "none yet"
        known += ", …" if len(projects) > _NAMED_PROJECTS else ""
        raise invalid(
            "the tracking URI names no project: write"
            f" needletail://{self.client.settings.address}/project, with one of: {known}"
        )


def _said() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in _VARIABLES)


def _shared(settings: Settings) -> tuple[Client, RunSpools]:
    # Both are good for any number of threads, and for forked children.
    with _lock:
        shared = _clients.get(settings)
        if shared is None:
            client = needletail.Client(settings)
            spools = RunSpools(client, finish_timeout_seconds=patience_seconds())
            shared = _clients[settings] = (client, spools)
        return shared


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 another thread of the parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
