"""Renders messages and enums as Swift values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.protos.names import escaped, lower_camel, upper_camel, upper_snake
from Generators.protos.swift_bridge import render_bridge, render_entry
from Generators.protos.swift_text import (
    doc_comment,
    indented,
    literal,
    parenthesized,
    string_literal,
)
from Generators.protos.swift_types import SwiftTypes, property_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from Generators.protos.model import Enum, File, Message, Oneof

DECODE_AND_ENCODE = """\
public static func decode(_ bytes: RawSpan) throws(MessageError) -> Self {
  try unsafe bridgedDecode(bytes)
}

public func withEncoded<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
  try unsafe bridgedEncode(body)
}"""


def render_file(file: File, types: SwiftTypes, imports: str) -> str:
    """All values of a file; empty when it has none."""
    enums = [enum for enum in file.enums if not enum.is_error_reason]
    messages = () if file.is_options else file.messages
    parts = [render_enum(enum) for enum in enums]
    for message in messages:
        parts += [_render_message(message, types), *_render_bridges(message, types)]
    if not parts:
        return ""
    return (imports + "\n\n" if messages else "") + "\n\n".join(parts) + "\n"


def _render_bridges(message: Message, types: SwiftTypes) -> Iterator[str]:
    yield render_bridge(message, types)
    for nested in message.messages:
        if nested.is_map_entry:
            yield render_entry(nested, message, types)
        else:
            yield from _render_bridges(nested, types)


def _render_message(message: Message, types: SwiftTypes, level: int = 0) -> str:
    parts = ["\n\n".join(_nested_types(message, types, level + 1))]
    parts.append(
        f"public static var fullName: String {{ {string_literal(message.full_name)} }}",
    )
    members = message.field_members()
    parts += [
        f"{doc_comment(member.comment, level + 1)}\n"
        f"public var {property_name(member)}: {types.of(member)}{_default(types.default(member))}"
        for member in members
    ]
    parts.append("/// All fields at their defaults.\npublic init() {}")
    if members:
        parts.append(_memberwise_init(message, types, level + 1))
    parts.append(DECODE_AND_ENCODE)
    body = indented("\n\n".join(part for part in parts if part))
    head = f"public struct {message.name}: Message {{"
    return f"{doc_comment(message.comment, level)}\n{head}\n{body}\n}}"


def _default(default: str) -> str:
    return f" = {default}" if default else ""


def _nested_types(message: Message, types: SwiftTypes, level: int) -> Iterator[str]:
    for enum in message.enums:
        yield render_enum(enum, level)
    for nested in message.messages:
        if not nested.is_map_entry:
            yield _render_message(nested, types, level)
    for oneof in message.oneofs:
        yield _render_oneof(oneof, types, level)


def _render_oneof(oneof: Oneof, types: SwiftTypes, level: int) -> str:
    cases = "\n".join(
        f"{doc_comment(field.comment, level + 1)}\n"
        f"case {property_name(field)}({types.element(field)})"
        for field in oneof.fields
    )
    return (
        f"{doc_comment(oneof.comment, level)}\n"
        f"public enum {upper_camel(oneof.name)}: Sendable, Equatable {{\n{indented(cases)}\n}}"
    )


def _memberwise_init(message: Message, types: SwiftTypes, level: int) -> str:
    members = message.field_members()
    arguments = [f"{property_name(member)}: {types.of(member)}" for member in members]
    names = [property_name(member) for member in members]
    body = "\n".join(f"self.{name} = {name}" for name in names)
    head = parenthesized("public init(", arguments, " {", level)
    return f"/// A message with every field given.\n{head}\n{indented(body)}\n}}"


def case_name(enum: Enum, value_name: str) -> str:
    """`RUN_STATUS_RUNNING` of `RunStatus` → `running`."""
    return escaped(lower_camel(value_name.removeprefix(upper_snake(enum.name) + "_")))


def render_enum(enum: Enum, level: int = 0) -> str:
    """An enum that keeps numbers it does not know."""
    names = [(case_name(enum, value.name), value) for value in enum.values]
    cases = "\n".join(
        f"{doc_comment(value.comment, level + 1)}\ncase {name}" for name, value in names
    )
    from_number = "\n".join(f"case {value.number}: .{name}" for name, value in names)
    to_number = "\n".join(f"case .{name}: {value.number}" for name, value in names)
    to_name = "\n".join(f"case .{name}: {string_literal(value.name)}" for name, value in names)
    cases_known = [f".{name}" for name, _ in names]
    known = literal("public static let known: [Self] = [", cases_known, levels=level + 1)
    zero = next(name for name, value in names if value.number == 0)
    body = f"""{cases}
/// A number that this version does not know.
case unrecognized(Int32)

/// Every value that has a name.
{known}

/// The value of an absent field.
public init() {{ self = .{zero} }}

/// The value of a number, known or not.
public init(number: Int32) {{
  self =
    switch number {{
{indented(from_number, 2)}
    default: .unrecognized(number)
    }}
}}

/// The number in the .proto.
public var number: Int32 {{
  switch self {{
{indented(to_number)}
  case .unrecognized(let number): number
  }}
}}

/// The name in the .proto; the digits of a number that has none.
public var name: String {{
  switch self {{
{indented(to_name)}
  case .unrecognized(let number): String(number)
  }}
}}"""
    head = f"public enum {enum.name}: OpenEnum {{"
    return f"{doc_comment(enum.comment, level)}\n{head}\n{indented(body)}\n}}"
