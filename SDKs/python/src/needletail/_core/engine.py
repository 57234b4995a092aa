"""A client without I/O: connections, calls, retries and time.

A transport owns an `Engine` and is the only one to call it. It tells what happened and when, then
does what `take_actions` says, writes what `take_output` gives, and calls `tick` by `next_wakeup`.
"""

from __future__ import annotations

import collections
import itertools
import random
from typing import TYPE_CHECKING

from needletail._core import events, outcomes
from needletail._core.actions import Action, Dial, Hangup
from needletail._core.connection import Connection
from needletail._core.frames import FrameTooLargeError, ProtocolError
from needletail._core.link import Link
from needletail._core.timers import MAX_ADVICE_SECONDS, Timers, dial_pause_seconds, pause_seconds
from needletail.errors import (
    CONNECT_FAILED,
    CONNECTION_LOST,
    PROTOCOL_ERROR,
    CallError,
    Code,
    copy_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail._core.call import PendingCall

WELCOME_PATIENCE_SECONDS = 10.0
MAX_REFUSALS = 10


class Engine:
    """The whole client, less its sockets and its clock."""

    def __init__(
        self,
        api_key: str,
        client: str,
        *,
        server: str = "the server",
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._api_key = api_key
        self._client = client
        self._server = server
        self._jitter = jitter
        self._links: dict[int, Link] = {}
        self._current: Link | None = None
        self._numbers = itertools.count(1)
        self._waiting: collections.deque[PendingCall] = collections.deque()
        self._timers = Timers()
        self._actions: list[Action] = []
        self._failures = 0
        self._problem: CallError | None = None
        self._dial_not_before = 0.0
        self._is_closed = False

    # What the application does.

    def start(self, call: PendingCall, now: float) -> None:
        """Takes a call; its sink will be told of its end, whatever happens."""
        if self._is_closed:
            self._finish(call, outcomes.closed())
            return
        self._timers.add(call.ends_by, call)
        self._enqueue(call, now)
        self._dispatch(now)

    def send(self, call: PendingCall, message: bytes, *, end_of_requests: bool) -> None:
        """Sends one more message of a call; `Sink.writable` tells when it is on its way."""
        if call.is_done:
            return
        if call.link is None:
            call.unsent.append((message, end_of_requests))
            return
        self._send_on(call, call.link, message, end_of_requests=end_of_requests)

    def consumed(self, call: PendingCall, size: int) -> None:
        """Gives back the window of a message that the application took or dropped."""
        if call.link is not None and call.link.number in self._links:
            call.link.machine.consumed(call.stream, size)

    def cancel(self, call: PendingCall, now: float) -> None:
        """Ends a call because its caller no longer wants it."""
        self._abandon(call, outcomes.cancelled())
        self._dispatch(now)

    def close(self) -> None:
        """Ends every call and connection."""
        self._is_closed = True
        for call in [*self._waiting, *(c for k in self._links.values() for c in k.calls.values())]:
            self._finish(call, outcomes.closed())
        self._waiting.clear()
        for link in list(self._links.values()):
            link.calls.clear()
            if link.is_welcomed:
                link.machine.say_goodbye()
            self._hang_up(link)

    # What the network does.

    def connected(self, number: int, now: float) -> None:
        """A connection has been made, its handshake included."""
        link = self._links.get(number)
        if link is not None:
            link.is_connected = True
            link.heard(now)

    def received(self, number: int, data: bytes, now: float) -> None:
        """Bytes came."""
        link = self._links.get(number)
        if link is None:
            return
        link.heard(now)
        try:
            happened = link.machine.receive(data)
        except ProtocolError as error:
            self._lose(link, PROTOCOL_ERROR, f"the server broke the protocol: {error}", now)
        else:
            for event in happened:
                self._handle(link, event, now)
        self._dispatch(now)

    def disconnected(self, number: int, reason: str, now: float) -> None:
        """A connection broke or was closed by the server."""
        link = self._links.get(number)
        if link is not None:
            kind = CONNECTION_LOST if link.is_welcomed else CONNECT_FAILED
            self._lose(link, kind, reason, now)
        self._dispatch(now)

    def refused(self, number: int, error: CallError, now: float) -> None:
        """A connection can't be made and trying again won't help: every waiting call ends."""
        link = self._links.get(number)
        if link is not None:
            self._drop(link)
            self._back_off(now, error)
            self._fail_waiting(error)

    # Time.

    def tick(self, now: float) -> None:
        """Does what is due."""
        for call in self._timers.due(now):
            self._check_time(call, now)
        for link in list(self._links.values()):
            problem = link.check(now)
            if problem is not None:
                kind = CONNECTION_LOST if link.is_welcomed else CONNECT_FAILED
                self._lose(link, kind, problem, now)
        self._dispatch(now)

    def next_wakeup(self) -> float | None:
        """When `tick` has something to do; None = not before something else happens."""
        times = [when for link in self._links.values() if (when := link.next_check()) is not None]
        timer = self._timers.next_time()
        if timer is not None:
            times.append(timer)
        if self._current is None and self._waiting:
            earliest = min(call.not_before for call in self._waiting)
            times.append(max(earliest, self._dial_not_before))
        return min(times, default=None)

    # What the transport does for it.

    def take_actions(self) -> list[Action]:
        """What to do now; each is given once."""
        actions, self._actions = self._actions, []
        return actions

    def take_output(self, number: int) -> bytes:
        """What to write on a connection."""
        link = self._links.get(number)
        return link.machine.take_output() if link is not None and link.is_connected else b""

    # Calls.

    @property
    def _is_connected(self) -> bool:
        return self._current is not None and self._current.is_welcomed

    def _enqueue(self, call: PendingCall, now: float) -> None:
        call.is_waiting = True
        self._waiting.append(call)
        if not self._is_connected:
            self._wait_for_connection(call, now)

    def _wait_for_connection(self, call: PendingCall, now: float) -> None:
        call.connect_by = now + call.connect_seconds
        self._timers.add(call.connect_by, call)

    def _dispatch(self, now: float) -> None:
        if not self._waiting:
            self._hang_up_idle()
            return
        link = self._usable_link(now)
        kept: collections.deque[PendingCall] = collections.deque()
        while self._waiting:
            if link is None or not link.machine.accepts_calls:
                break
            call = self._waiting.popleft()
            if call.is_done:
                continue
            if call.not_before > now:
                kept.append(call)
                continue
            self._open(call, link, now)
        kept.extend(call for call in self._waiting if not call.is_done)
        self._waiting = kept
        self._hang_up_idle()

    def _usable_link(self, now: float) -> Link | None:
        """The connection for new calls; dials one when there is none and a call is due."""
        if self._current is not None:
            return self._current if self._current.is_welcomed else None
        is_due = any(call.not_before <= now and not call.is_done for call in self._waiting)
        if is_due and now >= self._dial_not_before and not self._is_closed:
            connection = Connection(self._api_key, self._client)
            link = Link(next(self._numbers), connection, now + WELCOME_PATIENCE_SECONDS)
            self._links[link.number] = self._current = link
            self._actions.append(Dial(link.number))
        return None

    def _open(self, call: PendingCall, link: Link, now: float) -> None:
        call.is_waiting = False
        try:
            stream = link.machine.open(
                call.method,
                call.request,
                timeout_ms=call.timeout_ms(now),
                idempotency_key=call.idempotency_key,
                end_of_requests=call.end_of_requests,
            )
        except FrameTooLargeError as error:
            self._finish(call, outcomes.too_large(error))
            return
        call.link, call.stream, call.tries = link, stream, call.tries + 1
        link.calls[stream] = call
        while call.unsent and not call.is_done:
            message, end = call.unsent.popleft()
            self._send_on(call, link, message, end_of_requests=end)

    def _send_on(
        self, call: PendingCall, link: Link, message: bytes, *, end_of_requests: bool
    ) -> None:
        call.has_sent_more = True
        try:
            went = link.machine.send(call.stream, message, end_of_requests=end_of_requests)
        except FrameTooLargeError as error:
            self._abandon(call, outcomes.too_large(error))
            return
        if went:
            call.sink.writable()

    def _handle(self, link: Link, event: events.Event, now: float) -> None:
        if isinstance(event, events.Welcomed):
            link.is_welcomed = True
            self._failures, self._problem = 0, None
        elif isinstance(event, events.Draining):
            if self._current is link:
                self._current = None
                # A little patience, so that a server that only drains isn't dialled in a loop.
                self._dial_not_before = now + pause_seconds(self._jitter, 1)
            for call in list(link.calls.values()):
                call.sink.draining()
        elif isinstance(event, events.Terminated):
            self._terminated(link, event.error, now)
        else:
            self._handle_call(link, event, now)

    def _handle_call(
        self,
        link: Link,
        event: events.Received | events.Ended | events.NeverStarted | events.Writable,
        now: float,
    ) -> None:
        call = link.calls.get(event.stream)
        if call is None:
            # Nobody waits for it any more; its window goes back all the same.
            if isinstance(event, events.Received):
                link.machine.consumed(event.stream, len(event.message))
        elif isinstance(event, events.Received):
            call.has_received = True
            call.sink.message(event.message)
        elif isinstance(event, events.Writable):
            call.sink.writable()
        elif isinstance(event, events.Ended):
            del link.calls[event.stream]
            self._ended(call, event.error, event.message, now)
        else:
            del link.calls[event.stream]
            error = outcomes.draining()
            self._retry_or_fail(call, error, now, can_retry=call.may_restart, at_once=True)

    def _terminated(self, link: Link, error: CallError, now: float) -> None:
        was_welcomed = link.is_welcomed
        self._hang_up(link)
        if not was_welcomed:
            self._back_off(now, error)
        if not was_welcomed and error.code not in {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED}:
            self._fail_waiting(error)

    def _ended(
        self, call: PendingCall, error: CallError | None, message: bytes, now: float
    ) -> None:
        if error is None:
            self._finish(call, None, message)
        elif outcomes.is_refusal(error):
            call.refusals += 1
            can_retry = call.may_restart and call.refusals <= MAX_REFUSALS
            self._retry_or_fail(call, error, now, can_retry=can_retry)
        else:
            can_retry = error.code is Code.UNAVAILABLE and call.may_repeat
            self._retry_or_fail(call, error, now, can_retry=can_retry)

    def _retry_or_fail(
        self,
        call: PendingCall,
        error: CallError,
        now: float,
        *,
        can_retry: bool,
        at_once: bool = False,
    ) -> None:
        pause = 0.0 if at_once else pause_seconds(self._jitter, call.tries, error)
        is_advised_too_long = (error.retry_after or 0.0) > MAX_ADVICE_SECONDS
        if not can_retry or is_advised_too_long or now + pause >= call.ends_by:
            self._finish(call, error)
            return
        call.link, call.stream, call.last_error = None, 0, error
        call.not_before = now + pause
        if pause:
            self._timers.add(call.not_before, call)
        self._enqueue(call, now)

    def _check_time(self, call: PendingCall, now: float) -> None:
        if call.has_waited(now, is_connected=self._is_connected):
            away = outcomes.unavailable(CONNECT_FAILED, self._server, "no connection in time")
            self._abandon(call, self._problem or call.last_error or away)
        elif call.deadline is not None and now >= call.deadline:
            refusal = call.is_waiting and call.last_error
            self._abandon(call, refusal or outcomes.late(self._server))

    def _abandon(self, call: PendingCall, error: CallError) -> None:
        if call.link is not None:
            call.link.machine.cancel(call.stream)
            call.link.calls.pop(call.stream, None)
        self._finish(call, error)

    def _finish(self, call: PendingCall, error: CallError | None, message: bytes = b"") -> None:
        if not call.is_done:
            call.is_done, call.is_waiting = True, False
            call.unsent.clear()
            call.sink.ended(None if error is None else copy_of(error), message)

    def _fail_waiting(self, error: CallError) -> None:
        waiting, self._waiting = self._waiting, collections.deque()
        for call in waiting:
            self._finish(call, error)

    # Connections.

    def _lose(self, link: Link, reason: str, problem: str, now: float) -> None:
        error = outcomes.unavailable(reason, self._server, problem)
        if not link.is_welcomed:
            self._back_off(now, error)
        self._drop(link)
        self._actions.append(Hangup(link.number))
        for call in self._waiting if link.is_welcomed else ():
            self._wait_for_connection(call, now)
        for call in list(link.calls.values()):
            self._retry_or_fail(call, error, now, can_retry=call.may_repeat)
        link.calls.clear()

    def _back_off(self, now: float, error: CallError) -> None:
        self._failures += 1
        pause = dial_pause_seconds(self._jitter, self._failures, error, self._waiting)
        self._dial_not_before, self._problem = now + pause, error

    def _hang_up_idle(self) -> None:
        for link in list(self._links.values()):
            if link is not self._current and link.machine.open_streams == 0 and link.is_welcomed:
                link.machine.say_goodbye()
                self._hang_up(link)

    def _hang_up(self, link: Link) -> None:
        output = link.machine.take_output() if link.is_connected else b""
        self._actions.append(Hangup(link.number, output))
        self._drop(link)

    def _drop(self, link: Link) -> None:
        if self._current is link:
            self._current = None
        self._links.pop(link.number, None)
