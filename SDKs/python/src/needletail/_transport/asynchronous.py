"""The transport of the asyncio client: the engine runs on the application's event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from needletail._core.actions import Dial
from needletail._core.engine import Engine
from needletail._transport import tls

if TYPE_CHECKING:
    import ssl

    from needletail._core.call import PendingCall
    from needletail.settings import Settings

_STOP_PATIENCE_SECONDS = 1.0


class AsyncDriver:
    """Runs an engine on an event loop; every method is called on that loop."""

    def __init__(self, settings: Settings, context: ssl.SSLContext) -> None:
        self._settings = settings
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._engine = Engine(settings.api_key, tls.client_name(), server=settings.address)
        self._wires: dict[int, _Wire] = {}
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_flush_due = False
        self._closing: set[asyncio.Future[None]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that everything happens on."""
        return self._loop

    def start(self, call: PendingCall) -> None:
        """Starts a call."""
        self._engine.start(call, time.monotonic())
        self._touch()

    def send(self, call: PendingCall, message: bytes, *, end_of_requests: bool) -> None:
        """Sends one more message of a call."""
        self._engine.send(call, message, end_of_requests=end_of_requests)
        self._touch()

    def cancel(self, call: PendingCall) -> None:
        """Cancels a call."""
        self._engine.cancel(call, time.monotonic())
        self._touch()

    def consumed(self, call: PendingCall, size: int) -> None:
        """Gives back the window of a message."""
        self._engine.consumed(call, size)
        self._touch()

    async def stop(self) -> None:
        """Ends every call and says goodbye to the server."""
        self._engine.close()
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
        dials = list(self._dials.values())
        for task in dials:
            task.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        if self._closing:
            await asyncio.wait(self._closing, timeout=_STOP_PATIENCE_SECONDS)

    # What the wires tell.

    def on_received(self, number: int, data: bytes) -> None:
        """Tells the engine."""
        self._engine.received(number, data, time.monotonic())
        self._touch()

    def on_lost(self, number: int, error: Exception | None, *, has_received: bool) -> None:
        """Tells the engine."""
        self._wires.pop(number, None)
        lasting = None
        if error is not None and not has_received:
            lasting = tls.permanent_failure(self._settings.address, error)
        if lasting is not None:
            self._engine.refused(number, lasting, time.monotonic())
        else:
            reason = str(error) if error is not None else "the server closed the connection"
            self._engine.disconnected(number, reason, time.monotonic())
        self._touch()

    def _touch(self) -> None:
        """Has everything that this turn of the loop brought written at once."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        while True:
            actions = self._engine.take_actions()
            for action in actions:
                if isinstance(action, Dial):
                    task = self._loop.create_task(self._dial(action.link))
                    self._dials[action.link] = task
                else:
                    self._hang_up(action.link, action.output)
            has_written = False
            for number, wire in list(self._wires.items()):
                data = self._engine.take_output(number)
                if data:
                    has_written = True
                    wire.write(data)
            if not actions and not has_written:
                break
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakeup = self._engine.next_wakeup()
        if wakeup is not None:
            self._timer = self._loop.call_later(max(0.0, wakeup - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self._engine.tick(time.monotonic())
        self._flush()

    def _hang_up(self, number: int, last: bytes) -> None:
        dial = self._dials.pop(number, None)
        if dial is not None:
            dial.cancel()
        wire = self._wires.pop(number, None)
        if wire is not None:
            self._closing.add(wire.closed)
            wire.closed.add_done_callback(self._closing.discard)
            wire.close(last)

    async def _dial(self, number: int) -> None:
        address = self._settings.address
        try:
            transport, wire = await self._loop.create_connection(
                lambda: _Wire(self, number),
                self._settings.host,
                self._settings.port,
                ssl=self._context,
                server_hostname=self._settings.host,
            )
        except OSError as error:
            lasting = tls.permanent_failure(address, error)
            if lasting is not None:
                self._engine.refused(number, lasting, time.monotonic())
            else:
                reason = error.strerror or str(error)
                self._engine.disconnected(number, reason, time.monotonic())
        else:
            secure = transport.get_extra_info("ssl_object")
            wrong = tls.wrong_protocol(address, secure.selected_alpn_protocol())
            if wrong is not None:
                transport.abort()
                self._engine.refused(number, wrong, time.monotonic())
            else:
                self._wires[number] = wire
                self._engine.connected(number, time.monotonic())
                wire.begin()
        finally:
            self._dials.pop(number, None)
            self._touch()


class _Wire(asyncio.Protocol):
    """One connection; what comes before `begin` waits."""

    def __init__(self, driver: AsyncDriver, number: int) -> None:
        self._driver = driver
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] | None = []
        self._has_received = False
        self._is_lost = False
        self._error: Exception | None = None
        self.closed: asyncio.Future[None] = driver.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hands bytes on."""
        self._has_received = True
        if self._early is not None:
            self._early.append(data)
        else:
            self._driver.on_received(self._number, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the driver, once the driver knows of this connection."""
        self._is_lost = True
        self._error = exc
        if not self.closed.done():
            self.closed.set_result(None)
        if self._early is None:
            self._tell_lost()

    def begin(self) -> None:
        """Hands on what came early."""
        early, self._early = self._early, None
        for data in early or ():
            self._driver.on_received(self._number, data)
        if self._is_lost:
            self._tell_lost()

    def _tell_lost(self) -> None:
        self._driver.on_lost(self._number, self._error, has_received=self._has_received)

    def write(self, data: bytes) -> None:
        """Sends bytes."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, last: bytes) -> None:
        """Sends the last bytes and closes."""
        if self._transport is not None:
            if last:
                self._transport.write(last)
            self._transport.close()
