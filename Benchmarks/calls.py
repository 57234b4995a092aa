"""Calls one after another on one connection."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from Benchmarks import wire

# A server pings who is silent for longer, and this caller reads only while it waits for an answer.
_REST_SECONDS = 10.0


@dataclass(slots=True)
class Caller:
    """A connection that makes one call at a time, opened anew after a rest."""

    connect: Callable[[], ssl.SSLSocket]
    _connection: ssl.SSLSocket | None = None
    _stream: int = 0
    _called_at: float = 0.0

    @classmethod
    def of(cls, endpoint: wire.Endpoint) -> Self:
        """A caller of a server, with the endpoint's key."""
        return cls(lambda: endpoint.connect(endpoint.context()))

    def __enter__(self) -> Self:
        """Opens nothing yet."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        self._close()

    def call(self, method: str, request: bytes) -> bytes:
        """Makes a unary call and returns its answer."""
        connection = self._awake()
        self._stream += 1
        connection.sendall(wire.unary_call(self._stream, method, request))
        while wire.body_of(frame := wire.read_frame(connection)) != wire.END:
            pass
        return wire.answer_of(frame)

    def _awake(self) -> ssl.SSLSocket:
        now = time.monotonic()
        if now - self._called_at > _REST_SECONDS:
            self._close()
        self._called_at = now
        if self._connection is None:
            self._connection = self.connect()
            self._stream = 0
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
