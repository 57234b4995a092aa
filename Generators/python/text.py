"""Small pieces of Python text."""

from __future__ import annotations

import textwrap

LINE_LENGTH = 100


def docstring(comment: str, indent: str, *, more: tuple[str, ...] = ()) -> list[str]:
    """A docstring of one summary line, the rest of the comment, and more paragraphs."""
    text = comment.replace("\\", "\\\\").replace('"""', "'''") or "Undocumented."
    quotes = 6
    if not more and len(indent) + len(text) + quotes <= LINE_LENGTH:
        return [f'{indent}"""{text}"""']
    summary, rest = _split(text)
    paragraphs = [part for part in (rest, *more) if part]
    lines = _wrapped(f'"""{summary}', indent)
    if not paragraphs and len(lines[-1]) + quotes // 2 <= LINE_LENGTH:
        return [*lines[:-1], lines[-1] + '"""']
    for paragraph in paragraphs:
        lines += ["", *_wrapped(paragraph, indent)]
    return [*lines, f'{indent}"""']


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        LINE_LENGTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _split(text: str) -> tuple[str, str]:
    """Parts the first sentence from the rest."""
    summary, dot, rest = text.partition(". ")
    return (summary + dot.strip(), rest) if dot else (text, "")
