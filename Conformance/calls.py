"""Conversations about calls: their kinds, windows, late frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dsl import (
    GREETING,
    Conversation,
    call,
    cancel,
    client,
    closed_with,
    credit,
    data,
    delivers,
    ends,
    frame,
    server,
    starts,
    writes,
)

if TYPE_CHECKING:
    from vectors import Json, Meaning

SMALL: Final[dict[str, Json]] = {
    "stream_window_bytes": "10",
    "connection_window_bytes": "16",
}
TEN: Final = "00" * 10


def answer(stream: int, message: str = "", *expect: Json) -> Meaning:
    """The handler answers, stops and frees its slot."""
    end: Meaning = {"message": message} if message else {}
    action: Meaning = {"answer": {"stream": stream, "message": message}}
    return server(action, writes(stream, end=end), *expect)


def consume(stream: int, count: int, *expect: Json) -> Meaning:
    """The handler has used so many bytes."""
    return server({"consume": {"stream": stream, "bytes": count}}, *expect)


def send(stream: int, count: int, *expect: Json) -> Meaning:
    """The handler sends a message of so many zero bytes."""
    return server({"send": {"stream": stream, "bytes": count}}, *expect)


def opened(kind: str, *, end: bool = False) -> list[Meaning]:
    """A greeting, and stream 1."""
    return [*GREETING, client(call(1, kind, end=end), starts(1))]


def greeting(window: int) -> Meaning:
    """A Hello with a window."""
    hello: Meaning = {"api_key": "k", "stream_window_bytes": str(window)}
    return client(frame(0, hello=hello), writes(0, welcome={}))


KINDS: Final[list[Conversation]] = [
    Conversation(
        "unary",
        "A unary call, and its answer; numbers go on.",
        [
            *opened("Unary", end=True),
            answer(1, "2a"),
            client(call(2, "Unary"), starts(2)),
            answer(2),
        ],
    ),
    Conversation(
        "unary_out_of_order_answers",
        "Streams do not wait for one another.",
        [
            *opened("Unary", end=True),
            client(call(2, "Unary"), starts(2)),
            answer(2, "02"),
            answer(1, "01"),
        ],
    ),
    Conversation(
        "client_streaming",
        "Messages, also empty ones, then the half-close; then the answer.",
        [
            *GREETING,
            client(call(1, "ClientStreaming", end=False, message=False), starts(1)),
            client(data(1, "01"), delivers(1, "01")),
            client(data(1, ""), delivers(1, "")),
            client(data(1, "", end=True), {"half_close": 1}),
            answer(1, "03"),
        ],
    ),
    Conversation(
        "client_streaming_last_message",
        "The last message may carry end_of_requests.",
        [
            *opened("ClientStreaming"),
            client(data(1, "01", end=True), delivers(1, "01", end=True)),
            answer(1),
        ],
    ),
    Conversation(
        "answer_before_half_close",
        "A server may answer early; what was on the way is ignored.",
        [
            *opened("ClientStreaming"),
            answer(1),
            client(data(1, "01")),
            client(data(1, "", end=True)),
            client(data(1, "02")),
        ],
    ),
    Conversation(
        "server_streaming",
        "Answers, then End.",
        [
            *opened("ServerStreaming", end=True),
            send(1, 2, writes(1, data={"message": "0000"})),
            send(1, 0, writes(1, data={})),
            answer(1),
        ],
    ),
    Conversation(
        "unknown_method",
        "An unknown method is UNIMPLEMENTED; the connection goes on.",
        [
            *GREETING,
            client(call(1, "Nothing"), ends(1, 12)),
            client(call(2, "Unary"), starts(2)),
        ],
    ),
    Conversation(
        "message_and_no_message",
        "A Call cannot have a message and say that it has none.",
        [
            *GREETING,
            client(
                frame(
                    1,
                    call={
                        "method": "test.Calls/ClientStreaming",
                        "message": "01",
                        "no_message": True,
                    },
                ),
                ends(1, 3, "MESSAGE_NOT_EXPECTED"),
            ),
        ],
    ),
    *[
        Conversation(
            f"{name}_{what}",
            "A call with one request has it in the Call, with end_of_requests.",
            [
                *GREETING,
                client(wrong, ends(1, 3, reason)),
                client(call(2, kind), starts(2)),
            ],
        )
        for name, kind in (("unary", "Unary"), ("server_streaming", "ServerStreaming"))
        for what, wrong, reason in (
            ("not_ended", call(1, kind, end=False), "END_OF_REQUESTS_MISSING"),
            ("without_message", call(1, kind, message=False), "MESSAGE_MISSING"),
        )
    ],
]

ORDER: Final[list[Conversation]] = [
    Conversation(
        "stream_repeated",
        "A stream number is used once.",
        [
            *opened("Unary", end=True),
            client(call(1, "Unary"), closed_with("STREAM_OUT_OF_ORDER")),
        ],
    ),
    Conversation(
        "stream_repeated_after_end",
        "A stream number is used once, also after its End.",
        [
            *opened("Unary", end=True),
            answer(1),
            client(call(1, "Unary"), closed_with("STREAM_OUT_OF_ORDER")),
        ],
    ),
    Conversation(
        "stream_gap",
        "Stream numbers have no gap.",
        [
            *opened("Unary", end=True),
            client(call(3, "Unary"), closed_with("STREAM_OUT_OF_ORDER")),
        ],
    ),
    Conversation(
        "too_many_streams",
        "A Call beyond the limit is refused and its frames ignored; a released slot is free.",
        [
            *opened("Unary", end=True),
            client(call(2, "ClientStreaming", end=False), ends(2, 8, "TOO_MANY_STREAMS")),
            client(data(2, "00")),
            client(cancel(2)),
            answer(1),
            client(call(3, "Unary"), starts(3)),
        ],
        {"max_open_streams": 1},
    ),
    Conversation(
        "slot_is_held_until_the_handler_stops",
        "End alone does not free a slot.",
        [
            *opened("Unary", end=True),
            client(cancel(1), {"cancel": 1}),
            server({"end": {"stream": 1, "code": 1}}, ends(1, 1)),
            client(call(2, "Unary"), ends(2, 8, "TOO_MANY_STREAMS")),
            server({"release": 1}),
            client(call(3, "Unary"), starts(3)),
        ],
        {"max_open_streams": 1},
    ),
    Conversation(
        "data_after_end_of_requests",
        "Data after end_of_requests on an open stream.",
        [
            *opened("ClientStreaming", end=True),
            client(data(1, "00"), closed_with("STREAM_HALF_CLOSED")),
        ],
    ),
    Conversation(
        "half_close_twice",
        "A second half-close on an open stream.",
        [
            *opened("ClientStreaming"),
            client(data(1, "", end=True), {"half_close": 1}),
            client(data(1, "", end=True), closed_with("STREAM_HALF_CLOSED")),
        ],
    ),
    Conversation(
        "data_on_unary",
        "A unary call has no Data.",
        [
            *opened("Unary", end=True),
            client(data(1, "00"), closed_with("STREAM_HALF_CLOSED")),
        ],
    ),
    Conversation(
        "late_frames",
        "Frames for a stream that has ended are ignored.",
        [
            *opened("Bidirectional"),
            answer(1),
            client(data(1, "00")),
            client(data(1, "", end=True)),
            client(cancel(1)),
            client(credit(1, 5)),
            client(credit(1, 2**64 - 1)),
            client(call(2, "Unary"), starts(2)),
        ],
    ),
    Conversation(
        "cancel",
        "Cancel stops the handler; later messages are discarded; End still comes, once.",
        [
            *opened("Bidirectional"),
            client(cancel(1), {"cancel": 1}),
            client(data(1, "00")),
            client(data(1, "", end=True)),
            client(cancel(1)),
            server({"fail": {"stream": 1, "code": 1, "reason": ""}}, ends(1, 1)),
            client(cancel(1)),
        ],
    ),
]

WINDOWS: Final[list[Conversation]] = [
    Conversation(
        "stream_window",
        "A window may be used up; Credit comes once half of it is consumed.",
        [
            *opened("ClientStreaming"),
            client(data(1, TEN), delivers(1, TEN)),
            consume(1, 4),
            consume(1, 1, {"frame": credit(1, 5)}),
            client(data(1, "0000000000"), delivers(1, "0000000000")),
            client(data(1, "00"), closed_with("WINDOW_OVERRUN")),
        ],
        SMALL,
    ),
    Conversation(
        "message_above_window",
        "One message may be larger than the window, and takes it below zero.",
        [
            *opened("ClientStreaming"),
            client(data(1, "00" * 15), delivers(1, "00" * 15)),
            consume(1, 15, {"frame": credit(1, 15)}, {"frame": credit(0, 15)}),
            client(data(1, TEN), delivers(1, TEN)),
        ],
        SMALL,
    ),
    Conversation(
        "stream_window_overrun",
        "Data while the stream's window is at zero.",
        [
            *opened("ClientStreaming"),
            client(data(1, TEN), delivers(1, TEN)),
            client(data(1, "00"), closed_with("WINDOW_OVERRUN")),
        ],
        SMALL,
    ),
    Conversation(
        "empty_message_without_window",
        "An empty message needs a window too.",
        [
            *opened("ClientStreaming"),
            client(data(1, TEN), delivers(1, TEN)),
            client(data(1, ""), closed_with("WINDOW_OVERRUN")),
        ],
        SMALL,
    ),
    Conversation(
        "half_close_without_window",
        "The half-close alone needs no window.",
        [
            *opened("ClientStreaming"),
            client(data(1, TEN), delivers(1, TEN)),
            client(data(1, "", end=True), {"half_close": 1}),
        ],
        SMALL,
    ),
    Conversation(
        "connection_window_overrun",
        "Data while the connection's window is below zero.",
        [
            *opened("ClientStreaming"),
            client(call(2, "ClientStreaming", end=False), starts(2)),
            client(call(3, "ClientStreaming", end=False), starts(3)),
            client(data(1, TEN), delivers(1, TEN)),
            client(data(2, TEN), delivers(2, TEN)),
            client(data(3, "00"), closed_with("WINDOW_OVERRUN")),
        ],
        SMALL,
    ),
    Conversation(
        "late_data_returns_connection_credit",
        "Discarded Data is consumed at once, for the connection.",
        [
            *opened("ClientStreaming"),
            answer(1),
            client(data(1, "00" * 7)),
            client(data(1, "00"), {"frame": credit(0, 8)}),
        ],
        SMALL,
    ),
    Conversation(
        "unread_data_returns_connection_credit",
        "What a handler never read is returned when it has stopped.",
        [
            *opened("ClientStreaming"),
            client(data(1, TEN), delivers(1, TEN)),
            answer(1, "", {"frame": credit(0, 10)}),
        ],
        SMALL,
    ),
    Conversation(
        "answers_wait_for_stream_credit",
        "A server's Data waits for its stream's window; a message may take it below zero.",
        [
            greeting(4),
            client(call(1, "ServerStreaming"), starts(1)),
            send(1, 3, writes(1, data={"message": "000000"})),
            send(1, 3, writes(1, data={"message": "000000"})),
            send(1, 1, {"blocked": 1}),
            client(credit(1, 2)),
            client(credit(1, 1), {"sendable": 1}),
            send(1, 1, writes(1, data={"message": "00"})),
            server({"fail": {"stream": 1, "code": 13, "reason": "X"}}, ends(1, 13, "X")),
        ],
    ),
    Conversation(
        "stream_credit_overflow",
        "Credit takes a stream's window above 2^63-1.",
        [
            *opened("ServerStreaming", end=True),
            client(credit(1, 2**63 - 1 - 2**20)),
            client(credit(1, 1), closed_with("WINDOW_OVERFLOW")),
        ],
    ),
    Conversation(
        "credit_zero",
        "Credit of 0 is ignored.",
        [
            *opened("ServerStreaming", end=True),
            client(credit(1, 0)),
            client(credit(0, 0)),
        ],
    ),
]

CALLS: Final = [*KINDS, *ORDER, *WINDOWS]
