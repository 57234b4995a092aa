"""Renders the way between Swift values and the structs of protobuf-c."""

from __future__ import annotations

from Generators.protos.model import Field, Kind, Message, Oneof
from Generators.protos.names import c_field, c_lower, c_struct
from Generators.protos.swift_text import indented, parenthesized, wrapped_assignments
from Generators.protos.swift_types import SwiftTypes, property_name

FLOATS = {Kind.DOUBLE, Kind.FLOAT}


def render_bridge(message: Message, types: SwiftTypes) -> str:
    """The conformance of a message."""
    name = types.name(message.full_name)
    members = message.field_members()
    reads = "\n".join(_read(member, types) for member in members)
    fills = "\n".join(_fill(member, types) for member in members)
    return f"extension {name}: @unsafe Bridged {{\n{_members(message, reads, fills)}\n}}"


def render_entry(entry: Message, message: Message, types: SwiftTypes) -> str:
    """The entries of a map: a struct of their own, that nobody else sees."""
    key, value = entry.fields
    reads = f"{_read(key, types)}\nself.value = {_read_value(value, types)}"
    fills = "\n".join(
        f"unsafe {_case('_' + field.name)} = .init({field.number})\n"
        f"unsafe {_c(field)} = {_fill_value(field, f'self.{field.name}')}"
        for field in entry.fields
    )
    body = f"""struct {entry.name}: @unsafe Bridged {{
  var key: {types.element(key)} = {types.default(key)}
  var value: {types.element(value)} = {types.element_default(value)}

  init() {{}}

  init(key: {types.element(key)}, value: {types.element(value)}) {{
    self.key = key
    self.value = value
  }}

{_members(entry, reads, fills, level=2)}
}}"""
    return f"extension {types.name(message.full_name)} {{\n{indented(body)}\n}}"


def _members(message: Message, reads: str, fills: str, level: int = 1) -> str:
    struct = c_struct(message.full_name)
    parameters = [f"_ value: UnsafeMutablePointer<{struct}>", "_ arena: Arena"]
    read_body = indented(wrapped_assignments(reads, level + 1))
    fill_body = indented(wrapped_assignments(fills, level + 1))
    return indented(f"""\
static var shape: UnsafePointer<messages_shape> {{
  unsafe {c_lower(message.full_name)}__shape()
}}

init(reading value: UnsafePointer<{struct}>) {{
{read_body}
}}

{parenthesized("func fill(", parameters, " {", level)}
{fill_body}
}}""").replace("{\n\n", "{\n")


def _c(field: Field | Oneof) -> str:
    return f"value.pointee.{c_field(field.name)}"


def _count(field: Field) -> str:
    return f"value.pointee.n_{field.name.lower()}"


def _case(oneof_name: str) -> str:
    return f"value.pointee.{oneof_name.lower()}_case"


# Reading


def _read(member: Field | Oneof, types: SwiftTypes) -> str:
    name = f"self.{property_name(member)}"
    if isinstance(member, Oneof):
        cases = "\n".join(_read_case(field, types) for field in member.fields)
        return (
            f"{name} =\n  switch unsafe {_case(member.name)}.rawValue {{\n"
            f"{indented(cases)}\n  default: nil\n  }}"
        )
    if member.is_map:
        entries = f"[{types.entry(member).name}](reading: {_c(member)}, {_count(member)})"
        return (
            f"{name} = Dictionary(\n"
            f"  unsafe {entries}\n"
            f"    .map {{ ($0.key, $0.value) }},\n"
            f"  uniquingKeysWith: {{ $1 }})"
        )
    if member.is_repeated:
        arguments = f"(reading: {_c(member)}, {_count(member)})"
        return f"{name} = unsafe {types.of(member)}{arguments}{_read_element(member, types)}"
    value = _read_value(member, types)
    if member.kind is Kind.MESSAGE:
        value = f"unsafe {types.of(member)}(reading: {_c(member)})"
    if not member.is_optional:
        return f"{name} = {value}"
    present = f"unsafe {_case('_' + member.name)}.rawValue == {member.number}"
    return f"{name} =\n  {present}\n  ? {value}\n  : nil"


def _read_value(field: Field, types: SwiftTypes) -> str:
    if field.kind in {Kind.STRING, Kind.BYTES}:
        return f"unsafe {types.element(field)}(reading: {_c(field)})"
    if field.kind is Kind.MESSAGE:
        return f"unsafe {types.element(field)}(readingOrDefault: {_c(field)})"
    if field.kind is Kind.BOOL:
        return f"unsafe {_c(field)} != 0"
    if field.kind is Kind.ENUM:
        number = f"Int32(truncatingIfNeeded: {_c(field)}.rawValue)"
        return f"unsafe {types.element(field)}(number: {number})"
    return f"unsafe {_c(field)}"


def _read_element(field: Field, types: SwiftTypes) -> str:
    if field.kind in {Kind.STRING, Kind.BYTES}:
        return f" {{ unsafe {types.element(field)}(reading: $0) }}"
    if field.kind is Kind.BOOL:
        return " { $0 != 0 }"
    if field.kind is Kind.ENUM:
        return f" {{ {types.element(field)}(number: Int32(truncatingIfNeeded: $0.rawValue)) }}"
    return ""


def _read_case(field: Field, types: SwiftTypes) -> str:
    return f"case {field.number}: .{property_name(field)}({_read_value(field, types)})"


# Filling


def _fill(member: Field | Oneof, types: SwiftTypes) -> str:
    name = f"self.{property_name(member)}"
    if isinstance(member, Oneof):
        cases = "\n".join(_fill_case(field, member) for field in member.fields)
        return f"switch {name} {{\n{cases}\ncase nil: break\n}}"
    if member.is_map:
        return _fill_map(member, name, types.entry(member).name)
    if member.is_repeated:
        return (
            f"unsafe {_count(member)} = {name}.count\n"
            f"unsafe {_c(member)} = {_fill_elements(member, name)}"
        )
    if member.is_optional:
        return (
            f"if let present = {name} {{\n"
            f"  unsafe {_case('_' + member.name)} = .init({member.number})\n"
            f"  unsafe {_c(member)} = {_fill_value(member, 'present')}\n}}"
        )
    if member.kind is Kind.MESSAGE:
        return f"if let present = {name} {{\n  unsafe {_c(member)} = arena.structure(present)\n}}"
    fill = f"unsafe {_c(member)} = {_fill_value(member, name)}"
    if member.kind in FLOATS:
        arguments = f"of: {name}, field: {member.number}, in: &value.pointee.base"
        fill += f"\nunsafe arena.keepSign({arguments})"
    return fill


def _fill_value(field: Field, name: str) -> str:
    if field.kind is Kind.STRING:
        return f"arena.text({name})"
    if field.kind is Kind.BYTES:
        return f"arena.bytes({name})"
    if field.kind is Kind.MESSAGE:
        return f"arena.structure({name})"
    if field.kind is Kind.BOOL:
        return f"{name} ? 1 : 0"
    if field.kind is Kind.ENUM:
        return f".init(rawValue: .init(truncatingIfNeeded: {name}.number))"
    return name


def _fill_elements(field: Field, name: str) -> str:
    if field.kind is Kind.MESSAGE:
        return f"arena.structures({name})"
    if field.kind in {Kind.STRING, Kind.BYTES}:
        return f"arena.array({name}) {{ unsafe {_fill_value(field, '$0')} }}"
    if field.kind in {Kind.BOOL, Kind.ENUM}:
        return f"arena.array({name}) {{ {_fill_value(field, '$0')} }}"
    return f"arena.numbers({name})"


def _fill_case(field: Field, oneof: Oneof) -> str:
    return (
        f"case .{property_name(field)}(let given):\n"
        f"  unsafe {_case(oneof.name)} = .init({field.number})\n"
        f"  unsafe {_c(field)} = {_fill_value(field, 'given')}"
    )


def _fill_map(field: Field, name: str, entry: str) -> str:
    return (
        f"unsafe {_count(field)} = {name}.count\n"
        f"unsafe {_c(field)} = arena.structures(\n"
        f"  {name}.sorted {{ $0.key < $1.key }}.map {{ {entry}(key: $0.key, value: $0.value) }})"
    )
