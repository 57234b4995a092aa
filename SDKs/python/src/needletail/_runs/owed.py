"""Calls that were made while the server was away: they are made again, with their keys.

The server remembers the key of a call for 24 hours. Within them a call that had its effect, and
whose answer was lost, does not have it twice.
"""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

from needletail._generated.tracking_calls import TRACKING_LOG_BATCH
from needletail._runs.appender import REFUSING_CODES
from needletail._runs.spool import Call
from needletail._transport.sinks import UnarySink
from needletail.errors import REQUEST_TOO_LARGE, CallError

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail._runs.spool import Metadata
    from needletail.client import Client

_TIMEOUT_SECONDS = 30.0
_LOOK_SECONDS = 0.1
# They stand in the writer's metadata, which is written as a whole.
MAX_CALLS = 1_000
MAX_BYTES = 8 << 20


class OwedCalls:
    """The calls of LogBatch that one writer's metadata keeps, in their order."""

    def __init__(self, metadata: Metadata, save: Callable[[], None]) -> None:
        self._metadata = metadata
        self._save = save
        self._lock = threading.Lock()
        self.sent_points = 0
        """Of the calls that were answered."""

    @property
    def points(self) -> int:
        """How many points are in them."""
        return sum(call["points"] for call in self._metadata.calls)

    def add(self, key: str, request: bytes, points: int) -> bool:
        """Keeps a call, durably; returns whether there was room."""
        text = base64.b64encode(request).decode()
        with self._lock:
            known = self._metadata.calls
            size = sum(len(call["request"]) for call in known) + len(text)
            if len(known) >= MAX_CALLS or size > MAX_BYTES:
                return False
            self._metadata.calls = [*known, Call(key=key, request=text, points=points)]
        self._save()
        return True

    def send(
        self,
        client: Client,
        is_stopping: Callable[[], bool],
        refused: Callable[[int, CallError], None],
    ) -> None:
        """Makes the calls again, each until it is answered.

        Args:
            client: Who makes them.
            is_stopping: Asked while an answer is awaited.
            refused: Told of the points and the error of each that the server will never take.

        Raises:
            CallError: One can't be made now; it and those after it are still kept.
        """
        while self._metadata.calls:
            call = self._metadata.calls[0]
            request = base64.b64decode(call["request"])
            sink = UnarySink()
            driver, pending = client._start(
                TRACKING_LOG_BATCH, request, sink, _TIMEOUT_SECONDS, call["key"]
            )
            try:
                while not sink.comes_within(_LOOK_SECONDS):
                    if is_stopping():
                        driver.cancel(pending)
                sink.wait()
                self.sent_points += call["points"]
            except CallError as error:
                if error.code not in REFUSING_CODES and error.reason != REQUEST_TOO_LARGE:
                    raise
                refused(call["points"], error)
            with self._lock:
                self._metadata.calls = self._metadata.calls[1:]
            self._save()
