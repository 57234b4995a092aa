"""Which Swift types the fields of messages have."""

from __future__ import annotations

from dataclasses import dataclass

from Generators.protos.c_shapes import TIMESTAMP
from Generators.protos.model import Field, Kind, Message, Model, Oneof
from Generators.protos.names import escaped, lower_camel, swift_type, upper_camel

_SCALARS = {
    Kind.DOUBLE: ("Double", "0"),
    Kind.FLOAT: ("Float", "0"),
    Kind.INT64: ("Int64", "0"),
    Kind.UINT64: ("UInt64", "0"),
    Kind.INT32: ("Int32", "0"),
    Kind.FIXED64: ("UInt64", "0"),
    Kind.FIXED32: ("UInt32", "0"),
    Kind.BOOL: ("Bool", "false"),
    Kind.STRING: ("String", '""'),
    Kind.BYTES: ("[UInt8]", "[]"),
    Kind.UINT32: ("UInt32", "0"),
    Kind.SFIXED32: ("Int32", "0"),
    Kind.SFIXED64: ("Int64", "0"),
    Kind.SINT32: ("Int32", "0"),
    Kind.SINT64: ("Int64", "0"),
}


@dataclass(frozen=True, slots=True)
class SwiftTypes:
    """Finds the Swift type of anything in a model."""

    model: Model

    def name(self, full_name: str) -> str:
        """The Swift name of a message or enum."""
        if full_name == TIMESTAMP:
            return "Timestamp"
        for file in self.model.files:
            name = swift_type(full_name, file.package)
            top = name.split(".")[0]
            declared = {message.name for message in file.messages}
            declared.update(enum.name for enum in file.enums)
            if name != full_name and top in declared:
                return name
        raise KeyError(full_name)

    def element(self, field: Field) -> str:
        """The type of one value of a field."""
        if field.kind in {Kind.MESSAGE, Kind.ENUM}:
            return self.name(field.type_name)
        return _SCALARS[field.kind][0]

    def entry(self, field: Field) -> Message:
        """The entries of a map."""
        return self.model.all_messages()[field.type_name]

    def of(self, member: Field | Oneof) -> str:
        """The type of a property."""
        if isinstance(member, Oneof):
            return f"{upper_camel(member.name)}?"
        if member.is_map:
            key, value = self.entry(member).fields
            return f"[{self.element(key)}: {self.element(value)}]"
        if member.is_repeated:
            return f"[{self.element(member)}]"
        optional = member.is_optional or member.kind is Kind.MESSAGE
        return f"{self.element(member)}?" if optional else self.element(member)

    def default(self, member: Field | Oneof) -> str:
        """The default of a property; empty where Swift has one itself."""
        if isinstance(member, Oneof):
            return ""
        if member.is_map:
            return "[:]"
        if member.is_repeated:
            return "[]"
        if member.is_optional or member.kind is Kind.MESSAGE:
            return ""
        return self.element_default(member)

    def element_default(self, field: Field) -> str:
        """The default of one value of a field."""
        if field.kind in {Kind.MESSAGE, Kind.ENUM}:
            return f"{self.element(field)}()"
        return _SCALARS[field.kind][1]


def property_name(member: Field | Oneof) -> str:
    """The name of a property."""
    return escaped(lower_camel(member.name))
