"""What is done when a run ends: on the server, and with what is left of its spools."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from needletail.errors import CallError

if TYPE_CHECKING:
    from needletail._generated.tracking import RunStatus
    from needletail._runs.uploader import Uploader
    from needletail.client import Client

_log = logging.getLogger("needletail")
_STOP_PATIENCE_SECONDS = 5.0


def finish_on_server(
    client: Client, uploader: Uploader, status: RunStatus, timeout_seconds: float
) -> bool:
    """Ends the run; returns whether the server knows that it has ended."""
    metadata = uploader.metadata
    try:
        client.tracking.finish_run(
            id=metadata.run_id,
            status=status,
            timeout_seconds=timeout_seconds,
            idempotency_key=metadata.finish_key,
        )
    except CallError as error:
        uploader.note(error)
        if error.reason in {"RUN_FINISHED", "RUN_NOT_FOUND"}:
            return True
        _log.warning("the run is not ended on the server, `sync` will do it: %s", error)
        return False
    return True


def wind_up(uploader: Uploader, *, is_needed: bool) -> str:
    """Stops a writer; returns the folder in which something is left, empty when nothing is.

    Args:
        uploader: The writer.
        is_needed: Whether the folder stays even when everything is sent.
    """
    uploader.stop(_STOP_PATIENCE_SECONDS)
    unsent = uploader.unsent_points
    folder = ""
    if uploader.spool is not None:
        if unsent == 0 and not is_needed:
            uploader.spool.remove()
        else:
            folder = str(uploader.spool.folder)
            uploader.save()
            with contextlib.suppress(OSError):
                uploader.spool.flush()
            uploader.spool.release()
    if unsent:
        where = f"they are in {folder}; `python -m needletail sync` sends them"
        where = where if folder else "there is no spool, so they are lost"
        run_id = uploader.metadata.run_id or None
        noun = uploader.noun
        _log.warning("%s %s of run %s are not sent: %s", f"{unsent:,}", noun, run_id, where)
    return folder
