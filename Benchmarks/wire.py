"""Just enough of needletail/1 to say Hello and make one call: see Docs/protocol.md."""

import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HELLO, _WELCOME, _CALL, _END = 2, 3, 4, 6


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _frame(stream: int, body: int, message: bytes) -> bytes:
    head = _varint(1 << 3) + _varint(stream) if stream else b""
    frame = head + _bytes_field(body, message)
    return struct.pack(">I", len(frame)) + frame


def hello(api_key: str) -> bytes:
    """The first frame of a connection."""
    return _frame(0, _HELLO, _bytes_field(1, api_key.encode()))


def unary_call(stream: int, method: str, message: bytes = b"") -> bytes:
    """A call with its one request."""
    fields = _bytes_field(1, method.encode()) + _bytes_field(5, message)
    return _frame(stream, _CALL, fields + _varint(6 << 3) + b"\x01")


def body_of(frame: bytes) -> int:
    """The number of the frame's body field: which kind of frame it is."""
    if frame[:1] == b"\x08":  # a stream number first
        position = 1
        while frame[position] & 0x80:
            position += 1
        frame = frame[position + 1 :]
    return frame[0] >> 3


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and with which key to go there: the connection file."""

    address: str
    port: int
    ca_file: Path
    api_key: str

    @classmethod
    def of(cls, connection: Mapping[str, object]) -> "Endpoint":
        """Reads the fields of a connection file."""
        port = connection["port"]
        return cls(
            "127.0.0.1",
            int(str(port)),
            Path(str(connection["ca_file"])),
            str(connection["api_key"]),
        )

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 with the protocol's ALPN."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["needletail/1"])
        return context

    def connect(self, context: ssl.SSLContext, *, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Connects, says Hello and waits for Welcome."""
        plain = socket.create_connection(
            (self.address, self.port), timeout=10, source_address=(source, 0)
        )
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secured = context.wrap_socket(plain, server_hostname="localhost")
            _greet(secured, self.api_key)
        except BaseException:
            plain.close()
            raise
        return secured

    def call_once(self, context: ssl.SSLContext, method: str) -> None:
        """Connects, makes one call with an empty request, and waits for its end."""
        with self.connect(context) as connection:
            connection.sendall(unary_call(1, method))
            while body_of(read_frame(connection)) != _END:
                pass


def _greet(connection: socket.socket, api_key: str) -> None:
    connection.sendall(hello(api_key))
    if body_of(read_frame(connection)) != _WELCOME:
        raise ConnectionRefusedError("the server did not welcome us")


def read_frame(connection: socket.socket) -> bytes:
    """Reads one frame."""
    length: int = struct.unpack(">I", _read(connection, 4))[0]
    return _read(connection, length)


def _read(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise ConnectionResetError("the server closed the connection")
        parts += part
    return bytes(parts)
