"""The connection's machine, as tables: frames in, events and frames out."""

from __future__ import annotations

from typing import Any

import pytest

from needletail._core import events
from needletail._core.connection import Connection
from needletail._core.frames import (
    Frame,
    FrameDecoder,
    FrameTooLargeError,
    ProtocolError,
    encode_frame,
)


def frame(stream: int = 0, **body: Any) -> bytes:
    """A frame's bytes from plain values."""
    result = Frame(stream=stream)
    for name, values in body.items():
        fill(getattr(result, name), values)
    return encode_frame(result)


def fill(message: Any, values: dict[str, Any]) -> None:
    message.SetInParent()
    for name, value in values.items():
        if isinstance(value, dict):
            fill(getattr(message, name), value)
        else:
            setattr(message, name, value)


def sent(connection: Connection) -> list[Any]:
    """The frames that the machine wants to send."""
    decoder = FrameDecoder()
    decoder.max_frame_bytes = 1 << 26
    decoder.feed(connection.take_output())
    return list(decoder.frames())


def welcomed(streams: int = 0, **limits: int) -> Connection:
    """A machine after Welcome, with open bidirectional streams."""
    connection = Connection("key", "test")
    connection.receive(frame(welcome={"limits": limits}))
    for _ in range(streams):
        connection.open("s/M", None)
    connection.take_output()
    return connection


def test_hello_comes_first() -> None:
    connection = Connection("key", "client/1", 4096)
    (hello,) = sent(connection)
    assert (hello.stream, hello.hello.api_key, hello.hello.client) == (0, "key", "client/1")
    assert hello.hello.stream_window_bytes == 4096
    assert not connection.accepts_calls


def test_absent_limits_are_the_defaults() -> None:
    connection = welcomed()
    assert (connection.max_frame_bytes, connection.max_open_streams) == (4 << 20, 256)
    assert connection.idle_timeout_seconds == 60
    assert connection.accepts_calls


@pytest.mark.parametrize(
    "data",
    [
        frame(1, welcome={}),
        frame(1, ping={"token": 1}),
        frame(1, pong={"token": 1}),
        frame(1, goaway={}),
        frame(0, data={"message": b"x"}),
        frame(0, end={}),
        frame(0, welcome={}),
        frame(0, hello={"api_key": "k"}),
        frame(1, call={"method": "s/M"}),
        frame(1, cancel={}),
        frame(1, data={"message": b"x", "end_of_requests": True}),
        frame(2, data={"message": b"x"}),
        frame(2, end={}),
        frame(2, credit={"bytes": 1}),
        frame(1, end={}) + frame(1, end={}),
        frame(1, credit={"bytes": (1 << 63) - 1}),
        frame(0, credit={"bytes": (1 << 63) - 1}),
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\x40\0\1",
        b"\0\0\0\1\xff",
        b"\0\0\0\2\x08\1",
    ],
)
def test_what_a_server_may_not_send_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        welcomed(1).receive(data)


@pytest.mark.parametrize(
    "data",
    [frame(1, data={}), frame(1, end={}), frame(0, credit={"bytes": 1}), b"\0\0\x10\1"],
)
def test_before_welcome_little_is_allowed(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Connection("key", "test").receive(data)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_frames_may_be_cut_anywhere(cut: int) -> None:
    data = frame(1, data={"message": b"hello"}) + frame(1, end={"message": b"bye"})
    connection = welcomed(1)
    happened = connection.receive(data[:cut]) + connection.receive(data[cut:])
    assert happened == [events.Received(1, b"hello"), events.Ended(1, None, b"bye")]


def test_streams_are_numbered_in_order_and_bounded() -> None:
    connection = welcomed(max_open_streams=2)
    assert [connection.open("s/M", b"x", end_of_requests=True) for _ in range(2)] == [1, 2]
    assert not connection.accepts_calls
    connection.receive(frame(1, end={}))
    assert connection.open("s/M", b"") == 3
    calls = sent(connection)
    assert [call.stream for call in calls] == [1, 2, 3]
    assert [call.call.no_message for call in calls] == [False] * 3


def test_a_ping_is_answered() -> None:
    connection = welcomed()
    connection.receive(frame(ping={"token": 77}))
    (pong,) = sent(connection)
    assert pong.pong.token == 77


def test_data_waits_for_both_windows_and_may_overdraw_once() -> None:
    connection = welcomed(2, stream_window_bytes=10, connection_window_bytes=25)
    assert connection.send(1, b"x" * 15)
    assert not connection.send(1, b"y")
    assert connection.send(2, b"z" * 10)
    assert not connection.send(2, b"z")
    assert len(sent(connection)) == 2
    assert connection.receive(frame(1, credit={"bytes": 6})) == []
    assert connection.receive(frame(0, credit={"bytes": 1})) == [events.Writable(1)]
    assert [f.data.message for f in sent(connection)] == [b"y"]
    assert connection.receive(frame(2, credit={"bytes": 1})) == []
    assert connection.receive(frame(0, credit={"bytes": 1})) == [events.Writable(2)]


def test_the_half_close_needs_no_window_but_stays_in_order() -> None:
    connection = welcomed(2, stream_window_bytes=1)
    connection.send(1, b"xx")
    assert connection.send(1, b"", end_of_requests=True)
    connection.send(2, b"xx")
    connection.send(2, b"y")
    assert not connection.send(2, b"", end_of_requests=True)
    assert [(f.stream, f.data.message) for f in sent(connection)] == [
        (1, b"xx"),
        (1, b""),
        (2, b"xx"),
    ]
    assert connection.receive(frame(2, credit={"bytes": 1})) == []
    assert connection.receive(frame(2, credit={"bytes": 1})) == [events.Writable(2)]
    assert [f.data.end_of_requests for f in sent(connection)] == [False, True]


def test_credit_goes_back_as_messages_are_consumed() -> None:
    connection = welcomed(1)
    quarter = 1 << 18
    for _ in range(4):
        connection.receive(frame(1, data={"message": b"x" * quarter}))
    with pytest.raises(ProtocolError, match="window"):
        connection.receive(frame(1, data={"message": b"x"}))
    connection = welcomed(1)
    for _ in range(4):
        connection.receive(frame(1, data={"message": b"x" * quarter}))
    connection.consumed(1, quarter)
    (credit,) = sent(connection)
    assert (credit.stream, credit.credit.bytes) == (1, quarter)
    connection.receive(frame(1, data={"message": b"x" * quarter}))


def test_data_for_a_cancelled_stream_returns_connection_credit() -> None:
    connection = welcomed(3)
    for stream in (1, 2, 3):
        connection.cancel(stream)
    connection.cancel(1)
    assert [f.WhichOneof("body") for f in sent(connection)] == ["cancel"] * 3
    for stream in (1, 2, 3):
        assert connection.receive(frame(stream, data={"message": b"x" * (1 << 20)})) == []
    (credit,) = sent(connection)
    assert (credit.stream, credit.credit.bytes) == (0, 2 << 20)
    assert connection.receive(frame(1, end={"status": {"code": 1}})) == []
    assert connection.open_streams == 2


def test_an_end_carries_its_status() -> None:
    (ended,) = welcomed(1).receive(frame(1, end={"status": {"code": 99, "reason": "NEW"}}))
    assert isinstance(ended, events.Ended)
    assert ended.error is not None
    assert (ended.error.code.name, ended.error.reason) == ("UNKNOWN", "NEW")


def test_a_drain_has_two_steps() -> None:
    connection = welcomed(3)
    assert connection.receive(frame(goaway={"last_stream": (1 << 32) - 1})) == [events.Draining()]
    assert not connection.accepts_calls
    assert connection.receive(frame(goaway={"last_stream": 1})) == [
        events.NeverStarted(2),
        events.NeverStarted(3),
    ]
    assert connection.receive(frame(1, end={})) == [events.Ended(1, None)]


def test_a_goaway_with_a_status_ends_everything() -> None:
    connection = welcomed(2)
    connection.cancel(2)
    goaway = frame(goaway={"status": {"code": 16, "reason": "KEY_REVOKED"}})
    ended, terminated = connection.receive(goaway + frame(1, data={"message": b"late"}))
    assert isinstance(ended, events.Ended)
    assert isinstance(terminated, events.Terminated)
    assert ended.error is terminated.error


def test_what_does_not_fit_a_frame_is_refused_before_it_is_numbered() -> None:
    connection = welcomed(1, max_frame_bytes=100)
    with pytest.raises(FrameTooLargeError):
        connection.open("s/M", b"x" * 100)
    with pytest.raises(FrameTooLargeError):
        connection.send(1, b"x" * 100)
    assert connection.open("s/M", b"x") == 2
