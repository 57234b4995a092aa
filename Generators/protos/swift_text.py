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
    match = re.match(r"(.+?[.!?:])\s+(?=[A-Z0-9\"\u2026])(.+)", text)
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
    """`head(`, the arguments, `)tail`, with the arguments on lines of their own when it gets too long.

    It is going to be indented by so many levels.
    """
    width = LINE_LENGTH - len(INDENT) * levels
    closing = "]" if head.endswith("[") else ")"
    line = f"{head}{', '.join(arguments)}{closing}{tail}"
    if len(line) <= width:
        return line
    rows = textwrap.wrap(
        ", ".join(argument.replace(" ", "\0") for argument in arguments),
        width=width - len(INDENT),
        break_long_words=False,
        break_on_hyphens=False,
    )
    inner = "\n".join(f"{INDENT}{row}".replace("\0", " ") for row in rows)
    return f"{head}\n{inner}\n{closing}{tail}"


def string_literal(text: str) -> str:
    """A Swift string literal."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'
