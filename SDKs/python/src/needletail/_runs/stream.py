"""What an append stream brings to the thread that writes it."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    import threading

    from needletail.errors import CallError

_AppendMetricsResponse = message_class("needletail.tracking.v1.AppendMetricsResponse")


class StreamEvents:
    """The sink of the call: keeps events for the thread and wakes it."""

    def __init__(self, wake: threading.Event) -> None:
        self.acknowledgements: collections.deque[int] = collections.deque()
        self.error: CallError | None = None
        self.has_ended = False
        self.is_draining = False
        self.owed = 0
        self._wake = wake

    def message(self, message: bytes) -> None:
        """An acknowledgement."""
        self.owed += len(message)
        answer = _AppendMetricsResponse.FromString(message)
        self.acknowledgements.append(answer.acknowledged_sequence)
        self._wake.set()

    def ended(self, error: CallError | None, message: bytes) -> None:
        """The stream is over."""
        del message
        self.error, self.has_ended = error, True
        self._wake.set()

    def writable(self) -> None:
        """What is on its way is bounded by the appender."""

    def draining(self) -> None:
        """The connection will end: finish this stream and open the next elsewhere."""
        self.is_draining = True
        self._wake.set()
