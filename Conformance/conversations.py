"""Sequences of frames and what a server does about them."""

from __future__ import annotations

from typing import Final

from calls import CALLS
from dsl import (
    GREETING,
    Conversation,
    call,
    cancel,
    client,
    client_bytes,
    closed_with,
    credit,
    data,
    ends,
    frame,
    server,
    starts,
    wait,
    writes,
)
from vectors import Json, Meaning, prefixed

FIRST: Final[dict[str, Meaning]] = {
    "welcome": frame(0, welcome={}),
    "call": call(1, "Unary"),
    "data": data(1, "00"),
    "end": frame(1, end={}),
    "cancel": cancel(1),
    "credit": credit(0, 1),
    "ping": frame(0, ping={"token": "1"}),
    "pong": frame(0, pong={"token": "1"}),
    "goaway": frame(0, goaway={}),
}

MISPLACED: Final[dict[str, Meaning]] = {
    "call_on_0": frame(0, call={"method": "test.Calls/Unary"}),
    "data_on_0": data(0, "00"),
    "cancel_on_0": cancel(0),
    "ping_on_1": frame(1, ping={"token": "1"}),
    "pong_on_1": frame(1, pong={"token": "1"}),
    "goaway_on_1": frame(1, goaway={}),
    "hello_on_1": frame(1, hello={"api_key": "k"}),
}

REFUSED: Final[list[tuple[str, str, Meaning, str]]] = [
    (
        "second_hello",
        "Hello comes once.",
        frame(0, hello={"api_key": "k"}),
        "GREETING_REPEATED",
    ),
    ("end_from_client", "Only a server ends.", frame(1, end={}), "FRAME_NOT_ALLOWED"),
    (
        "welcome_from_client",
        "Only a server welcomes.",
        FIRST["welcome"],
        "FRAME_NOT_ALLOWED",
    ),
    (
        "first_stream_is_2",
        "Streams begin at 1.",
        call(2, "Unary"),
        "STREAM_OUT_OF_ORDER",
    ),
    (
        "data_never_opened",
        "Data for a number never opened.",
        data(1, "00"),
        "STREAM_NEVER_OPENED",
    ),
    (
        "cancel_never_opened",
        "Cancel for one never opened.",
        cancel(9),
        "STREAM_NEVER_OPENED",
    ),
    (
        "credit_never_opened",
        "Credit for one never opened.",
        credit(9, 1),
        "STREAM_NEVER_OPENED",
    ),
    (
        "connection_credit_overflow",
        "Credit takes the connection's window above 2^63-1.",
        credit(0, 2**63 - 1),
        "WINDOW_OVERFLOW",
    ),
    (
        "connection_credit_max",
        "Credit of 2^64-1.",
        credit(0, 2**64 - 1),
        "WINDOW_OVERFLOW",
    ),
]


def _repeated(count: int, step: Meaning) -> Meaning:
    return {**step, "repeat": count}


def greeting_conversations() -> list[Conversation]:
    """Before Welcome, and frames in the wrong place."""
    result = [
        Conversation(
            f"{name}_before_hello",
            "The first frame must be Hello; what follows is discarded, then the server closes.",
            [
                client(meaning, closed_with("HELLO_EXPECTED")),
                client(frame(0, hello={"api_key": "k"})),
                wait(1000, {"close": True}),
            ],
        )
        for name, meaning in FIRST.items()
    ]
    result += [
        Conversation(
            name,
            "A stream's frame on stream 0, or a connection's frame on a stream.",
            [*GREETING, client(meaning, closed_with("STREAM_MISPLACED"))],
        )
        for name, meaning in MISPLACED.items()
    ]
    result += [
        Conversation(name, description, [*GREETING, client(meaning, closed_with(reason))])
        for name, description, meaning, reason in REFUSED
    ]
    result += [
        Conversation(
            "hello_timeout",
            "Hello must come within 10 s.",
            [
                wait(9999),
                wait(1, closed_with("HELLO_TIMEOUT")),
                wait(1000, {"close": True}),
            ],
        ),
        Conversation(
            "frame_above_4_kib_before_welcome",
            "Before Welcome a frame has at most 4 KiB.",
            [client_bytes((4097).to_bytes(4, "big"), closed_with("FRAME_TOO_LARGE"))],
        ),
        Conversation(
            "hello_refused",
            "A key that is not accepted ends the connection.",
            [
                client(
                    frame(0, hello={"api_key": "wrong"}),
                    closed_with("API_KEY_REFUSED"),
                )
            ],
        ),
    ]
    return result


def framing_conversations() -> list[Conversation]:
    """Bytes that are no frames, and frames that do not arrive."""
    return [
        Conversation(
            "length_zero",
            "A length of 0 ends the connection.",
            [*GREETING, client_bytes(bytes(4), closed_with("FRAME_EMPTY"))],
        ),
        Conversation(
            "length_4_gib",
            "A length above the limit is refused before its bytes arrive.",
            [*GREETING, client_bytes(b"\xff" * 4, closed_with("FRAME_TOO_LARGE"))],
        ),
        Conversation(
            "malformed",
            "Bytes that do not parse end the connection.",
            [
                *GREETING,
                client_bytes(prefixed(b"\xff"), closed_with("FRAME_MALFORMED")),
            ],
        ),
        Conversation(
            "frame_timeout",
            "A frame that has begun completes within 30 s and its bytes' time at 64 KiB/s.",
            [
                *GREETING,
                client_bytes((65536).to_bytes(4, "big") + b"\0"),
                wait(30999),
                wait(1, closed_with("FRAME_TIMEOUT")),
            ],
        ),
        Conversation(
            "frame_in_two_parts",
            "A frame may arrive in parts.",
            [
                *GREETING,
                client_bytes(b"\0\0"),
                client_bytes(b"\0\x0b\x4a\x09\x09"),
                client_bytes(bytes(7)),
                client_bytes(b"\x01", writes(0, pong={"token": "72057594037927936"})),
            ],
        ),
    ]


def connection_conversations() -> list[Conversation]:
    """Ping, silence, Goaway, floods."""
    pong: Json = writes(0, pong={"token": "5"})
    ping = client(frame(0, ping={"token": "5"}), pong)
    calm = closed_with("ENHANCE_YOUR_CALM")
    drain = writes(0, goaway={"last_stream": 2**32 - 1}), writes(0, ping={})
    return [
        Conversation("ping", "A Ping is echoed; a Pong nobody asked for is ignored.", [
            *GREETING, ping, client(frame(0, pong={"token": "77"})), ping,
        ]),
        Conversation("ping_flood", "20 Pings at once pass, the next does not.", [
            *GREETING, _repeated(20, ping), client(frame(0, ping={"token": "5"}), calm),
        ]),
        Conversation("ping_rate", "A token comes back after 100 ms.", [
            *GREETING, _repeated(20, ping), wait(100), ping,
            client(frame(0, ping={"token": "5"}), calm),
        ]),
        Conversation("idle_ping", "After 60 s of silence the server pings.", [
            *GREETING, wait(59999), wait(1, writes(0, ping={})),
            {"client_pongs": True, "expect": []},
            wait(59999), wait(1, writes(0, ping={})), wait(19999),
            wait(1, closed_with("PONG_TIMEOUT")),
        ]),
        Conversation("idle_credit_flood", "50 frames to no effect pass, the next does not.", [
            *GREETING, _repeated(50, client(credit(0, 0))), client(credit(0, 0), calm),
        ]),
        Conversation("cancel_flood", "Too many streams are opened and cancelled.", [
            *GREETING,
            *[
                step
                for n in (1, 2)
                for step in (
                    client(call(n, "Unary"), starts(n)),
                    client(cancel(n), {"cancel": n}),
                    server({"fail": {"stream": n, "code": 1, "reason": ""}}, ends(n, 1)),
                )
            ],
            client(call(3, "Unary"), starts(3)),
            client(cancel(3), calm),
        ], {"cancels_max": 2}),
        Conversation("drain", "A drain is announced, and completed after a Ping's round trip.", [
            *GREETING,
            client(call(1, "Unary"), starts(1)),
            server({"drain": True}, *drain),
            client(call(2, "Unary"), starts(2)),
            {"client_pongs": True, "expect": [writes(0, goaway={"last_stream": 2})]},
            client(call(3, "ClientStreaming", end=False)),
            client(data(3, "00")),
            client(cancel(3)),
            server({"answer": {"stream": 1, "message": "01"}}, writes(1, end={"message": "01"})),
            server(
                {"answer": {"stream": 2, "message": ""}},
                writes(2, end={}),
                {"close": True},
            ),
        ]),
        Conversation("drain_without_pong", "A drain is completed after 1 s at the latest.", [
            *GREETING, server({"drain": True}, *drain), wait(999),
            wait(1, writes(0, goaway={}), {"close": True}),
        ]),
        Conversation("goaway_from_client", "A client may say that it opens no more streams.", [
            *GREETING,
            client(call(1, "Unary"), starts(1)),
            client(frame(0, goaway={}), {"drains": True}),
            server({"answer": {"stream": 1, "message": ""}}, writes(1, end={}), {"close": True}),
        ]),
        Conversation("call_after_goaway", "A client that said so opens no more streams.", [
            *GREETING,
            client(call(1, "Unary"), starts(1)),
            client(frame(0, goaway={}), {"drains": True}),
            client(call(2, "Unary"), closed_with("FRAME_NOT_ALLOWED")),
        ]),
        Conversation("goaway_with_status", "A client's Goaway with a status is the end.", [
            *GREETING,
            client(frame(0, goaway={"status": {"code": 13}}), {"close": True}),
        ]),
    ]  # fmt: skip


def vectors() -> list[Meaning]:
    """All conversations."""
    conversations = (
        *greeting_conversations(),
        *framing_conversations(),
        *connection_conversations(),
        *CALLS,
    )
    return [conversation.json() for conversation in conversations]
