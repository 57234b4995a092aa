"""Starting a run."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from needletail import settings as settings_module
from needletail._runs.active import ActiveRun
from needletail._runs.spool import Metadata
from needletail._runs.summary import Options
from needletail.client import Client, new_idempotency_key
from needletail.errors import SettingsError

DEFAULT_SPOOL_MAX_BYTES = 1 << 30
DEFAULT_MEMORY_MAX_BYTES = 64 << 20


def default_spool_folder() -> Path:
    """`NEEDLETAIL_SPOOL_DIR`, else `~/.cache/needletail/spool`."""
    named = os.environ.get("NEEDLETAIL_SPOOL_DIR")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "needletail" / "spool"


def run(
    *,
    experiment: str,
    project: str | None = None,
    name: str = "",
    description: str = "",
    client: Client | None = None,
    url: str | None = None,
    api_key: str | None = None,
    ca_file: str | None = None,
    profile: str | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    spool_max_bytes: int = DEFAULT_SPOOL_MAX_BYTES,
    memory_max_bytes: int = DEFAULT_MEMORY_MAX_BYTES,
    flush_seconds: float = 0.2,
    start_timeout_seconds: float = 10.0,
    finish_timeout_seconds: float = 30.0,
) -> ActiveRun:
    """Starts a run; finds the experiment by its name, or creates it.

    When the server can't be reached within `start_timeout_seconds`, the run starts all the same:
    its points go to the spool, and it is created once the server is there.

    Args:
        experiment: Name or UUID of the experiment.
        project: UUID, slug or name; else the stored profile's, else the only one there is.
        name: Of the run; empty = the server makes one.
        description: For people.
        client: A client to share; else one is made from the settings.
        url: As for `connect`.
        api_key: As for `connect`.
        ca_file: As for `connect`.
        profile: As for `connect`.
        spool_dir: Where points wait; else `NEEDLETAIL_SPOOL_DIR`, else
            `~/.cache/needletail/spool`.
        spool_max_bytes: How large that folder may become; what comes after is dropped and
            counted.
        memory_max_bytes: How much of the unsent is also kept in memory.
        flush_seconds: How long points are collected before they are sent.
        start_timeout_seconds: How long to wait for the server at the start.
        finish_timeout_seconds: How long `with` waits at its end until everything is sent.

    Raises:
        CallError: The server refused: a wrong key, no such project, no permission.
        SettingsError: A setting is missing or makes no sense.
    """
    if not experiment:
        raise SettingsError("a run needs the name of its experiment")
    owned = client is None
    if client is None:
        client = Client(
            settings_module.resolve(url, api_key=api_key, ca_file=ca_file, profile=profile)
        )
    metadata = Metadata(
        writer_id=str(uuid.uuid4()),
        project=project or client.settings.project_id,
        experiment=experiment,
        run_name=name,
        description=description,
        experiment_key=new_idempotency_key(),
        run_key=new_idempotency_key(),
    )
    folder = Path(spool_dir) if spool_dir is not None else default_spool_folder()
    active = ActiveRun(
        client,
        metadata,
        Options(folder, spool_max_bytes, memory_max_bytes, flush_seconds, finish_timeout_seconds),
        owns_client=owned,
    )
    active.begin(start_timeout_seconds)
    return active
