"""Renders what the scan has to know of each message, and the header that holds all of C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.protos.model import Field, Kind, Message, Model
from Generators.protos.names import c_lower

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TIMESTAMP = "google.protobuf.Timestamp"

_KINDS = {
    Kind.DOUBLE: "FIXED64",
    Kind.FIXED64: "FIXED64",
    Kind.SFIXED64: "FIXED64",
    Kind.FLOAT: "FIXED32",
    Kind.FIXED32: "FIXED32",
    Kind.SFIXED32: "FIXED32",
    Kind.STRING: "STRING",
    Kind.BYTES: "BYTES",
    Kind.MESSAGE: "MESSAGE",
}


def messages_of(model: Model) -> list[Message]:
    """The messages that get a struct, by name: those of options files are for the generator."""
    options = {
        message.full_name for file in model.files if file.is_options for message in file.messages
    }
    messages = model.all_messages()
    return [messages[name] for name in sorted(messages) if name not in options]


def render_shapes_header(model: Model, headers: Iterable[str], *, is_main: bool) -> str:
    """The header of a C target: the structs' headers and the shape of every message."""
    lines = ["#pragma once", "", *(f'#include "{header}"' for header in headers), ""]
    lines += _MAIN_DECLARATIONS if is_main else ["#include <CMessages.h>"]
    lines += [""]
    for message in messages_of(model):
        name = c_lower(message.full_name)
        value = f"{name}__shape_value"
        lines += [
            f"extern const messages_shape {value};",
            f"static inline const messages_shape *{name}__shape(void) {{ return &{value}; }}",
        ]
    return "\n".join(lines) + "\n"


_MAIN_DECLARATIONS = [
    "#include <stddef.h>",
    "#include <stdint.h>",
    "",
    '#include "../include/scan.h"',
    "",
    "/* A serialized google.protobuf.FileDescriptorSet of all services. */",
    "const uint8_t *messages_file_descriptor_set(void);",
    "size_t messages_file_descriptor_set_bytes(void);",
]


def render_shapes(model: Model, header: str) -> str:
    """The shapes of all messages. `header` is the one that declares them."""
    shapes = "\n".join(_shape(message) for message in messages_of(model))
    return f"""#include "{header}"

#include <CMessages.h>

{shapes}"""


def _variable(full_name: str) -> str:
    return f"{c_lower(full_name)}__shape_value"


def _shape(message: Message) -> str:
    """The table of a message."""
    name = c_lower(message.full_name)
    rows = "\n".join(_rows(message))
    table = f"static const messages_field {name}__fields[] = {{\n{rows}\n}};\n\n"
    dense = 0
    while dense < len(message.fields) and message.fields[dense].number == dense + 1:
        dense += 1
    has_maps = str(any(field.is_map for field in message.fields)).lower()
    is_timestamp = str(message.full_name == TIMESTAMP).lower()
    return f"""{table if message.fields else ""}const messages_shape {name}__shape_value = {{
    .descriptor = &{name}__descriptor,
    .fields = {name + "__fields" if message.fields else "NULL"},
    .field_count = {len(message.fields)},
    .dense_count = {dense},
    .has_maps = {has_maps},
    .is_timestamp = {is_timestamp},
}};
"""


def _rows(message: Message) -> Iterator[str]:
    oneofs = {oneof.name: index + 1 for index, oneof in enumerate(message.oneofs)}
    for field in message.fields:
        kind = _KINDS.get(field.kind, "VARINT")
        target = _target(field)
        yield (
            f'    {{"{field.name}", {field.number}, MESSAGES_{kind}, MESSAGES_{_label(field)}, '
            f"{oneofs.get(field.oneof, 0)}, {target}}},"
        )


def _label(field: Field) -> str:
    if field.is_map:
        return "MAP"
    return "REPEATED" if field.is_repeated else "SINGULAR"


def _target(field: Field) -> str:
    return f"&{_variable(field.type_name)}" if field.kind is Kind.MESSAGE else "NULL"
