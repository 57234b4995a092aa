"""The asyncio client: the same calls as `needletail.Client`, awaited."""

from __future__ import annotations

import asyncio
import collections
import math
import os
from typing import TYPE_CHECKING, Generic

from needletail import settings as settings_module
from needletail._generated.services import AsyncServices
from needletail._methods import Method, Request, Response
from needletail._reading.asynchronous import AsyncReading
from needletail._transport import tls
from needletail._transport.asynchronous import AsyncDriver
from needletail.client import make_call
from needletail.errors import CLIENT_CLOSED, CallError, Code, call_error

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from needletail._core.call import PendingCall
    from needletail.settings import Settings

__all__ = ["Client", "connect"]


def connect(
    url: str | None = None,
    *,
    api_key: str | None = None,
    is_anonymous: bool = False,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    profile: str | None = None,
    timeout_seconds: float | None = None,
    connect_timeout_seconds: float = math.inf,
) -> Client:
    """Makes a client; the settings are those of `needletail.connect`.

    Raises:
        SettingsError: A setting is missing or can't be used.
    """
    return Client(
        settings_module.resolve(
            url,
            api_key=api_key,
            is_anonymous=is_anonymous,
            ca_file=ca_file,
            certificate_file=certificate_file,
            key_file=key_file,
            profile=profile,
            timeout_seconds=timeout_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
        )
    )


class Client(AsyncServices, AsyncReading):
    """All services of a server, for the tasks of one event loop over one connection.

    The loop is the one that the first call runs on. Use `async with`, or `await client.close()`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._context = tls.make_context(settings)
        self._driver: AsyncDriver | None = None
        self._process = 0
        self._is_closed = False
        super().__init__(_Caller(self))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the calls under way with CANCELLED / CLIENT_CLOSED and closes the connection."""
        self._is_closed = True
        driver, self._driver = self._driver, None
        if driver is not None and self._process == os.getpid():
            await driver.stop()

    def _get_driver(self) -> AsyncDriver:
        if self._is_closed:
            raise call_error(Code.CANCELLED, CLIENT_CLOSED, "the client was closed")
        if self._driver is None or self._process != os.getpid():
            # A forked child has a loop and a connection of its own.
            self._driver = AsyncDriver(self.settings, self._context)
            self._process = os.getpid()
        elif self._driver.loop is not asyncio.get_running_loop():
            raise RuntimeError("this client belongs to another event loop; make one per loop")
        return self._driver


class _UnarySink:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[bytes] = loop.create_future()

    def message(self, message: bytes) -> None:
        """A unary call has no messages before its end."""

    def ended(self, error: CallError | None, message: bytes) -> None:
        """Wakes the caller."""
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(message)

    def writable(self) -> None:
        """Nothing more is sent."""

    def draining(self) -> None:
        """The answer still comes."""


class _StreamSink:
    def __init__(self) -> None:
        self.messages: collections.deque[bytes] = collections.deque()
        self.error: CallError | None = None
        self.answer = b""
        self.has_ended = False
        self.is_sent = True
        self._changed = asyncio.Event()

    def message(self, message: bytes) -> None:
        """Keeps a message; what is kept is bounded by the stream's window."""
        self.messages.append(message)
        self._changed.set()

    def ended(self, error: CallError | None, message: bytes) -> None:
        """Wakes everybody."""
        if not self.has_ended:
            self.error, self.answer, self.has_ended = error, message, True
        self._changed.set()

    def writable(self) -> None:
        """Wakes who waits to send."""
        self.is_sent = True
        self._changed.set()

    def draining(self) -> None:
        """The stream is still served."""

    async def change(self) -> None:
        """Waits until something has happened since the caller looked."""
        self._changed.clear()
        await self._changed.wait()


class StreamingCall(Generic[Request, Response]):
    """Every streaming call: sends, receives, iterates, is closed."""

    def __init__(
        self,
        method: Method[Request, Response],
        driver: AsyncDriver,
        call: PendingCall,
        sink: _StreamSink,
        *,
        owner: object,
    ) -> None:
        self._method = method
        self._driver = driver
        self._call = call
        self._sink = sink
        self._owner = owner

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Response:
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    def __del__(self) -> None:
        if not self._sink.has_ended and not self._driver.loop.is_closed():
            # Collection may happen on any thread; the engine belongs to the loop's.
            self._driver.loop.call_soon_threadsafe(self._driver.cancel, self._call)

    async def send(self, message: Request, /) -> None:
        """Sends a message; waits while the server's window is full."""
        await self._send(self._method.encode_request(message), end_of_requests=False)

    async def receive(self) -> Response | None:
        """The next message; None once the server has ended the call."""
        sink = self._sink
        while not sink.messages and not sink.has_ended:
            await sink.change()
        if not sink.messages:
            if sink.error is not None:
                raise sink.error
            return None
        data = sink.messages.popleft()
        self._driver.consumed(self._call, len(data))
        return self._method.decode_response(data)

    async def half_close(self) -> None:
        """Says that no more messages follow; receiving goes on."""
        await self._send(b"", end_of_requests=True)

    async def finish(self) -> Response:
        """Says that no more messages follow, and returns the answer."""
        await self.half_close()
        while not self._sink.has_ended:
            await self._sink.change()
        if self._sink.error is not None:
            raise self._sink.error
        return self._method.decode_response(self._sink.answer)

    async def aclose(self) -> None:
        """Cancels the call unless it has ended, and drops what was not taken."""
        sink = self._sink
        dropped = sum(len(message) for message in sink.messages)
        sink.messages.clear()
        if dropped:
            self._driver.consumed(self._call, dropped)
        if not sink.has_ended:
            sink.ended(call_error(Code.CANCELLED, "CANCELLED", "the call was closed"), b"")
            self._driver.cancel(self._call)

    async def _send(self, data: bytes, *, end_of_requests: bool) -> None:
        sink = self._sink
        self._raise_if_over()
        sink.is_sent = False
        self._driver.send(self._call, data, end_of_requests=end_of_requests)
        while not sink.is_sent:
            self._raise_if_over()
            await sink.change()

    def _raise_if_over(self) -> None:
        if self._sink.has_ended:
            raise self._sink.error or call_error(Code.CANCELLED, "CANCELLED", "the call has ended")


class _Caller:
    def __init__(self, client: Client) -> None:
        # A service or a stream that is still in use keeps its client and so the connection.
        self._client = client

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_seconds: float | None,
        idempotency_key: str | None,
    ) -> Response:
        driver = self._client._get_driver()
        sink = _UnarySink(driver.loop)
        data = method.encode_request(request)
        settings = self._client.settings
        call = make_call(method, data, sink, settings, timeout_seconds, idempotency_key)
        driver.start(call)
        try:
            answer = await sink.answer
        except asyncio.CancelledError:
            driver.cancel(call)
            raise
        return method.decode_response(answer)

    def server_streaming(
        self, method: Method[Request, Response], request: Request, timeout_seconds: float | None
    ) -> StreamingCall[Request, Response]:
        return self._stream(method, method.encode_request(request), timeout_seconds)

    def client_streaming(
        self, method: Method[Request, Response], timeout_seconds: float | None
    ) -> StreamingCall[Request, Response]:
        return self._stream(method, None, timeout_seconds)

    def bidirectional(
        self, method: Method[Request, Response], timeout_seconds: float | None
    ) -> StreamingCall[Request, Response]:
        return self._stream(method, None, timeout_seconds)

    def _stream(
        self, method: Method[Request, Response], data: bytes | None, timeout_seconds: float | None
    ) -> StreamingCall[Request, Response]:
        client = self._client
        driver = client._get_driver()
        sink = _StreamSink()
        call = make_call(method, data, sink, client.settings, timeout_seconds)
        driver.start(call)
        return StreamingCall(method, driver, call, sink, owner=client)
