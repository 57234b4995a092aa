"""Renders method tables and error reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.protos.names import escaped, first_lower
from Generators.protos.swift_messages import case_name
from Generators.protos.swift_text import (
    doc_comment,
    indented,
    literal,
    parenthesized,
    string_literal,
)

if TYPE_CHECKING:
    from Generators.protos.model import Enum, EnumValue, Method, Model, Service


def method_name(method: Method) -> str:
    """`CreateRun` → `createRun`."""
    return escaped(first_lower(method.name))


def render_methods(service: Service) -> str:
    """What the methods of a service declare about themselves."""
    methods = "\n\n".join(_method(method) for method in service.methods)
    names = [method_name(method) for method in service.methods]
    table = literal("public static let all: [MethodDescriptor] = [", names, levels=1)
    return f"""{doc_comment(f"The methods of `{service.full_name}`.")}
public enum {service.name}Methods {{
{indented(methods)}

  /// Every method, as the .proto orders them.
{indented(table)}
}}
"""


def _method(method: Method) -> str:
    arguments = [
        f"name: {string_literal(method.full_name)}",
        f"kind: .{method.kind.value}",
        f"permission: {string_literal(method.permission)}",
        f"isAudited: {str(method.is_audited).lower()}",
        f"idempotency: .{method.idempotency.lower()}",
    ]
    head = f"public static let {method_name(method)} = MethodDescriptor("
    return f"{doc_comment(method.comment, 1)}\n{parenthesized(head, arguments, levels=1)}"


def reasons_of(enum: Enum) -> list[EnumValue]:
    """The values that are sent: all but number 0."""
    return [value for value in enum.values if value.number != 0]


def reason_name(enum: Enum, value: EnumValue) -> str:
    """`TRACKING_ERROR_REASON_RUN_NOT_FOUND` → `RUN_NOT_FOUND`."""
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return value.name.removeprefix(prefix)


def render_reasons(enum: Enum, model: Model) -> str:
    """The reasons of a service."""
    cases = "\n".join(
        f"{doc_comment(f'{value.comment} Goes with {value.code}.', 1)}\n"
        f"case {case_name(enum, value.name)} = {string_literal(reason_name(enum, value))}"
        for value in reasons_of(enum)
    )
    by_code: dict[str, list[str]] = {}
    for value in reasons_of(enum):
        by_code.setdefault(value.code, []).append(f".{case_name(enum, value.name)}")
    codes = "\n".join(
        _code_case(names, model.codes[code])
        for code, names in sorted(by_code.items(), key=lambda item: model.codes[item[0]])
    )
    return f"""{doc_comment(enum.comment)}
public enum {enum.name}: String, ErrorReason, CaseIterable {{
{indented(cases)}

  /// The number of the canonical code that always accompanies the reason.
  public var codeNumber: UInt32 {{
    switch self {{
{indented(codes, 2)}
    }}
  }}
}}
"""


def _code_case(names: list[str], number: int) -> str:
    line = f"case {', '.join(names)}: {number}"
    if len(line) <= 96:
        return line
    rows = "\n".join(f"  {name}," for name in names)
    return f"case\n{rows.removesuffix(',')}:\n  {number}"
