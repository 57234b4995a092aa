"""Bytes that are not a frame: cut, oversize, malformed, out of bounds."""

from __future__ import annotations

from typing import Final

import vectors as v
from vectors import (
    CALL,
    CREDIT,
    DATA,
    END,
    GOAWAY,
    HELLO,
    PING,
    WELCOME,
    Meaning,
    body,
    bytes_field,
    number_field,
    tag,
)

DATA_FRAME: Final = v.prefixed(body(DATA, bytes_field(1, b"abc"), stream=1))

INCOMPLETE: Final[list[tuple[str, str, bytes]]] = [
    ("nothing", "No bytes are no frame yet.", b""),
    ("cut_prefix", "Three bytes of the prefix.", DATA_FRAME[:3]),
    ("cut_after_prefix", "The prefix alone.", DATA_FRAME[:4]),
    ("cut_by_one", "All but the last byte.", DATA_FRAME[:-1]),
    (
        "length_above_what_follows",
        "The length is larger than what follows.",
        b"\0\0\1\0" + b"\x0a",
    ),
    (
        "length_of_the_limit",
        "A frame of 4 MiB may begin.",
        (4 << 20).to_bytes(4, "big"),
    ),
]

# Judged from the prefix alone: name, description, bytes, the limit, the reason.
FRAMING: Final[list[tuple[str, str, bytes, int, str]]] = [
    ("length_zero", "A length of 0.", bytes(4), 4 << 20, "FRAME_EMPTY"),
    (
        "length_4_gib",
        "A length of 4 GiB less one.",
        b"\xff" * 4,
        4 << 20,
        "FRAME_TOO_LARGE",
    ),
    (
        "length_above_limit",
        "One byte more than 4 MiB; refused before its bytes arrive.",
        ((4 << 20) + 1).to_bytes(4, "big"),
        4 << 20,
        "FRAME_TOO_LARGE",
    ),
    (
        "length_above_greeting_limit",
        "One byte more than 4 KiB, before Welcome.",
        (4097).to_bytes(4, "big"),
        4 << 10,
        "FRAME_TOO_LARGE",
    ),
]

MALFORMED: Final[list[tuple[str, str, bytes]]] = [
    ("garbage", "Bytes that are no message.", b"\xff\xff\xff\xff"),
    ("cut_tag", "A tag's varint ends with the frame.", b"\x80"),
    ("cut_stream", "The stream's varint ends with the frame.", b"\x08\x80"),
    (
        "body_longer_than_frame",
        "A body reaches behind the frame.",
        tag(DATA, 2) + b"\x05\x00",
    ),
    (
        "message_longer_than_body",
        "A message reaches behind its body, into a field that follows.",
        number_field(1, 1) + bytes_field(DATA, tag(1, 2) + b"\x03a") + number_field(99, 1),
    ),
    ("length_2_63", "A length of 2^63.", tag(DATA, 2) + v.varint(1 << 63)),
    ("cut_token", "A token of seven bytes.", body(PING, tag(1, 1) + bytes(7))),
    ("cut_unknown_fixed32", "An unknown field of three bytes.", tag(99, 5) + bytes(3)),
    ("cut_unknown_fixed64", "An unknown field of seven bytes.", tag(99, 1) + bytes(7)),
    (
        "varint_eleven_bytes",
        "A varint of eleven bytes.",
        b"\x08" + b"\x80" * 10 + b"\x00",
    ),
    (
        "varint_65_bits",
        "A varint of 65 bits.",
        body(CREDIT, b"\x08" + b"\xff" * 9 + b"\x02"),
    ),
    (
        "stream_33_bits",
        "A stream number of 2^32.",
        number_field(1, 1 << 32) + body(v.CANCEL),
    ),
    (
        "timeout_33_bits",
        "A timeout of 2^32.",
        body(CALL, number_field(2, 1 << 32), stream=1),
    ),
    ("tag_zero", "Field number 0.", b"\x02\x00" + body(v.CANCEL, stream=1)),
    (
        "tag_above_29_bits",
        "Field number 2^29.",
        tag(1 << 29, 0) + b"\0" + body(v.CANCEL, stream=1),
    ),
    ("group", "A group.", tag(99, 3) + tag(99, 4) + body(v.CANCEL, stream=1)),
    (
        "group_end",
        "The end of a group that did not begin.",
        tag(99, 4) + body(v.CANCEL, stream=1),
    ),
    (
        "wire_type_6",
        "A wire type that does not exist.",
        tag(99, 6) + body(v.CANCEL, stream=1),
    ),
    (
        "wire_type_7",
        "A wire type that does not exist.",
        tag(99, 7) + body(v.CANCEL, stream=1),
    ),
    ("stream_as_bytes", "A known field with another wire type.", bytes_field(1, b"\1")),
    ("body_as_varint", "A body that is a number.", number_field(DATA, 1)),
    ("token_as_varint", "A fixed64 field as varint.", body(PING, number_field(1, 1))),
    ("method_as_varint", "Text as a number.", body(CALL, number_field(1, 1), stream=1)),
    (
        "stream_twice",
        "A singular field twice.",
        number_field(1, 1) * 2 + body(v.CANCEL),
    ),
    ("body_twice", "One body twice.", body(DATA, stream=1) + body(DATA)),
    ("two_bodies", "Two bodies.", body(DATA, stream=1) + body(v.CANCEL)),
    (
        "method_twice",
        "A method twice.",
        body(CALL, bytes_field(1, b"s/M") * 2, stream=1),
    ),
    (
        "message_twice",
        "A message twice.",
        body(DATA, bytes_field(1, b"a") * 2, stream=1),
    ),
    (
        "status_twice",
        "A sub-message twice.",
        body(END, bytes_field(1, b"") * 2, stream=1),
    ),
    ("token_twice", "A token twice.", body(PING, (tag(1, 1) + bytes(8)) * 2)),
    (
        "map_key_given_twice",
        "An entry with two keys.",
        body(CALL, bytes_field(8, bytes_field(1, b"a") * 2), stream=1),
    ),
]

# Every text field: its name, and the frame that holds the given bytes there.
NOT_TEXT: Final[dict[str, bytes]] = {
    "u_0000": b"a\0b",
    "lone_continuation": b"\x80",
    "cut_sequence": b"abcdefgh\xe2\x82",
    "overlong": b"\xc0\xaf",
    "overlong_three": b"\xe0\x9f\xbf",
    "surrogate": b"\xed\xa0\x80",
    "above_10ffff": b"\xf4\x90\x80\x80",
    "latin_1": b"caf\xe9",
}


def text_fields(text: bytes) -> dict[str, bytes]:
    """A frame for every text field of the protocol, with these bytes in it."""
    fields: dict[str, bytes] = {}
    for number, name in enumerate(("api_key", "client"), start=1):
        fields[f"hello_{name}"] = body(HELLO, bytes_field(number, text))
    ids = ("server", "organization_id", "user_id", "api_key_id", "connection_id")
    for number, name in enumerate(ids, start=1):
        fields[f"welcome_{name}"] = body(WELCOME, bytes_field(number, text))
    for number, name in ((1, "method"), (3, "idempotency_key"), (4, "traceparent")):
        fields[f"call_{name}"] = body(CALL, bytes_field(number, text), stream=1)
    for number, name in ((1, "key"), (2, "value")):
        entry = bytes_field(8, bytes_field(number, text))
        fields[f"call_metadata_{name}"] = body(CALL, entry, stream=1)
    for number, name in ((2, "message"), (3, "reason"), (7, "request_id")):
        status = bytes_field(number, text)
        fields[f"status_{name}"] = body(END, bytes_field(1, status), stream=1)
    for number, name in ((1, "field"), (2, "description")):
        status = bytes_field(4, bytes_field(number, text))
        fields[f"violation_{name}"] = body(END, bytes_field(1, status), stream=1)
    for number, name in ((1, "key"), (2, "value")):
        status = bytes_field(6, bytes_field(number, text))
        fields[f"details_{name}"] = body(GOAWAY, bytes_field(2, status))
    return fields


def metadata(*sizes: int) -> bytes:
    """Metadata entries with keys of two bytes and values of so many."""
    return b"".join(
        bytes_field(8, bytes_field(1, f"{i:02}".encode()) + bytes_field(2, b"v" * size))
        for i, size in enumerate(sizes)
    )


BOUNDS: Final[list[tuple[str, str, bytes]]] = [
    (
        "method_257_bytes",
        "A method's name above 256 bytes.",
        bytes_field(1, b"m" * 257),
    ),
    ("key_65_bytes", "An idempotency key above 64 bytes.", bytes_field(3, b"k" * 65)),
    (
        "traceparent_257_bytes",
        "A traceparent above 256 bytes.",
        bytes_field(4, b"t" * 257),
    ),
    ("metadata_33_entries", "Metadata above 32 entries.", metadata(*[1] * 33)),
    ("metadata_above_8_kib", "Metadata above 8 KiB.", metadata(4000, 4000, 187)),
]


def _error(name: str, description: str, data: bytes, reason: str) -> Meaning:
    return {
        "name": name,
        "description": description,
        "bytes": data.hex(),
        "error": reason,
    }


def vectors() -> list[Meaning]:
    """All bytes that are not a frame."""
    result: list[Meaning] = [
        {
            "name": name,
            "description": description,
            "bytes": data.hex(),
            "incomplete": True,
        }
        for name, description, data in INCOMPLETE
    ]
    for name, description, data, limit, reason in FRAMING:
        result.append(_error(name, description, data, reason) | {"max_frame_bytes": limit})
    for name, description, data in MALFORMED:
        result.append(_error(name, description, v.prefixed(data), "FRAME_MALFORMED"))
    for kind, text in NOT_TEXT.items():
        for field, data in text_fields(text).items():
            description = f"{field.replace('_', ' ')}: not text ({kind.replace('_', ' ')})."
            vector = _error(f"{field}_{kind}", description, v.prefixed(data), "FRAME_MALFORMED")
            result.append(vector)
    for name, description, fields in BOUNDS:
        data = v.prefixed(body(CALL, fields, stream=1))
        result.append(_error(name, description, data, "FIELD_TOO_LARGE"))
    for name, data in (
        ("no_body", number_field(1, 1)),
        ("unknown_body", bytes_field(15, b"")),
    ):
        description = "No body that this version knows."
        result.append(_error(name, description, v.prefixed(data), "FRAME_UNKNOWN"))
    return [{**vector, "direction": "either"} for vector in result]
