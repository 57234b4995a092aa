"""One connection's state machine, on the client's side."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Any

from needletail._core.events import (
    Draining,
    Ended,
    NeverStarted,
    Received,
    Terminated,
    Welcomed,
    Writable,
)
from needletail._core.frames import (
    Frame,
    FrameDecoder,
    FrameTooLargeError,
    ProtocolError,
    encode_frame,
    error_of,
    is_ok,
)

if TYPE_CHECKING:
    from needletail._core.events import Event

STREAM_WINDOW_BYTES = 1 << 20
CONNECTION_WINDOW_BYTES = 8 << 20
MAX_WINDOW_BYTES = (1 << 63) - 1
# A Credit for every message would double the packets; four a window keep the peer sending.
CREDIT_SHARE = 4
_ABOUT_THE_CONNECTION = {"welcome", "ping", "pong", "goaway"}


@dataclasses.dataclass(slots=True)
class _Stream:
    send_window: int
    receive_window: int
    unreturned: int = 0
    waiting: collections.deque[tuple[int, bytes]] = dataclasses.field(
        default_factory=collections.deque
    )
    is_half_closed: bool = False
    is_cancelled: bool = False


class Connection:
    """Bytes in, events out; what to send collects in `take_output`."""

    def __init__(
        self, api_key: str, client: str, stream_window_bytes: int = STREAM_WINDOW_BYTES
    ) -> None:
        self._decoder = FrameDecoder()
        self._output: list[bytes] = []
        self._streams: dict[int, _Stream] = {}
        self._next_stream = 1
        self._is_welcomed = False
        self._is_terminated = False
        self._goaway_sent = False
        self._stream_window = stream_window_bytes or STREAM_WINDOW_BYTES
        self._peer_stream_window = STREAM_WINDOW_BYTES
        self._send_window = CONNECTION_WINDOW_BYTES
        self._receive_window = CONNECTION_WINDOW_BYTES
        self._unreturned = 0
        self._blocked: collections.deque[int] = collections.deque()
        self._last_stream: int | None = None
        self.max_frame_bytes = 0
        self.max_open_streams = 0
        self.idle_timeout_seconds = 0.0
        hello = Frame()
        hello.hello.api_key = api_key
        hello.hello.client = client
        hello.hello.stream_window_bytes = stream_window_bytes
        self._send(hello)

    @property
    def open_streams(self) -> int:
        """How many streams have not ended, cancelled ones included."""
        return len(self._streams)

    @property
    def accepts_calls(self) -> bool:
        """Whether a stream may be opened now."""
        return (
            self._is_welcomed
            and not self._is_terminated
            and self._last_stream is None
            and len(self._streams) < self.max_open_streams
        )

    @property
    def is_draining(self) -> bool:
        """Whether the server has announced its end."""
        return self._last_stream is not None

    def take_output(self) -> bytes:
        """The bytes to send; each is given once."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    # What the client does.

    def open(
        self,
        method: str,
        message: bytes | None,
        *,
        timeout_ms: int = 0,
        idempotency_key: str = "",
        end_of_requests: bool = False,
    ) -> int:
        """Opens a stream and returns its number; only while `accepts_calls`.

        Raises:
            FrameTooLargeError: The message does not fit a frame; nothing was sent.
        """
        stream = self._next_stream
        frame = Frame(stream=stream)
        call = frame.call
        call.method = method
        call.timeout_ms = timeout_ms
        call.idempotency_key = idempotency_key
        call.end_of_requests = end_of_requests
        if message is None:
            call.no_message = True
        else:
            call.message = message
        self._check_size(frame)
        self._next_stream += 1
        self._streams[stream] = _Stream(
            self._peer_stream_window, self._stream_window, is_half_closed=end_of_requests
        )
        self._send(frame)
        return stream

    def send(self, stream: int, message: bytes, *, end_of_requests: bool = False) -> bool:
        """Sends a message, or keeps it until the windows open; returns whether it went at once.

        An empty message with `end_of_requests` is only the half-close.

        Raises:
            FrameTooLargeError: The message does not fit a frame; nothing was sent.
        """
        state = self._streams.get(stream)
        if state is None or state.is_half_closed or state.is_cancelled:
            return True
        frame = Frame(stream=stream)
        frame.data.SetInParent()
        frame.data.message = message
        frame.data.end_of_requests = end_of_requests
        self._check_size(frame)
        state.is_half_closed = end_of_requests
        if not state.waiting:
            self._blocked.append(stream)
        state.waiting.append((len(message), encode_frame(frame)))
        self._flush()
        return not state.waiting

    def cancel(self, stream: int) -> None:
        """Tells the server that nobody wants the answer; the stream stays open until its End."""
        state = self._streams.get(stream)
        if state is None or state.is_cancelled:
            return
        state.is_cancelled = True
        state.waiting.clear()
        frame = Frame(stream=stream)
        frame.cancel.SetInParent()
        self._send(frame)

    def consumed(self, stream: int, size: int) -> None:
        """Gives back window for a message that the application took or dropped."""
        self._return_connection_credit(size)
        state = self._streams.get(stream)
        if state is None or state.is_cancelled:
            return
        state.unreturned += size
        if state.unreturned >= self._stream_window // CREDIT_SHARE:
            state.receive_window += state.unreturned
            self._send_credit(stream, state.unreturned)
            state.unreturned = 0

    def ping(self, token: int) -> None:
        """Asks for a sign of life."""
        frame = Frame()
        frame.ping.token = token
        frame.ping.SetInParent()
        self._send(frame)

    def say_goodbye(self) -> None:
        """Announces that no more streams follow."""
        if not self._goaway_sent:
            self._goaway_sent = True
            frame = Frame()
            frame.goaway.last_stream = self._next_stream - 1
            frame.goaway.SetInParent()
            self._send(frame)

    # What the server does.

    def receive(self, data: bytes) -> list[Event]:
        """Takes received bytes.

        Raises:
            ProtocolError: The server broke the protocol; drop the connection.
        """
        self._decoder.feed(data)
        events: list[Event] = []
        for frame in self._decoder.frames():
            if self._is_terminated:
                break
            self._handle(frame, events)
        return events

    def _handle(self, frame: Any, events: list[Event]) -> None:
        body = frame.WhichOneof("body")
        self._check_place(body, frame.stream)
        if body == "welcome":
            self._welcome(frame.welcome, events)
        elif body == "data":
            self._data(frame.stream, frame.data, events)
        elif body == "end":
            self._end(frame.stream, frame.end, events)
        elif body == "credit":
            self._credit(frame.stream, frame.credit.bytes, events)
        elif body == "goaway":
            self._goaway(frame.goaway, events)
        elif body == "ping":
            answer = Frame()
            answer.pong.token = frame.ping.token
            answer.pong.SetInParent()
            self._send(answer)

    def _check_place(self, body: str | None, stream: int) -> None:
        """Refuses what the server may not send, or not here, or not yet."""
        if body in _ABOUT_THE_CONNECTION:
            if stream != 0:
                raise ProtocolError(f"{body} on stream {stream}")
            return
        if body not in {"data", "end", "credit"}:
            raise ProtocolError(f"the server may not send {body or 'a frame without a body'}")
        if stream == 0 and body != "credit":
            raise ProtocolError(f"{body} on stream 0")
        if not self._is_welcomed:
            raise ProtocolError(f"{body} before Welcome")

    def _welcome(self, welcome: Any, events: list[Event]) -> None:
        if self._is_welcomed:
            raise ProtocolError("a second Welcome")
        limits = welcome.limits
        self._is_welcomed = True
        self._decoder.max_frame_bytes = self.max_frame_bytes = limits.max_frame_bytes or 4 << 20
        self.max_open_streams = limits.max_open_streams or 256
        self._peer_stream_window = limits.stream_window_bytes or STREAM_WINDOW_BYTES
        self._send_window = limits.connection_window_bytes or CONNECTION_WINDOW_BYTES
        self.idle_timeout_seconds = (limits.idle_timeout_ms or 60_000) / 1_000
        events.append(Welcomed(self.max_open_streams))

    def _known(self, stream: int) -> _Stream | None:
        if stream >= self._next_stream:
            raise ProtocolError(f"stream {stream} was never opened")
        return self._streams.get(stream)

    def _data(self, stream: int, data: Any, events: list[Event]) -> None:
        state = self._known(stream)
        if data.end_of_requests:
            raise ProtocolError("end_of_requests from the server")
        message: bytes = data.message
        size = len(message)
        if self._receive_window <= 0 or (state is not None and state.receive_window <= 0):
            raise ProtocolError(f"stream {stream}: Data beyond the window")
        self._receive_window -= size
        if state is None or state.is_cancelled:
            self._return_connection_credit(size)
            return
        state.receive_window -= size
        events.append(Received(stream, message))

    def _end(self, stream: int, end: Any, events: list[Event]) -> None:
        state = self._known(stream)
        if state is None:
            raise ProtocolError(f"stream {stream} ended twice")
        del self._streams[stream]
        if not state.is_cancelled:
            error = None if is_ok(end.status) else error_of(end.status)
            events.append(Ended(stream, error, b"" if error else end.message))

    def _credit(self, stream: int, amount: int, events: list[Event]) -> None:
        if stream == 0:
            self._send_window += amount
            if self._send_window > MAX_WINDOW_BYTES:
                raise ProtocolError("connection window above 2^63-1")
        else:
            state = self._known(stream)
            if state is None:
                return
            state.send_window += amount
            if state.send_window > MAX_WINDOW_BYTES:
                raise ProtocolError(f"stream {stream}: window above 2^63-1")
        events += [Writable(number) for number in self._flush()]

    def _goaway(self, goaway: Any, events: list[Event]) -> None:
        if goaway.HasField("status") and not is_ok(goaway.status):
            self._is_terminated = True
            error = error_of(goaway.status)
            events += [
                Ended(stream, error)
                for stream, state in self._streams.items()
                if not state.is_cancelled
            ]
            self._streams.clear()
            events.append(Terminated(error))
            return
        if not self.is_draining:
            events.append(Draining())
        before = goaway.last_stream if self._last_stream is None else self._last_stream
        self._last_stream = min(goaway.last_stream, before)
        for stream in [s for s in self._streams if s > self._last_stream]:
            if not self._streams.pop(stream).is_cancelled:
                events.append(NeverStarted(stream))

    # Sending.

    def _flush(self) -> list[int]:
        """Sends what the windows let through; returns the streams that have nothing left."""
        emptied: list[int] = []
        for _ in range(len(self._blocked)):
            stream = self._blocked.popleft()
            state = self._streams.get(stream)
            if state is None or not state.waiting:
                continue
            while state.waiting:
                size, frame = state.waiting[0]
                # Only the half-close has no window to wait for; it stays behind what waits.
                is_half_close = size == 0 and state.is_half_closed and len(state.waiting) == 1
                if not is_half_close and min(state.send_window, self._send_window) <= 0:
                    break
                state.waiting.popleft()
                state.send_window -= size
                self._send_window -= size
                self._output.append(frame)
            if state.waiting:
                self._blocked.append(stream)
            else:
                emptied.append(stream)
        return emptied

    def _check_size(self, frame: Any) -> None:
        size = frame.ByteSize()
        if size > self.max_frame_bytes:
            raise FrameTooLargeError(size, self.max_frame_bytes)

    def _return_connection_credit(self, size: int) -> None:
        self._unreturned += size
        if self._unreturned >= CONNECTION_WINDOW_BYTES // CREDIT_SHARE:
            self._receive_window += self._unreturned
            self._send_credit(0, self._unreturned)
            self._unreturned = 0

    def _send_credit(self, stream: int, amount: int) -> None:
        frame = Frame(stream=stream)
        frame.credit.bytes = amount
        self._send(frame)

    def _send(self, frame: Any) -> None:
        if not self._is_terminated:
            self._output.append(encode_frame(frame))
