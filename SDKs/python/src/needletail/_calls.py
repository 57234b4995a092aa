"""The objects that stand for a call under way, and what makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

    from needletail._methods import Method, Request, Response

Sent_contra = TypeVar("Sent_contra", contravariant=True)
Received_co = TypeVar("Received_co", covariant=True)


class MessageStream(Protocol[Received_co]):
    """The messages of a server-streaming call: an iterator, closed by `close` or `with`.

    The server sends only as fast as messages are taken. Closing it early cancels the call.
    """

    def __iter__(self) -> MessageStream[Received_co]: ...
    def __next__(self) -> Received_co: ...
    def __enter__(self) -> MessageStream[Received_co]: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def close(self) -> None:
        """Cancels the call unless it has ended."""


class ClientStreamingCall(Protocol[Sent_contra, Received_co]):
    """A call that takes many messages and gives one answer; `with` cancels it when left early."""

    def __enter__(self) -> ClientStreamingCall[Sent_contra, Received_co]: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def send(self, message: Sent_contra, /) -> None:
        """Sends a message; waits while the server's window is full."""

    def finish(self) -> Received_co:
        """Says that no more messages follow, and returns the answer."""

    def close(self) -> None:
        """Cancels the call unless it has ended."""


class BidirectionalCall(Protocol[Sent_contra, Received_co]):
    """A call that sends and receives; it iterates over what it receives.

    One thread may send while another receives. Leaving `with` before the end cancels the call.
    """

    def __iter__(self) -> BidirectionalCall[Sent_contra, Received_co]: ...
    def __next__(self) -> Received_co: ...
    def __enter__(self) -> BidirectionalCall[Sent_contra, Received_co]: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def send(self, message: Sent_contra, /) -> None:
        """Sends a message; waits while the server's window is full."""

    def receive(self, timeout_seconds: float | None = None) -> Received_co | None:
        """The next message; None once the server has ended the call.

        Raises:
            TimeoutError: Nothing came within `timeout_seconds`; the call goes on.
        """

    def half_close(self) -> None:
        """Says that no more messages follow; receiving goes on."""

    def close(self) -> None:
        """Cancels the call unless it has ended."""


class AsyncMessageStream(Protocol[Received_co]):
    """The messages of a server-streaming call: an asynchronous iterator."""

    def __aiter__(self) -> AsyncMessageStream[Received_co]: ...
    async def __anext__(self) -> Received_co: ...
    async def __aenter__(self) -> AsyncMessageStream[Received_co]: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    async def aclose(self) -> None:
        """Cancels the call unless it has ended."""


class AsyncClientStreamingCall(Protocol[Sent_contra, Received_co]):
    """A call that takes many messages and gives one answer."""

    async def __aenter__(self) -> AsyncClientStreamingCall[Sent_contra, Received_co]: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    async def send(self, message: Sent_contra, /) -> None:
        """Sends a message; waits while the server's window is full."""

    async def finish(self) -> Received_co:
        """Says that no more messages follow, and returns the answer."""

    async def aclose(self) -> None:
        """Cancels the call unless it has ended."""


class AsyncBidirectionalCall(Protocol[Sent_contra, Received_co]):
    """A call that sends and receives; it iterates over what it receives."""

    def __aiter__(self) -> AsyncBidirectionalCall[Sent_contra, Received_co]: ...
    async def __anext__(self) -> Received_co: ...
    async def __aenter__(self) -> AsyncBidirectionalCall[Sent_contra, Received_co]: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    async def send(self, message: Sent_contra, /) -> None:
        """Sends a message; waits while the server's window is full."""

    async def receive(self) -> Received_co | None:
        """The next message; None once the server has ended the call."""

    async def half_close(self) -> None:
        """Says that no more messages follow; receiving goes on."""

    async def aclose(self) -> None:
        """Cancels the call unless it has ended."""


class Caller(Protocol):
    """What the generated methods call."""

    def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_seconds: float | None,
        idempotency_key: str | None,
    ) -> Response: ...
    def server_streaming(
        self, method: Method[Request, Response], request: Request, timeout_seconds: float | None
    ) -> MessageStream[Response]: ...
    def client_streaming(
        self, method: Method[Request, Response], timeout_seconds: float | None
    ) -> ClientStreamingCall[Request, Response]: ...
    def bidirectional(
        self, method: Method[Request, Response], timeout_seconds: float | None
    ) -> BidirectionalCall[Request, Response]: ...


class AsyncCaller(Protocol):
    """What the generated asynchronous methods call."""

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_seconds: float | None,
        idempotency_key: str | None,
    ) -> Response: ...
    def server_streaming(
        self, method: Method[Request, Response], request: Request, timeout_seconds: float | None
    ) -> AsyncMessageStream[Response]: ...
    def client_streaming(
        self, method: Method[Request, Response], timeout_seconds: float | None
    ) -> AsyncClientStreamingCall[Request, Response]: ...
    def bidirectional(
        self, method: Method[Request, Response], timeout_seconds: float | None
    ) -> AsyncBidirectionalCall[Request, Response]: ...
