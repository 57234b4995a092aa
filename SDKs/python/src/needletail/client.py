"""The synchronous client."""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
import weakref
from typing import TYPE_CHECKING

from needletail import settings as settings_module
from needletail._core.call import PendingCall
from needletail._generated.services import Services
from needletail._methods import Idempotency, Kind, Method, Request, Response
from needletail._reading.blocking import Reading
from needletail._transport import tls
from needletail._transport.blocking import Driver
from needletail._transport.blocking_calls import StreamingCall
from needletail._transport.sinks import StreamSink, UnarySink
from needletail.errors import CLIENT_CLOSED, FORKED, Code, call_error

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from needletail._core.call import Sink
    from needletail.settings import Settings

_KEY_BYTES = 16
MAX_KEY_BYTES = 64


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
    """Makes a client. The connection is opened by the first call, and again whenever it broke.

    Args:
        url: `needletail://host:7443`; else `NEEDLETAIL_URL`, else the stored profile.
        api_key: Else `NEEDLETAIL_API_KEY`, else the stored profile.
        is_anonymous: Connect without a key, which is enough to log in and little else.
        ca_file: PEM of the authorities to trust; else `NEEDLETAIL_CA_FILE`, else the stored
            profile, else the system's.
        certificate_file: PEM of this client's certificate, for a server that asks for one.
        key_file: PEM of its private key.
        profile: Name of a stored profile; it then comes before the environment.
        timeout_seconds: Of every unary call that names none; 30 by default.
        connect_timeout_seconds: How long every call waits for a connection, where that is less.

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


def new_idempotency_key() -> str:
    """A key that no other call has."""
    return secrets.token_hex(_KEY_BYTES)


class Client(Services, Reading):
    """All services of a server, for any number of threads over one connection.

    A forked child may go on using its parent's client: it opens a connection of its own, while
    calls that were under way stay the parent's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._context = tls.make_context(settings)
        self._lock = threading.Lock()
        self._driver: Driver | None = None
        self._stopper: weakref.finalize[..., Client] | None = None
        self._is_closed = False
        self._open_sinks: weakref.WeakSet[StreamSink] = weakref.WeakSet()
        super().__init__(_Caller(self))
        _clients.add(self)

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

    def close(self) -> None:
        """Ends the calls under way with CANCELLED / CLIENT_CLOSED and closes the connection."""
        with self._lock:
            self._is_closed = True
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.stop()

    def _get_driver(self) -> Driver:
        driver = self._driver
        if driver is not None and not driver.has_ended:
            return driver
        with self._lock:
            if self._is_closed:
                raise call_error(Code.CANCELLED, CLIENT_CLOSED, "the client was closed")
            if self._driver is None or self._driver.has_ended:
                self._driver = Driver(self.settings, self._context)
                self._stopper = weakref.finalize(self, self._driver.stop)
                # At exit the thread is a daemon; there is nobody left to say goodbye to.
                self._stopper.atexit = False
            return self._driver

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        driver, self._driver = self._driver, None
        if self._stopper is not None:
            self._stopper.detach()
            self._stopper = None
        if driver is not None:
            driver.abandon()
        forked = call_error(Code.CANCELLED, FORKED, "the call belongs to the parent process")
        for sink in list(self._open_sinks):
            sink.become_foreign(forked)
        self._open_sinks = weakref.WeakSet()

    def _start(
        self,
        method: Method[Request, Response],
        request: bytes | None,
        sink: Sink,
        timeout_seconds: float | None,
        idempotency_key: str | None = None,
    ) -> tuple[Driver, PendingCall]:
        """Starts a call and returns what drives it."""
        call = make_call(method, request, sink, self.settings, timeout_seconds, idempotency_key)
        driver = self._get_driver()
        driver.start(call)
        return driver, call


def make_call(
    method: Method[Request, Response],
    request: bytes | None,
    sink: Sink,
    settings: Settings,
    timeout_seconds: float | None,
    idempotency_key: str | None = None,
) -> PendingCall:
    """A call by the rules that both faces share: timeouts, keys, what may be repeated."""
    now = time.monotonic()
    is_unary = method.kind is Kind.UNARY
    if timeout_seconds is None and is_unary:
        timeout_seconds = settings.timeout_seconds
    deadline = None
    if timeout_seconds is not None and not math.isinf(timeout_seconds):
        deadline = now + max(0.0, timeout_seconds)
    key = idempotency_key or ""
    if len(key.encode()) > MAX_KEY_BYTES or "\0" in key:
        raise ValueError(f"an idempotency key has at most {MAX_KEY_BYTES} bytes, and no U+0000")
    if is_unary and method.idempotency is Idempotency.KEYED and not key:
        key = new_idempotency_key()
    return PendingCall(
        method=method.name,
        request=request,
        sink=sink,
        is_repeatable=method.idempotency is Idempotency.READ or bool(key),
        end_of_requests=method.kind in {Kind.UNARY, Kind.SERVER_STREAMING},
        idempotency_key=key,
        deadline=deadline,
        open_by=now + settings.timeout_seconds if deadline is None else None,
        connect_seconds=settings.connect_timeout_seconds,
    )


class _Caller:
    def __init__(self, client: Client) -> None:
        # A service or a stream that is still in use keeps its client and so the connection.
        self._client = client

    def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_seconds: float | None,
        idempotency_key: str | None,
    ) -> Response:
        client = self._client
        sink = UnarySink()
        data = method.encode_request(request)
        driver, call = client._start(method, data, sink, timeout_seconds, idempotency_key)
        try:
            answer = sink.wait()
        except BaseException:
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
        sink = StreamSink()
        client._open_sinks.add(sink)
        driver, call = client._start(method, data, sink, timeout_seconds)
        return StreamingCall(method, driver, call, sink, owner=client)


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
