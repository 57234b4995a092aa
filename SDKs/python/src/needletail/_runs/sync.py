"""Sends what earlier processes left in the spool."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from needletail._runs.ending import finish_as_left
from needletail._runs.log import log_feed
from needletail._runs.registration import register
from needletail._runs.run import default_spool_folder
from needletail._runs.spool import METADATA, Spool, SpoolOwnedError, writer_folders
from needletail._runs.uploader import METRICS, Uploader
from needletail.client import Client, connect
from needletail.errors import CallError, SettingsError

if TYPE_CHECKING:
    import os

    from needletail._runs.spool import Metadata

_log = logging.getLogger("needletail")
_UNBOUNDED = 1 << 62
_MEMORY_BYTES = 8 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What became of one writer's spool."""

    folder: str
    run_id: str
    """Empty when the run could not be created."""

    sent_points: int
    """Committed on the server now."""

    unsent_points: int
    """Still in the folder."""

    refused_points: int
    """Refused by the server for good, and dropped."""

    damaged_records: int
    """Records that the disk did not keep whole."""

    problem: str
    """Why something is left; empty when nothing is."""


def sync(
    *,
    spool_dir: str | os.PathLike[str] | None = None,
    client: Client | None = None,
    timeout_seconds: float = 300.0,
) -> list[SyncReport]:
    """Sends what earlier processes left: points first, then the end of their runs.

    Folders of processes that are alive are passed over. Safe to repeat and to interrupt: the server
    knows what it has. Without a client one is made as by `connect()`.

    Raises:
        CallError: The server can't be reached or refuses the key.
        SettingsError: A setting is missing.
    """
    owned = client is None
    client = client or connect()
    try:
        until = time.monotonic() + timeout_seconds
        organization = client.identity.who_am_i().organization_id
        folder = Path(spool_dir) if spool_dir is not None else default_spool_folder()
        reports = []
        held: set[str] = set()
        for path in _lines_first(writer_folders(folder)):
            try:
                spool = Spool(path, max_bytes=_UNBOUNDED)
            except SpoolOwnedError:
                continue
            reports.append(_sync_one(client, spool, organization, until, held))
        return reports
    finally:
        if owned:
            client.close()


def _lines_first(folders: list[Path]) -> list[Path]:
    """A run is ended with its points, and then takes no lines."""

    def is_of_points(folder: Path) -> bool:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            content = json.loads((folder / METADATA).read_text(encoding="utf-8"))
            return bool(content.get("kind") != "logs")
        return True

    return sorted(folders, key=is_of_points)


def _sync_one(
    client: Client, spool: Spool, organization: str, until: float, held: set[str]
) -> SyncReport:
    """Sends what one writer left; `held` are keys of runs that are not to end yet."""
    try:
        metadata = spool.load()
    except ValueError as error:
        spool.release()
        return _report(spool, None, "", str(error))
    uploader = Uploader(
        client,
        metadata,
        spool,
        flush_seconds=0.2,
        memory_max_bytes=_MEMORY_BYTES,
        feed=log_feed(0) if metadata.kind == "logs" else METRICS,
    )
    for batch in spool.batches():
        if batch.number > metadata.offset:
            uploader.add_loaded(batch)
        else:
            spool.forget(batch)
    problem = ""
    if metadata.organization_id not in {"", organization}:
        problem = f"it belongs to organization {metadata.organization_id}"
    else:
        try:
            if not metadata.run_id:
                found = register(client, metadata, lambda: max(0.05, until - time.monotonic()))
                uploader.registered(found)
            problem = _send(uploader, until)
            problem = problem or _finish(client, metadata, held)
        except (CallError, SettingsError) as error:
            problem = str(error)
    if problem and metadata.kind == "logs":
        held.add(metadata.run_key)
    if problem:
        spool.release()
    else:
        spool.remove()
    return _report(spool, uploader, metadata.run_id, problem)


def _send(uploader: Uploader, until: float) -> str:
    uploader.start()
    is_sent = uploader.wait_until_sent(until)
    uploader.stop(5.0)
    if is_sent:
        return ""
    last = uploader.errors[-1] if uploader.errors else "no answer in time"
    return f"not everything could be sent: {last}"


def _finish(client: Client, metadata: Metadata, held: set[str]) -> str:
    if metadata.finish_status and metadata.run_key in held:
        return "its lines come first, and they could not all be sent"
    problem = finish_as_left(client, metadata)
    return "" if problem is None else str(problem)


def _report(spool: Spool, uploader: Uploader | None, run_id: str, problem: str) -> SyncReport:
    sent = uploader.appender.acknowledged_points + uploader.owed.sent_points if uploader else 0
    return SyncReport(
        folder=str(spool.folder),
        run_id=run_id,
        sent_points=sent,
        unsent_points=uploader.unsent_points if uploader else 0,
        refused_points=uploader.appender.refused_points if uploader else 0,
        damaged_records=spool.damaged_records,
        problem=problem,
    )
