"""Pieces of Swift text."""

from __future__ import annotations

import re
import textwrap

LINE_LENGTH = 100
INDENT = "  "


def indented(text: str, levels: int = 1) -> str:
    """Every line that is not empty, moved to the right."""
    return textwrap.indent(text, INDENT * levels)


def doc_comment(comment: str, levels: int = 0) -> str:
    """A .proto comment as a documentation comment: its first sentence is the summary.

    It is going to be indented by so many levels.
    """
    text = " ".join(comment.split())
    match = re.match(r"(.+?[.!?])\s+(?=[A-Z0-9\"\u2026])(.+)", text)
    lines: list[str] = []
    for paragraph in [match[1], match[2]] if match else [text]:
        if lines:
            lines.append("///")
        lines += textwrap.wrap(
            paragraph,
            width=LINE_LENGTH - len(INDENT) * levels,
            initial_indent="/// ",
            subsequent_indent="/// ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def parenthesized(head: str, arguments: list[str], tail: str = "", levels: int = 0) -> str:
    """`head(`, the arguments, `)tail`; on lines of their own when that gets too long.

    It is going to be indented by so many levels.
    """
    width = LINE_LENGTH - len(INDENT) * levels
    line = f"{head}{', '.join(arguments)}){tail}"
    if len(line) <= width:
        return line
    return f"{head}\n{_rows(arguments, width)}\n){tail}"


def literal(head: str, elements: list[str], levels: int = 0) -> str:
    """`head[`, the elements, `]`; on lines of their own when that gets too long."""
    width = LINE_LENGTH - len(INDENT) * levels
    line = f"{head}{', '.join(elements)}]"
    if len(line) <= width:
        return line
    return f"{head}\n{_rows(elements, width - 1)},\n]"


def _rows(parts: list[str], width: int) -> str:
    """Parts that are divided by commas, in as few lines as hold them."""
    rows = textwrap.wrap(
        ", ".join(part.replace(" ", "\0") for part in parts),
        width=width - len(INDENT),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(f"{INDENT}{row}".replace("\0", " ") for row in rows)


def wrapped_assignments(code: str, levels: int) -> str:
    """Code whose assignments go on in the next line when they get too long.

    It is going to be indented by so many levels.
    """
    width = LINE_LENGTH - len(INDENT) * levels
    lines = []
    for line in code.split("\n"):
        left, equals, right = line.partition(" = ")
        if len(line) > width and equals:
            indent = line[: len(line) - len(line.lstrip())]
            lines += [f"{left} =", f"{indent}{INDENT}{right}"]
        else:
            lines.append(line)
    return "\n".join(lines)


def string_literal(text: str) -> str:
    """A Swift string literal."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'
