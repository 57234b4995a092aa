"""A server for tests: TLS on loopback, frames by hand, a script per connection."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import struct
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Frame = message_class("needletail.rpc.v1.Frame")
LIMIT_SECONDS = 20.0


class Certificates:
    """An authority and a certificate for loopback, made for one test session."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        self.other_ca_file = folder / "other-ca.pem"
        self.chain_file = folder / "server.pem"
        self.key_file = folder / "server.key"
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        authority = ["-addext", "basicConstraints=critical,CA:TRUE"]
        issuer = ["-CA", str(self.ca_file), "-CAkey", str(folder / "ca.key")]
        _openssl(self.ca_file, folder / "ca.key", "Test CA", *authority)
        _openssl(self.other_ca_file, folder / "other.key", "Other CA", *authority)
        _openssl(self.chain_file, self.key_file, "needletail test", *issuer, "-addext", names)


def _openssl(certificate: Path, key: Path, name: str, *options: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={name}", *options]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603


class GoneError(Exception):
    """The client closed the connection."""


class PeerConnection:
    """One accepted connection, for a script to drive."""

    def __init__(self, index: int, connection: ssl.SSLSocket) -> None:
        self.index = index
        self._socket = connection
        self._buffer = b""
        self._sending = threading.Lock()

    def receive(self) -> Any:
        """The next frame."""
        length = struct.unpack(">I", self._read(4))[0]
        return Frame.FromString(self._read(length))

    def receive_body(self, body: str) -> Any:
        """The next frame, which must have this body; credits are skipped."""
        frame = self.receive()
        while frame.WhichOneof("body") == "credit" and body != "credit":
            frame = self.receive()
        assert frame.WhichOneof("body") == body, frame
        return frame

    def send(self, frame: Any) -> None:
        """Sends a frame."""
        data = frame.SerializeToString()
        self.send_bytes(struct.pack(">I", len(data)) + data)

    def send_bytes(self, data: bytes) -> None:
        """Sends raw bytes."""
        with self._sending:
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise GoneError from error

    def welcome(self, **limits: int) -> Any:
        """Takes Hello, sends Welcome; returns the Hello."""
        hello = self.receive_body("hello")
        frame = Frame()
        frame.welcome.server = "peer/1"
        frame.welcome.limits.max_frame_bytes = limits.get("max_frame_bytes", 4 << 20)
        frame.welcome.limits.max_open_streams = limits.get("max_open_streams", 256)
        frame.welcome.limits.stream_window_bytes = limits.get("stream_window_bytes", 1 << 20)
        frame.welcome.limits.connection_window_bytes = limits.get(
            "connection_window_bytes", 8 << 20
        )
        frame.welcome.limits.idle_timeout_ms = limits.get("idle_timeout_ms", 60_000)
        self.send(frame)
        return hello.hello

    def end(self, stream: int, message: bytes = b"") -> None:
        """Ends a stream with OK."""
        frame = Frame(stream=stream)
        frame.end.message = message
        frame.end.SetInParent()
        self.send(frame)

    def fail(self, stream: int, code: int, reason: str, **status: Any) -> None:
        """Ends a stream with an error."""
        frame = Frame(stream=stream)
        frame.end.status.code = code
        frame.end.status.reason = reason
        fill(frame.end.status, status)
        self.send(frame)

    def data(self, stream: int, message: bytes) -> None:
        """Sends a message on a stream."""
        frame = Frame(stream=stream)
        frame.data.message = message
        frame.data.SetInParent()
        self.send(frame)

    def credit(self, stream: int, amount: int) -> None:
        """Gives window back."""
        frame = Frame(stream=stream)
        frame.credit.bytes = amount
        self.send(frame)

    def goaway(self, last_stream: int, code: int = 0, reason: str = "", **status: Any) -> None:
        """Sends a Goaway: a drain, or with a code the end."""
        frame = Frame()
        frame.goaway.last_stream = last_stream
        if code:
            frame.goaway.status.code = code
            frame.goaway.status.reason = reason
            fill(frame.goaway.status, status)
        self.send(frame)

    def cut(self) -> None:
        """Closes the TCP connection without a word, as a crash does."""
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def wait_for_close(self) -> None:
        """Takes frames until the client is gone."""
        with contextlib.suppress(GoneError):
            while True:
                self.receive()

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                data = self._socket.recv(1 << 16)
            except OSError as error:
                raise GoneError from error
            if not data:
                raise GoneError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def echo(connection: PeerConnection) -> None:
    """Answers every call with its own request, which has the response's shape."""
    connection.welcome()
    while True:
        frame = connection.receive()
        if frame.WhichOneof("body") == "call":
            connection.end(frame.stream, frame.call.message)


def fill(message: Any, values: dict[str, Any]) -> None:
    """Sets a message's fields from plain values."""
    for name, value in values.items():
        if isinstance(value, dict):
            getattr(message, name).update(value)
        elif isinstance(value, list):
            for field, description in value:
                getattr(message, name).add(field=field, description=description)
        else:
            setattr(message, name, value)


class Peer:
    """Accepts connections and runs the script on each, in a thread of its own."""

    def __init__(
        self,
        certificates: Certificates,
        script: Callable[[PeerConnection], None],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        alpn: str = "needletail/1",
    ) -> None:
        self.script = script
        self.failures: queue.Queue[BaseException] = queue.Queue()
        self.accepted = 0
        self.connections: list[PeerConnection] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.chain_file, certificates.key_file)
        self._context.set_alpn_protocols([alpn])
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._is_closed = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"needletail://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stops listening, cuts every connection, and raises what failed in a script."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            connection.cut()
        for thread in self._threads:
            thread.join(LIMIT_SECONDS)
        with contextlib.suppress(queue.Empty):
            raise AssertionError("a peer's script failed") from self.failures.get_nowait()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(LIMIT_SECONDS)
        try:
            secure = self._context.wrap_socket(plain, server_side=True)
        except (OSError, ValueError):
            plain.close()
            return
        connection = PeerConnection(self.accepted, secure)
        self.accepted += 1
        self.connections.append(connection)
        try:
            self.script(connection)
        except GoneError:
            pass
        except BaseException as error:  # noqa: BLE001
            if not self._is_closed:
                self.failures.put(error)
        finally:
            connection.cut()
