"""The synchronous call objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from needletail._methods import Method, Request, Response

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from needletail._core.call import PendingCall
    from needletail._transport.blocking import Driver
    from needletail._transport.sinks import StreamSink


class StreamingCall(Generic[Request, Response]):
    """Every streaming call: sends, receives, iterates, is closed."""

    def __init__(
        self,
        method: Method[Request, Response],
        driver: Driver,
        call: PendingCall,
        sink: StreamSink,
        *,
        owner: object,
    ) -> None:
        self._method = method
        self._driver = driver
        self._call = call
        self._sink = sink
        self._owner = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Response:
        message = self.receive()
        if message is None:
            raise StopIteration
        return message

    def __del__(self) -> None:
        # A forgotten stream would keep its window and its place on the server.
        self.close()

    def send(self, message: Request, /) -> None:
        """Sends a message; waits while the server's window is full."""
        self._send(self._method.encode_request(message), end_of_requests=False)

    def receive(self, timeout_seconds: float | None = None) -> Response | None:
        """The next message; None once the server has ended the call."""
        data = self._sink.take(self._driver, self._call, timeout_seconds)
        return None if data is None else self._method.decode_response(data)

    def half_close(self) -> None:
        """Says that no more messages follow; receiving goes on."""
        self._send(b"", end_of_requests=True)

    def finish(self) -> Response:
        """Says that no more messages follow, and returns the answer."""
        self.half_close()
        return self._method.decode_response(self._sink.answer())

    def close(self) -> None:
        """Cancels the call unless it has ended."""
        self._sink.close(self._driver, self._call)

    def _send(self, data: bytes, *, end_of_requests: bool) -> None:
        self._sink.begin_send()
        self._driver.send(self._call, data, end_of_requests=end_of_requests)
        self._sink.wait_until_sent()
