"""One non-blocking TLS connection on a selector."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Protocol

from needletail._transport import tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail.errors import CallError
    from needletail.settings import Settings

# A record of TLS has no more; and a read gives no more than one.
_RECORD_BYTES = 16 * 1024
# What one turn reads of one connection, so that the others have theirs.
_READS_A_TURN = 16


class Owner(Protocol):
    """Who hears of a connection's life."""

    def post(self, command: Callable[[float], None]) -> None:
        """Has a command run on the owner's thread."""

    def on_connected(self, number: int, now: float) -> None:
        """The handshake is done."""

    def on_received(self, number: int, data: bytes, now: float) -> None:
        """Bytes came."""

    def on_disconnected(self, number: int, reason: str, now: float) -> None:
        """The connection is gone."""

    def on_refused(self, number: int, error: CallError, now: float) -> None:
        """The connection can't be made, now or later."""


class StreamSocket:
    """Resolves, connects, shakes hands, then carries bytes."""

    def __init__(
        self,
        number: int,
        owner: Owner,
        selector: selectors.BaseSelector,
        settings: Settings,
        context: ssl.SSLContext,
    ) -> None:
        self._number = number
        self._owner = owner
        self._selector = selector
        self._settings = settings
        self._context = context
        self._addresses: list[tuple[Any, ...]] = []
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLSocket | None = None
        self._is_open = False
        self._has_received = False
        self._is_closed = False
        self._output = bytearray()

    def dial(self, now: float) -> None:
        """Begins to connect; a name is looked up on a thread of its own, since that blocks."""
        host, port = self._settings.host, self._settings.port
        try:
            found = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except OSError:
            threading.Thread(target=self._look_up, name="needletail-dns", daemon=True).start()
        else:
            self._resolved(found, "", now)

    def ready(self, now: float) -> None:
        """The descriptor can be read or written."""
        try:
            if self._tls is None:
                self._finish_connect()
            if self._tls is not None and not self._is_open:
                self._shake_hands(now)
            if self._is_open:
                self._read(now)
                self._write()
        except OSError as error:
            self._fail(error, now)

    def write(self, data: bytes, now: float) -> None:
        """Sends bytes, now or as soon as the network takes them."""
        self._output += data
        try:
            self._write()
        except OSError as error:
            self._fail(error, now)

    def close(self, last: bytes = b"") -> None:
        """Closes, after what can be sent without waiting."""
        if self._tls is not None and self._is_open:
            self._output += last
            with contextlib.suppress(OSError, ValueError):
                self._write()
                self._tls.unwrap()
        self._release()

    def forget(self) -> None:
        """Closes this process's copy of the descriptor and sends nothing."""
        self._is_closed = True
        open_socket, self._socket, self._tls = self._tls or self._socket, None, None
        if open_socket is not None:
            open_socket.close()

    def _look_up(self) -> None:
        problem, found = "", []
        try:
            found = socket.getaddrinfo(
                self._settings.host, self._settings.port, type=socket.SOCK_STREAM
            )
        except OSError as error:
            problem = f"cannot look up the name: {error.strerror or error}"
        self._owner.post(lambda now: self._resolved(found, problem, now))

    def _resolved(self, found: list[tuple[Any, ...]], problem: str, now: float) -> None:
        if self._is_closed:
            return
        self._addresses = found
        self._next_address(problem or "the name has no address", now)

    def _next_address(self, problem: str, now: float) -> None:
        while self._addresses:
            family, kind, protocol, _, address = self._addresses.pop(0)
            try:
                self._socket = socket.socket(family, kind, protocol)
                self._socket.setblocking(False)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                result = self._socket.connect_ex(address)
            except OSError as error:
                problem = error.strerror or str(error)
                self._release_socket()
                continue
            if result in {0, errno.EINPROGRESS, errno.EWOULDBLOCK}:
                self._selector.register(self._socket, selectors.EVENT_WRITE, self)
                return
            problem = os.strerror(result)
            self._release_socket()
        self._release()
        self._owner.on_disconnected(self._number, problem, now)

    def _finish_connect(self) -> None:
        if self._socket is None:
            return
        problem = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise OSError(problem, os.strerror(problem))
        self._selector.unregister(self._socket)
        plain, self._socket = self._socket, None
        self._tls = self._context.wrap_socket(
            plain, server_hostname=self._settings.host, do_handshake_on_connect=False
        )
        self._selector.register(self._tls, selectors.EVENT_READ, self)

    def _shake_hands(self, now: float) -> None:
        if self._tls is None:
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(self._tls, selectors.EVENT_READ, self)
            return
        except ssl.SSLWantWriteError:
            self._selector.modify(self._tls, selectors.EVENT_WRITE, self)
            return
        chosen = self._tls.selected_alpn_protocol()
        error = tls.wrong_protocol(self._settings.address, chosen)
        if error is not None:
            self._release()
            self._owner.on_refused(self._number, error, now)
            return
        self._is_open = True
        self._selector.modify(self._tls, selectors.EVENT_READ, self)
        self._owner.on_connected(self._number, now)

    def _read(self, now: float) -> None:
        for _ in range(_READS_A_TURN):
            if self._tls is None:
                return
            try:
                data = self._tls.recv(_RECORD_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the server closed the connection")
            self._has_received = True
            self._owner.on_received(self._number, data, now)
            if len(data) < _RECORD_BYTES and self._is_drained():
                # Most answers: nothing is behind them, or the selector will tell.
                return
        # TLS may hold bytes that the selector doesn't see: come back in the next turn.
        if not self._is_drained():
            self._owner.post(self.ready)

    def _is_drained(self) -> bool:
        return self._tls is None or not self._tls.pending()

    def _write(self) -> None:
        if self._tls is None or not self._is_open:
            return
        interest = selectors.EVENT_READ
        while self._output:
            try:
                sent = self._tls.send(memoryview(self._output)[: 1 << 16])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                interest |= selectors.EVENT_WRITE
                break
            del self._output[:sent]
        if self._selector.get_key(self._tls).events != interest:
            self._selector.modify(self._tls, interest, self)

    def _fail(self, error: OSError, now: float) -> None:
        address = self._settings.address
        lasting = None if self._has_received else tls.permanent_failure(address, error)
        problem = error.strerror or str(error)
        was_connecting = self._tls is None
        self._release_socket()
        if lasting is not None:
            self._release()
            self._owner.on_refused(self._number, lasting, now)
        elif was_connecting and self._addresses:
            self._next_address(problem, now)
        else:
            self._release()
            self._owner.on_disconnected(self._number, problem, now)

    def _release(self) -> None:
        self._is_closed = True
        self._is_open = False
        self._addresses = []
        # Not cleared in place: the error that led here may still hold a view of it.
        self._output = bytearray()
        self._release_socket()

    def _release_socket(self) -> None:
        open_socket, self._socket, self._tls = self._tls or self._socket, None, None
        if open_socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(open_socket)
            open_socket.close()
