"""What statements of a service share: a part is marked in one, and the others name it.

    -- part: book_columns                       select part('book_columns'),
    book.id,                                        shelf.name
    book.title                                  from …
    -- end of book_columns

A part is put in as text, before anything else looks at the statement.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from .errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# The number of a line of a file, and the line.
Line: TypeAlias = "tuple[int, str]"

_NAME = re.compile(r"[a-z][a-z0-9_]*$")
_BEGIN = re.compile(r"\s*-- part: *(.*)$")
_END = re.compile(r"\s*-- end of (\S+)$")
_USE = re.compile(
    r"(?P<indent> *)(?P<before>(?:select|and|or) )?part\('(?P<name>[^']*)'\)(?P<after>[,;]?)$"
)
_ANY_USE = re.compile(r"\bpart\(")


@dataclass(frozen=True, slots=True)
class _Part:
    file: Path
    line: int
    text: str


class Parts:
    """The parts of one service by name, and which of them were put in."""

    def __init__(self) -> None:
        """Begin without any."""
        self._parts: dict[str, _Part] = {}
        self._used: set[str] = set()

    def collect(self, file: Path, body: Sequence[Line]) -> None:
        """Take in the parts that are marked in the body of a statement."""
        name: str | None = None
        begin = 0
        lines: list[str] = []
        for number, line in body:
            if match := _BEGIN.match(line):
                if name is not None:
                    raise QueryError(file, number, f"part {match[1]} begins within part {name}")
                name, begin, lines = match[1], number, []
            elif match := _END.match(line):
                if name != match[1]:
                    problem = f"part {match[1]} ends and does not begin"
                    raise QueryError(file, number, problem)
                self._add(file, begin, match[1], lines)
                name = None
            elif name is not None:
                if _is_use(line):
                    raise QueryError(file, number, f"part {name} names another part")
                lines.append(line)
        if name is not None:
            raise QueryError(file, begin, f"part {name} does not end within its statement")

    def _add(self, file: Path, line: int, name: str, lines: Sequence[str]) -> None:
        if not _NAME.match(name):
            raise QueryError(file, line, f"part {name} has no lower_snake_case name")
        if other := self._parts.get(name):
            raise QueryError(file, line, f"part {name} is in {other.file.name} too")
        text = "\n".join(one for one in lines if not is_comment(one))
        # What joins it to the lines around it is theirs.
        text = textwrap.dedent(text).strip().removeprefix("and ").removesuffix(",")
        if not text:
            raise QueryError(file, line, f"part {name} is empty")
        self._parts[name] = _Part(file, line, text)

    def put_in(self, file: Path, body: Sequence[Line]) -> Iterator[str]:
        """Return the lines of a statement with the parts that it names in their places."""
        for number, line in body:
            if not _is_use(line):
                yield line
                continue
            match = _USE.match(line.rstrip())
            if match is None:
                problem = "part('…') has a line to itself, or behind select, and, or"
                raise QueryError(file, number, problem)
            part = self._parts.get(match["name"])
            if part is None:
                raise QueryError(file, number, f"no statement marks a part {match['name']}")
            self._used.add(match["name"])
            indent, before = match["indent"], match["before"] or ""
            if before in {"and ", "or "} and _has_bare_or(part.text):
                problem = f"part {match['name']} has an or outside of parentheses"
                raise QueryError(file, number, problem)
            if before == "select ":
                yield f"{indent}select"
                indent, before = f"{indent}    ", ""
            first, *rest = f"{before}{part.text}{match['after']}".splitlines()
            yield indent + first
            yield from (indent + one for one in rest)

    def refuse_unused(self) -> None:
        """Refuse a part that no statement names."""
        for name, part in self._parts.items():
            if name not in self._used:
                raise QueryError(part.file, part.line, f"no statement names part {name}")


def is_comment(line: str) -> bool:
    """Tell whether a line holds a comment alone."""
    return line.lstrip().startswith("--")


def is_mark(line: str) -> bool:
    """Tell whether a line begins or ends a part."""
    return bool(_BEGIN.match(line) or _END.match(line))


def _has_bare_or(condition: str) -> bool:
    """Tell whether what stands beside a condition would join only a half of it."""
    depths = accumulate((char == "(") - (char == ")") for char in condition)
    bare = "".join(char for char, depth in zip(condition, depths, strict=True) if depth == 0)
    return re.search(r"\bor\b", bare) is not None


def _is_use(line: str) -> bool:
    return not is_comment(line) and _ANY_USE.search(line) is not None
