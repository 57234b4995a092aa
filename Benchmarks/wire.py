"""Just enough of needletail/1 to say Hello and make one call: see Docs/protocol.md."""

import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_HELLO, _WELCOME, _CALL, END, _CANCEL, _PING = 2, 3, 4, 6, 7, 9


class CallFailedError(Exception):
    """A call ended with an error; the text is its reason."""


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


def text_field(number: int, value: str) -> bytes:
    """A field that holds text, or nothing when it is empty."""
    return _bytes_field(number, value.encode()) if value else b""


def message_field(number: int, message: bytes) -> bytes:
    """A field that holds a message."""
    return _bytes_field(number, message)


def number_field(number: int, value: int) -> bytes:
    """A field that holds a number."""
    return _varint(number << 3) + _varint(value)


def hello(api_key: str) -> bytes:
    """The first frame of a connection."""
    return _frame(0, _HELLO, _bytes_field(1, api_key.encode()))


def unary_call(stream: int, method: str, message: bytes = b"") -> bytes:
    """A call with its one request."""
    fields = _bytes_field(1, method.encode()) + _bytes_field(5, message)
    return _frame(stream, _CALL, fields + _varint(6 << 3) + b"\x01")


def cancel(stream: int) -> bytes:
    """Gives a call up."""
    return _frame(stream, _CANCEL, b"")


def ping(token: int) -> bytes:
    """Asks for a Pong."""
    return _frame(0, _PING, b"\x09" + struct.pack("<Q", token))


def fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Reads the fields of a message: numbers of varints, bytes of everything else."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        match tag & 7:
            case 0:
                value, position = _read_varint(message, position)
                yield tag >> 3, value
                continue
            case 1:
                length = 8
            case 2:
                length, position = _read_varint(message, position)
            case _:
                length = 4
        yield tag >> 3, message[position : position + length]
        position += length


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def answer_of(frame: bytes) -> bytes:
    """The message of an End, or an error that names its status."""
    parts = dict(fields(next(body for number, body in _bodies(frame) if number == END)))
    status = parts.get(1)
    if isinstance(status, bytes):
        reasons = [text for number, text in fields(status) if number == 3]
        raise CallFailedError(reasons[0].decode() if isinstance(reasons[0], bytes) else "")
    message = parts.get(2, b"")
    return message if isinstance(message, bytes) else b""


def _bodies(frame: bytes) -> Iterator[tuple[int, bytes]]:
    for number, body in fields(frame):
        if isinstance(body, bytes):
            yield number, body


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

    def secure(self, context: ssl.SSLContext, *, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Connects, and says nothing."""
        plain = socket.create_connection(
            (self.address, self.port), timeout=10, source_address=(source, 0)
        )
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def connect(self, context: ssl.SSLContext, *, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Connects, says Hello and waits for Welcome."""
        secured = self.secure(context, source=source)
        try:
            _greet(secured, self.api_key)
        except BaseException:
            secured.close()
            raise
        return secured

    def call_once(self, context: ssl.SSLContext, method: str) -> None:
        """Connects, makes one call with an empty request, and waits for its end."""
        with self.connect(context) as connection:
            connection.sendall(unary_call(1, method))
            while body_of(read_frame(connection)) != END:
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
