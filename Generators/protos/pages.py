"""Renders the pages of methods and error reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.protos.swift_methods import reason_name, reasons_of

if TYPE_CHECKING:
    from Generators.protos.model import Model

_KINDS = {
    "unary": "unary",
    "serverStreaming": "server streaming",
    "clientStreaming": "client streaming",
    "bidirectional": "bidirectional",
}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def render_methods_page(model: Model) -> str:
    """Every method with what it declares about itself."""
    lines = [
        "# Methods",
        "",
        "What the caller must be allowed to do (`self`: any authenticated caller), whether a",
        "successful call leaves an audit entry, and how a call may be repeated: *read* freely,",
        "*keyed* with the idempotency key of the first try, *sequenced* by resuming the stream.",
    ]
    for file in model.files:
        for service in file.services:
            lines += ["", f"## {service.full_name}", "", _cell(service.comment), ""]
            lines += ["| method | kind | permission | audited | repeat | what it does |"]
            lines += ["| --- | --- | --- | --- | --- | --- |"]
            lines += [
                f"| `{method.name}` | {_KINDS[method.kind.value]} | `{method.permission}` "
                f"| {'yes' if method.is_audited else 'no'} | {method.idempotency.lower()} "
                f"| {_cell(method.comment)} |"
                for method in service.methods
            ]
    return "\n".join(lines) + "\n"


def render_errors_page(model: Model) -> str:
    """Every reason with its code."""
    lines = [
        "# Error reasons",
        "",
        "`Status.reason` is for programs and stable; it always comes with the same code.",
        "`Status.message` is for people and may change.",
    ]
    for file in model.files:
        for enum in file.enums:
            if not enum.is_error_reason:
                continue
            lines += ["", f"## {file.package}", "", _cell(enum.comment), ""]
            lines += ["| reason | code | meaning |", "| --- | --- | --- |"]
            lines += [
                f"| `{reason_name(enum, value)}` | {value.code} ({model.codes[value.code]}) "
                f"| {_cell(value.comment)} |"
                for value in reasons_of(enum)
            ]
    return "\n".join(lines) + "\n"
