"""Which Swift type stands for a type of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwiftType:
    """A Swift type and how its values travel."""

    name: str
    """The Swift type."""
    label: str
    """The label of `Parameters.append`."""
    method: str
    """The method of `Row`."""
    size: int
    """Bytes of a parameter, its length included; without those that `count` tells."""
    count: str = ""
    """What to ask a value for its variable part, such as `utf8.count`."""
    scale: int = 1
    """Bytes for each of these."""

    def capacity(self, name: str, *, is_nullable: bool) -> tuple[int, str]:
        """Return the bytes a parameter takes: a number, and a Swift expression for the rest."""
        if not self.count:
            return self.size, ""
        ask = f"({name}?.{self.count} ?? 0)" if is_nullable else f"{name}.{self.count}"
        return self.size, ask if self.scale == 1 else f"{self.scale} * {ask}"


_TEXT = SwiftType("String", "text", "text", 4, "utf8.count")

_BUILTIN = {
    16: SwiftType("Bool", "bool", "bool", 5),
    17: SwiftType("[UInt8]", "bytes", "bytes", 4, "count"),
    20: SwiftType("Int64", "int8", "int8", 12),
    21: SwiftType("Int16", "int2", "int2", 6),
    23: SwiftType("Int32", "int4", "int4", 8),
    25: _TEXT,
    701: SwiftType("Double", "float8", "float8", 12),
    1042: _TEXT,
    1043: _TEXT,
    1184: SwiftType("Int64", "timestamp", "timestamp", 12),
    2950: SwiftType("UUID", "uuid", "uuid", 20),
    3802: SwiftType("String", "json", "json", 5, "utf8.count"),
    5069: SwiftType("UInt64", "xid8", "xid8", 12),
    1001: SwiftType("[[UInt8]]", "byteStrings", "byteStrings", 24, "count", 36),
    1005: SwiftType("[Int16]", "int2s", "int2s", 24, "count", 6),
    1007: SwiftType("[Int32]", "int4s", "int4s", 24, "count", 8),
    1009: SwiftType("[String]", "texts", "texts", 24, "count", 24),
    1016: SwiftType("[Int64]", "int8s", "int8s", 24, "count", 12),
    1022: SwiftType("[Double]", "float8s", "float8s", 24, "count", 12),
    1185: SwiftType("[Int64]", "timestamps", "timestamps", 24, "count", 12),
    2951: SwiftType("[UUID]", "uuids", "uuids", 24, "count", 20),
}

# An array of varchar is read like one of text, but the server takes only its own kind.
_VARCHAR_ARRAY = 1015

# Types from here on were made in this database and have another number in the next.
_FIRST_OF_DATABASE = 16384


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What the catalog says of a type."""

    oid: int
    name: str
    kind: str
    base: int


def swift_type(facts: TypeFacts, *, is_parameter: bool) -> SwiftType | None:
    """Return the Swift type, or None when there is none."""
    if facts.kind == "e":
        return _TEXT
    if facts.kind == "d":
        return _BUILTIN.get(facts.base)
    if facts.oid == _VARCHAR_ARRAY and not is_parameter:
        return _BUILTIN[1009]
    return _BUILTIN.get(facts.oid)


def portable_oid(oid: int) -> int:
    """Return a type's number where it is the same in every database, else 0: the server decides."""
    return oid if oid < _FIRST_OF_DATABASE else 0
