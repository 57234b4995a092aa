"""Calls one after another on one connection."""

import ssl
from dataclasses import dataclass

from Benchmarks import wire


@dataclass(slots=True)
class Caller:
    """A connection that makes one call at a time."""

    connection: ssl.SSLSocket
    stream: int = 0

    def call(self, method: str, request: bytes) -> bytes:
        """Makes a unary call and returns its answer."""
        self.stream += 1
        self.connection.sendall(wire.unary_call(self.stream, method, request))
        while wire.body_of(frame := wire.read_frame(self.connection)) != wire.END:
            pass
        return wire.answer_of(frame)
