"""Where the threads of the application wait for what their calls bring."""

from __future__ import annotations

import collections
import threading
import time
from typing import TYPE_CHECKING

from needletail.errors import CallError, Code, call_error

if TYPE_CHECKING:
    from needletail._core.call import PendingCall
    from needletail._transport.blocking import Driver


class UnarySink:
    """Waits for the one answer."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._error: CallError | None = None
        self._message = b""

    def message(self, message: bytes) -> None:
        """A unary call has no messages before its end; a server that sends one is ignored."""

    def ended(self, error: CallError | None, message: bytes) -> None:
        """Wakes the caller."""
        self._error, self._message = error, message
        self._event.set()

    def writable(self) -> None:
        """Nothing more is sent."""

    def draining(self) -> None:
        """The answer still comes."""

    def comes_within(self, seconds: float) -> bool:
        """Waits for the answer, but no longer than this; returns whether it is there."""
        return self._event.wait(seconds)

    def wait(self) -> bytes:
        """Returns the answer's bytes, or raises its error."""
        self._event.wait()
        if self._error is not None:
            raise self._error
        return self._message


class StreamSink:
    """Keeps messages until somebody takes them; what is kept is bounded by the stream's window."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: collections.deque[bytes] = collections.deque()
        self._error: CallError | None = None
        self._answer = b""
        self._has_ended = False
        self._unsent = 0

    def message(self, message: bytes) -> None:
        """Keeps a message."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def ended(self, error: CallError | None, message: bytes) -> None:
        """Wakes everybody."""
        with self._changed:
            if not self._has_ended:
                self._error, self._answer, self._has_ended = error, message, True
            self._changed.notify_all()

    def writable(self) -> None:
        """Wakes who waits to send."""
        with self._changed:
            self._unsent = 0
            self._changed.notify_all()

    def draining(self) -> None:
        """The stream is still served."""

    def take(
        self, driver: Driver, call: PendingCall, timeout_seconds: float | None
    ) -> bytes | None:
        """The next message; None after the last one.

        Raises:
            CallError: The call ended with it, and every message before was taken.
            TimeoutError: Nothing came in time.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with self._changed:
            while not self._messages and not self._has_ended:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"no message within {timeout_seconds:g} s")
                self._changed.wait(left)
            if not self._messages:
                if self._error is not None:
                    raise self._error
                return None
            message = self._messages.popleft()
        driver.consumed(call, len(message))
        return message

    def answer(self) -> bytes:
        """Waits for the end and returns the answer that came with it."""
        with self._changed:
            while not self._has_ended:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            return self._answer

    def begin_send(self) -> None:
        """Says that a message is about to be handed over; raises when the call has ended."""
        with self._changed:
            self._raise_if_over()
            self._unsent = 1

    def wait_until_sent(self) -> None:
        """Waits until what was handed over is on its way."""
        with self._changed:
            while self._unsent and not self._has_ended:
                self._changed.wait()
            if self._unsent:
                self._raise_if_over()

    def close(self, driver: Driver, call: PendingCall) -> None:
        """Drops what is kept and cancels the call unless it has ended."""
        with self._changed:
            dropped = sum(len(message) for message in self._messages)
            self._messages.clear()
            was_open, self._has_ended = not self._has_ended, True
            if was_open:
                self._error = call_error(Code.CANCELLED, "CANCELLED", "the call was closed")
            self._changed.notify_all()
        if dropped:
            driver.consumed(call, dropped)
        if was_open:
            driver.cancel(call)

    def become_foreign(self, error: CallError) -> None:
        """In a forked child: the call belongs to the parent, and its lock may be held there."""
        self._changed = threading.Condition()
        self._messages.clear()
        self._error, self._has_ended = error, True

    def _raise_if_over(self) -> None:
        if self._has_ended:
            if self._error is not None:
                raise self._error
            raise call_error(Code.CANCELLED, "CANCELLED", "the call has ended")
