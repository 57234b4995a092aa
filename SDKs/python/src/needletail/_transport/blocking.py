"""The transport of the synchronous client: one thread and one selector."""

from __future__ import annotations

import collections
import contextlib
import logging
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

from needletail._core.actions import Dial
from needletail._core.engine import Engine
from needletail._transport import tls
from needletail._transport.stream_socket import StreamSocket

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from needletail._core.call import PendingCall
    from needletail.errors import CallError
    from needletail.settings import Settings

_log = logging.getLogger("needletail")
_STOP_PATIENCE_SECONDS = 5.0


class Driver:
    """Runs an engine on a thread of its own; the public methods may be called from any thread."""

    def __init__(self, settings: Settings, context: ssl.SSLContext) -> None:
        self._settings = settings
        self._context = context
        self._engine = Engine(settings.api_key, tls.client_name(), server=settings.address)
        self._commands: collections.deque[Callable[[float], None]] = collections.deque()
        self._sockets: dict[int, StreamSocket] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        self._is_stopping = False
        self._ending = threading.Lock()
        self.has_ended = False
        """Whether the thread is over: every call from now on ends at once."""

        self._thread = threading.Thread(target=self._run, name="needletail", daemon=True)
        self._thread.start()

    def start(self, call: PendingCall) -> None:
        """Starts a call."""
        self.post(lambda now: self._engine.start(call, now))

    def send(self, call: PendingCall, message: bytes, *, end_of_requests: bool) -> None:
        """Sends one more message of a call."""
        self.post(lambda _: self._engine.send(call, message, end_of_requests=end_of_requests))

    def cancel(self, call: PendingCall) -> None:
        """Cancels a call."""
        self.post(lambda now: self._engine.cancel(call, now))

    def consumed(self, call: PendingCall, size: int) -> None:
        """Gives back the window of a message."""
        self.post(lambda _: self._engine.consumed(call, size))

    def stop(self) -> None:
        """Ends every call, says goodbye to the server, and ends the thread."""
        self.post(self._stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(_STOP_PATIENCE_SECONDS)

    def abandon(self) -> None:
        """In a forked child: closes its copies of the parent's sockets without a word."""
        for open_socket in self._sockets.values():
            with contextlib.suppress(OSError):
                open_socket.forget()
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def post(self, command: Callable[[float], None]) -> None:
        """Has a command run on the thread; when the thread has ended, runs it here."""
        self._commands.append(command)
        # A full pipe wakes as well as one byte more; a closed one has nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_sender.send(b"\0")
        if self.has_ended:
            self._run_late_commands()

    # From here on everything runs on the thread.

    def on_connected(self, number: int, now: float) -> None:
        """Tells the engine."""
        self._engine.connected(number, now)

    def on_received(self, number: int, data: bytes, now: float) -> None:
        """Tells the engine."""
        self._engine.received(number, data, now)

    def on_disconnected(self, number: int, reason: str, now: float) -> None:
        """Tells the engine."""
        self._sockets.pop(number, None)
        self._engine.disconnected(number, reason, now)

    def on_refused(self, number: int, error: CallError, now: float) -> None:
        """Tells the engine."""
        self._sockets.pop(number, None)
        self._engine.refused(number, error, now)

    def _stop(self, _: float) -> None:
        self._engine.close()
        self._is_stopping = True

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self._turn()
        except Exception:  # noqa: BLE001 - the last resort of a thread
            _log.exception("the connection's thread failed: its calls end")
        finally:
            self._engine.close()
            for open_socket in list(self._sockets.values()):
                with contextlib.suppress(Exception):
                    open_socket.close()
            self._selector.close()
            self._wake_receiver.close()
            self._wake_sender.close()
            self.has_ended = True
            self._run_late_commands()

    def _run_late_commands(self) -> None:
        """The engine is closed: a call that was started late ends at once."""
        with self._ending:
            while self._commands:
                with contextlib.suppress(IndexError):
                    self._commands.popleft()(time.monotonic())

    def _turn(self) -> None:
        wakeup = self._engine.next_wakeup()
        timeout = None if wakeup is None else max(0.0, wakeup - time.monotonic())
        ready = self._selector.select(0 if self._commands else timeout)
        now = time.monotonic()
        for key, _ in ready:
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake_receiver.recv(4096)
            else:
                key.data.ready(now)
        for _ in range(len(self._commands)):
            self._commands.popleft()(now)
        self._engine.tick(now)
        self._flush(now)

    def _flush(self, now: float) -> None:
        """Does what the engine wants until it wants nothing more."""
        while True:
            actions = self._engine.take_actions()
            for action in actions:
                if isinstance(action, Dial):
                    number = action.link
                    self._sockets[number] = StreamSocket(
                        number, self, self._selector, self._settings, self._context
                    )
                    self._sockets[number].dial(now)
                elif action.link in self._sockets:
                    self._sockets.pop(action.link).close(action.output)
            has_written = False
            for number, open_socket in list(self._sockets.items()):
                data = self._engine.take_output(number)
                if data:
                    has_written = True
                    open_socket.write(data, now)
            if not actions and not has_written:
                return
