"""What is done when a run ends: on the server, and with what is left of its spools."""

from __future__ import annotations

import contextlib
import datetime
import logging
from typing import TYPE_CHECKING

from needletail._generated.tracking import RunStatus
from needletail._values import EPOCH
from needletail.errors import CallError, InvalidArgumentError

if TYPE_CHECKING:
    from needletail._runs.spool import Metadata
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


def finish_as_left(client: Client, metadata: Metadata) -> CallError | None:
    """Ends a run as its process left word; returns what is in the way."""
    if not metadata.finish_status:
        # Its process died without a word: the run may go on elsewhere, so it is left as it is.
        return None
    ended: datetime.datetime | None = EPOCH + datetime.timedelta(
        microseconds=metadata.finish_time_us
    )
    problem: CallError | None = None
    for completed_at in (ended, None):
        # This machine's clock may be behind the server's: then "now" is the best there is.
        try:
            key = metadata.finish_key if completed_at is None else f"{metadata.finish_key}-at"
            client.tracking.finish_run(
                id=metadata.run_id,
                status=RunStatus[metadata.finish_status],
                completed_at=completed_at,
                idempotency_key=key,
            )
        except InvalidArgumentError as error:
            problem = error
        except CallError as error:
            return None if error.reason in {"RUN_FINISHED", "RUN_NOT_FOUND"} else error
        else:
            return None
    return problem


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
