"""What the .proto files say, as far as anything is made of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """The types of protobuf fields, by their names in .proto files."""

    DOUBLE = "double"
    FLOAT = "float"
    INT64 = "int64"
    UINT64 = "uint64"
    INT32 = "int32"
    FIXED64 = "fixed64"
    FIXED32 = "fixed32"
    BOOL = "bool"
    STRING = "string"
    MESSAGE = "message"
    BYTES = "bytes"
    UINT32 = "uint32"
    ENUM = "enum"
    SFIXED32 = "sfixed32"
    SFIXED64 = "sfixed64"
    SINT32 = "sint32"
    SINT64 = "sint64"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    name: str
    number: int
    kind: Kind
    comment: str
    type_name: str = ""
    """Full name of the message or enum."""
    is_repeated: bool = False
    is_optional: bool = False
    """Declared `optional`: absent and default differ."""
    oneof: str = ""
    """Name of the oneof the field is a member of."""
    is_map: bool = False
    """`type_name` is then the type of the entries."""


@dataclass(frozen=True, slots=True)
class Oneof:
    """A group of fields of which at most one is set."""

    name: str
    comment: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A named number. The code is that of an error reason, else empty."""

    name: str
    number: int
    comment: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum, of a file or of a message."""

    name: str
    full_name: str
    comment: str
    values: tuple[EnumValue, ...]

    @property
    def is_error_reason(self) -> bool:
        """Whether the values are what calls fail with."""
        return self.name.endswith("ErrorReason")


@dataclass(frozen=True, slots=True)
class Message:
    """A message, of a file or of another message."""

    name: str
    full_name: str
    comment: str
    fields: tuple[Field, ...]
    """By number."""
    oneofs: tuple[Oneof, ...]
    messages: tuple[Message, ...]
    enums: tuple[Enum, ...]
    is_map_entry: bool = False

    def field_members(self) -> tuple[Field | Oneof, ...]:
        """What a value of the message consists of: a oneof stands at its first field."""
        oneofs = {oneof.name: oneof for oneof in self.oneofs}
        members: list[Field | Oneof] = []
        for field in self.fields:
            if not field.oneof:
                members.append(field)
            elif field.oneof in oneofs:
                members.append(oneofs.pop(field.oneof))
        return tuple(members)


class MethodKind(enum.Enum):
    """The four shapes of a call."""

    UNARY = "unary"
    SERVER_STREAMING = "serverStreaming"
    CLIENT_STREAMING = "clientStreaming"
    BIDIRECTIONAL = "bidirectional"


@dataclass(frozen=True, slots=True)
class Method:
    """A method with its rule; what the rule does not say is empty."""

    name: str
    full_name: str
    comment: str
    request: str
    """Full name of the request message."""
    response: str
    """Full name of the response message."""
    kind: MethodKind
    has_rule: bool
    permission: str
    is_audited: bool
    is_telemetry: bool
    idempotency: str
    """READ, KEYED, SEQUENCED or UNSPECIFIED."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service."""

    name: str
    full_name: str
    comment: str
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A .proto file."""

    path: str
    """As it is imported: needletail/tracking/v1/runs.proto."""
    package: str
    messages: tuple[Message, ...]
    enums: tuple[Enum, ...]
    services: tuple[Service, ...]
    dependencies: tuple[str, ...]
    """The paths of imported files that a type is used of."""
    is_options: bool
    """Extends protobuf's own options: only its enums are for others."""


@dataclass(frozen=True, slots=True)
class Model:
    """All files, by path."""

    files: tuple[File, ...]
    codes: dict[str, int]
    """The canonical RPC codes."""

    def all_messages(self) -> dict[str, Message]:
        """Every message by its full name."""
        found: dict[str, Message] = {}
        pending = [message for file in self.files for message in file.messages]
        while pending:
            message = pending.pop()
            found[message.full_name] = message
            pending.extend(message.messages)
        return found
