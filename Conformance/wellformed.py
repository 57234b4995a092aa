"""Frames that decode: every kind in its canonical form, and forms that only decode."""

from __future__ import annotations

from typing import Final

import vectors as v
from vectors import CALL, DATA, END, Meaning, body, bytes_field, number_field, tag

METHOD: Final = "needletail.tracking.v1.Tracking/CreateRun"
UP: Final = "client_to_server"
DOWN: Final = "server_to_client"
EITHER: Final = "either"

LIMITS: Final[Meaning] = {
    "max_frame_bytes": 4194304,
    "max_open_streams": 256,
    "stream_window_bytes": "1048576",
    "connection_window_bytes": "8388608",
    "idle_timeout_ms": 60000,
    "max_call_timeout_ms": 60000,
}
STATUS: Final[Meaning] = {
    "code": 3,
    "message": "Two fields are wrong.",
    "reason": "FIELDS_INVALID",
    "field_violations": [
        {"field": "metrics[3].key", "description": "is empty"},
        {"field": "name", "description": "is longer than 256 bytes"},
    ],
    "retry_after_ms": 1500,
    "details": {"limit": "256", "zone": ""},
    "request_id": "0191f9a2-7b1c-7e3a-9d54-3f2b8c1d0e4f",
}

CANONICAL: Final[list[tuple[str, str, Meaning]]] = [
    (
        "hello",
        UP,
        {"hello": {"api_key": "ntl_1_secret", "client": "needletail-python/0.1.0"}},
    ),
    ("hello_window", UP, {"hello": {"api_key": "k", "stream_window_bytes": "65536"}}),
    ("hello_empty", UP, {"hello": {}}),
    ("hello_window_max", UP, {"hello": {"stream_window_bytes": str(2**64 - 1)}}),
    (
        "welcome",
        DOWN,
        {
            "welcome": {
                "server": "needletail/0.1.0",
                "organization_id": "0191f9a2-0000-7000-8000-000000000001",
                "user_id": "0191f9a2-0000-7000-8000-000000000002",
                "api_key_id": "0191f9a2-0000-7000-8000-000000000003",
                "connection_id": "0191f9a2-0000-7000-8000-000000000004",
                "limits": LIMITS,
            }
        },
    ),
    ("welcome_without_limits", DOWN, {"welcome": {"server": "s"}}),
    (
        "call_unary",
        UP,
        {
            "stream": 1,
            "call": {"method": METHOD, "message": "0a0161", "end_of_requests": True},
        },
    ),
    (
        "call_full",
        UP,
        {
            "stream": 300,
            "call": {
                "method": METHOD,
                "timeout_ms": 2500,
                "idempotency_key": "k" * 64,
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "message": "00ff",
                "end_of_requests": True,
                "metadata": {"B": "capital", "a": "\u00e4", "b": "\U0001f9f5"},
            },
        },
    ),
    (
        "call_no_message",
        UP,
        {"stream": 2, "call": {"method": "s/M", "no_message": True}},
    ),
    ("call_empty", UP, {"stream": 2**32 - 1, "call": {}}),
    (
        "call_metadata_32_entries",
        UP,
        {
            "stream": 1,
            "call": {"method": "s/M", "metadata": {f"k{i:02}": "v" for i in range(32)}},
        },
    ),
    (
        "call_metadata_8_kib",
        UP,
        {"stream": 1, "call": {"method": "s/M", "metadata": {"k": "v" * 8191}}},
    ),
    ("data", EITHER, {"stream": 1, "data": {"message": "010203"}}),
    ("data_long", EITHER, {"stream": 1, "data": {"message": "5a" * 300}}),
    ("data_empty_message", EITHER, {"stream": 1, "data": {}}),
    ("data_half_close", UP, {"stream": 1, "data": {"end_of_requests": True}}),
    (
        "data_last",
        UP,
        {"stream": 1, "data": {"message": "00", "end_of_requests": True}},
    ),
    ("end_ok", DOWN, {"stream": 1, "end": {"message": "0801"}}),
    ("end_ok_empty", DOWN, {"stream": 1, "end": {}}),
    ("end_ok_status", DOWN, {"stream": 1, "end": {"status": {}}}),
    ("end_error", DOWN, {"stream": 7, "end": {"status": STATUS}}),
    (
        "end_rate_limited",
        DOWN,
        {
            "stream": 9,
            "end": {"status": {"code": 8, "reason": "RATE_LIMITED", "retry_after_ms": 12}},
        },
    ),
    (
        "end_unknown_code",
        DOWN,
        {"stream": 7, "end": {"status": {"code": 99, "reason": "NEW"}}},
    ),
    ("end_negative_code", DOWN, {"stream": 7, "end": {"status": {"code": -1}}}),
    ("cancel", UP, {"stream": 1, "cancel": {}}),
    ("credit_stream", EITHER, {"stream": 1, "credit": {"bytes": "65536"}}),
    ("credit_connection", EITHER, {"credit": {"bytes": str(2**63 - 1)}}),
    ("credit_zero", EITHER, {"stream": 1, "credit": {}}),
    ("ping", EITHER, {"ping": {"token": "81985529216486895"}}),
    ("ping_token_max", EITHER, {"ping": {"token": str(2**64 - 1)}}),
    ("ping_token_zero", EITHER, {"ping": {}}),
    ("pong", EITHER, {"pong": {"token": "1"}}),
    ("goaway_announced", DOWN, {"goaway": {"last_stream": 2**32 - 1}}),
    (
        "goaway_too_many_connections",
        DOWN,
        {
            "goaway": {
                "status": {
                    "code": 8,
                    "reason": "TOO_MANY_CONNECTIONS",
                    "retry_after_ms": 1000,
                    "details": {"limit": "key", "max": "2048"},
                }
            }
        },
    ),
    ("goaway_drain", DOWN, {"goaway": {"last_stream": 12}}),
    (
        "goaway_status",
        DOWN,
        {
            "goaway": {
                "last_stream": 12,
                "status": {"code": 16, "reason": "KEY_REVOKED"},
            }
        },
    ),
    ("goaway_client", UP, {"goaway": {}}),
]

UNKNOWN: Final = (
    number_field(15, 7)
    + tag(100, 1)
    + bytes(8)
    + bytes_field(2047, b"\xff\x00")
    + tag(2**29 - 1, 5)
    + bytes(4)
)

# Decodes, but is not how the frame is written: name, description, direction, body.
NOT_CANONICAL: Final[list[tuple[str, str, str, bytes]]] = [
    (
        "unknown_fields_in_frame",
        "Unknown fields of every wire type are ignored.",
        EITHER,
        UNKNOWN + body(DATA, bytes_field(1, b"a"), stream=1) + UNKNOWN,
    ),
    (
        "unknown_fields_in_call",
        "Unknown fields in a body are ignored.",
        UP,
        body(CALL, UNKNOWN, bytes_field(1, b"s/M"), UNKNOWN, stream=1),
    ),
    (
        "unknown_fields_in_status",
        "Unknown fields in a nested message are ignored.",
        DOWN,
        body(END, bytes_field(1, UNKNOWN + number_field(1, 5)), stream=1),
    ),
    (
        "unknown_fields_in_cancel",
        "A message without fields may hold unknown ones.",
        UP,
        body(v.CANCEL, UNKNOWN, stream=1),
    ),
    (
        "fields_in_reverse",
        "Fields come in any order.",
        UP,
        body(CALL, number_field(6, 1), bytes_field(5, b"m"), bytes_field(1, b"s/M"))
        + number_field(1, 1),
    ),
    (
        "explicit_defaults",
        "Defaults may be written out.",
        UP,
        number_field(1, 0)
        + body(CALL, number_field(2, 0), bytes_field(3, b""), bytes_field(5, b"")),
    ),
    (
        "long_varint",
        "A varint may have needless bytes, up to ten.",
        EITHER,
        tag(1, 0) + b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00" + body(v.CANCEL),
    ),
    (
        "bool_is_not_one",
        "Every number but 0 is true.",
        UP,
        body(DATA, number_field(2, 2), stream=1),
    ),
    (
        "map_key_twice",
        "The last entry of a key counts.",
        UP,
        body(
            CALL,
            bytes_field(8, bytes_field(1, b"k") + bytes_field(2, b"first")),
            bytes_field(8, bytes_field(2, b"last") + bytes_field(1, b"k")),
            stream=1,
        ),
    ),
    (
        "map_entry_empty",
        "A map entry without key and value is the empty key with the empty value.",
        UP,
        body(CALL, bytes_field(8, b""), stream=1),
    ),
]


def vectors() -> list[Meaning]:
    """All frames that decode; what they mean is what stock protobuf reads."""
    result: list[Meaning] = []
    for name, direction, meaning in CANONICAL:
        encoded = v.encode(meaning)
        if v.decode(encoded) != meaning:
            message = f"{name}: stock protobuf reads {v.decode(encoded)}"
            raise ValueError(message)
        result.append(
            {
                "name": name,
                "description": f"The canonical form of {name.replace('_', ' ')}.",
                "direction": direction,
                "bytes": v.prefixed(encoded).hex(),
                "frame": meaning,
                "canonical": True,
            }
        )
    for name, description, direction, encoded in NOT_CANONICAL:
        result.append(
            {
                "name": name,
                "description": description,
                "direction": direction,
                "bytes": v.prefixed(encoded).hex(),
                "frame": v.decode(encoded),
                "canonical": False,
            }
        )
    return result
