"""The protocol by hand: frames over TLS, with nothing between a test and the bytes."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

Frame = message_class("needletail.rpc.v1.Frame")
READ_SECONDS = 30.0
TRACKING = "needletail.tracking.v1.Tracking"
IDENTITY = "needletail.identity.v1.Identity"
TRACING = "needletail.tracing.v1.Tracing"


def message(name: str, /, **fields: Any) -> Any:
    """Make a message of the Tracking service by its short name."""
    return message_class(f"needletail.tracking.v1.{name}")(**fields)


def identity_message(name: str, /, **fields: Any) -> Any:
    """Make a message of the Identity service by its short name."""
    return message_class(f"needletail.identity.v1.{name}")(**fields)


def tracing_message(name: str, /, **fields: Any) -> Any:
    """Make a message of the Tracing service by its short name."""
    return message_class(f"needletail.tracing.v1.{name}")(**fields)


def registry_message(name: str, /, **fields: Any) -> Any:
    """Make a message of the Registry service by its short name."""
    return message_class(f"needletail.registry.v1.{name}")(**fields)


class ClosedError(Exception):
    """The server has closed the connection."""


class GoawayError(Exception):
    """The server has ended the connection with a status."""

    def __init__(self, status: Any) -> None:
        """Take the status of the Goaway."""
        super().__init__(f"{status.code} {status.reason}: {status.message}")
        self.status = status


class Wire:
    """One connection."""

    def __init__(self, connection: dict[str, Any], *, port: int | None = None) -> None:
        """Connect, without Hello."""
        context = ssl.create_default_context(cafile=connection["ca_file"])
        context.set_alpn_protocols(["needletail/1"])
        address = (connection["address"], port or connection["port"])
        plain = socket.create_connection(address, timeout=READ_SECONDS)
        self.socket = context.wrap_socket(plain, server_hostname=connection["address"])
        self.api_key = connection["api_key"]
        self.last_stream = 0
        self.goaways: list[Any] = []
        self.answers_pings = True
        self._pings: list[int] = []
        self._buffer = b""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Close the connection."""
        self.socket.close()

    @classmethod
    def opened(
        cls, connection: dict[str, Any], *, port: int | None = None, client: str = "tests"
    ) -> Wire:
        """Connect and say Hello; the server must answer Welcome."""
        wire = cls(connection, port=port)
        try:
            wire.hello(client=client)
            assert wire.receive().HasField("welcome")
        except BaseException:
            wire.socket.close()
            raise
        return wire

    @property
    def certificate(self) -> bytes:
        """The server's certificate."""
        found = self.socket.getpeercert(binary_form=True)
        assert found is not None
        return found

    def hello(self, api_key: str | None = None, client: str = "tests") -> None:
        """Send Hello."""
        frame = Frame()
        frame.hello.api_key = self.api_key if api_key is None else api_key
        frame.hello.client = client
        self.send(frame)

    def send(self, frame: Any) -> None:
        """Send a frame."""
        data = frame.SerializeToString()
        self.socket.sendall(struct.pack(">I", len(data)) + data)

    def receive(self) -> Any:
        """Return the next frame; Pings are answered, Credits and drains are passed over."""
        while True:
            frame = self._frame()
            if not self._is_about_connection(frame):
                return frame

    def wait_for_drain(self) -> int:
        """Return the last stream of the drain's next step; only such frames may come before."""
        count = len(self.goaways)
        while len(self.goaways) == count:
            assert self._is_about_connection(self._frame())
        return self.goaways[-1].last_stream

    def _is_about_connection(self, frame: Any) -> bool:
        body = frame.WhichOneof("body")
        if body == "ping":
            self._pings.append(frame.ping.token)
            if self.answers_pings:
                self.answer_pings()
        elif body == "goaway":
            if frame.goaway.HasField("status"):
                raise GoawayError(frame.goaway.status)
            self.goaways.append(frame.goaway)
        return body in {"ping", "goaway", "credit"}

    def answer_pings(self) -> None:
        """Answer the Pings that have come."""
        for token in self._pings:
            pong = Frame()
            pong.pong.token = token
            self.send(pong)
        self._pings.clear()

    def frames(self) -> Iterator[Any]:
        """Yield frames until the server closes."""
        try:
            while True:
                yield self.receive()
        except ClosedError:
            return

    def open(
        self, method: str, request: Any = None, *, timeout_ms: int = 0, key: str = "",
        end: bool = True, trace: str = "",
    ) -> int:  # fmt: skip
        """Send Call; return its stream."""
        self.last_stream += 1
        frame = Frame(stream=self.last_stream)
        frame.call.method = method if "/" in method else f"{TRACKING}/{method}"
        frame.call.timeout_ms = timeout_ms
        frame.call.idempotency_key = key
        frame.call.traceparent = trace
        frame.call.end_of_requests = end
        if request is None:
            frame.call.no_message = True
        else:
            frame.call.message = request.SerializeToString()
        self.send(frame)
        return self.last_stream

    def data(self, stream: int, request: Any) -> None:
        """Send a request on a stream."""
        frame = Frame(stream=stream)
        frame.data.message = request.SerializeToString()
        frame.data.SetInParent()
        self.send(frame)

    def half_close(self, stream: int) -> None:
        """Say that no more requests follow."""
        frame = Frame(stream=stream)
        frame.data.end_of_requests = True
        self.send(frame)

    def cancel(self, stream: int) -> None:
        """Say that the answer is no longer wanted."""
        frame = Frame(stream=stream)
        frame.cancel.SetInParent()
        self.send(frame)

    def end(self, stream: int) -> Any:
        """Return the End of a stream; what comes before it is dropped."""
        while True:
            frame = self.receive()
            if frame.stream == stream and frame.HasField("end"):
                return frame.end

    def call(self, method: str, request: Any, *, timeout_ms: int = 0, key: str = "") -> Any:
        """Make a unary call and return its End."""
        return self.end(self.open(method, request, timeout_ms=timeout_ms, key=key))

    def cut(self) -> None:
        """Close without a word, so that what the server still sends is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _frame(self) -> Any:
        length = struct.unpack(">I", self._read(4))[0]
        return Frame.FromString(self._read(length))

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                data = self.socket.recv(1 << 16)
            except (ConnectionError, ssl.SSLEOFError) as error:
                raise ClosedError from error
            if not data:
                raise ClosedError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
