"""Reads .sql files: doc comments, names, cardinalities, named parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .errors import QueryError
from .parts import Parts, is_comment, is_mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .parts import Line


class Cardinality(Enum):
    """How many rows a statement promises."""

    ONE = "one"
    OPTIONAL = "optional"
    MANY = "many"
    EXEC = "exec"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named parameter, in the order of first use."""

    name: str
    is_nullable: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A named statement with numbered parameters."""

    file: Path
    line: int
    name: str
    cardinality: Cardinality
    documentation: tuple[str, ...]
    named_text: str
    text: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """A statement as a file has it; `line` is that of its name."""

    file: Path
    line: int
    name: str
    cardinality: str
    comments: tuple[str, ...]
    body: tuple[Line, ...]


_NAME = re.compile(r"--\s*name:\s*(\S+)\s+:(\w+)\s*$")
_IDENTIFIER = re.compile(r"[a-z][A-Za-z0-9]*$")

# What a named parameter may hide in is matched first: literals, quoted names, comments, casts.
_TOKEN = re.compile(
    r"""
      (?P<skip> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$ | --[^\n]* | /\*.*?\*/ | :: | := )
    | (?<![\w:]) : (?P<name>[a-z][a-z0-9_]*) (?P<nullable>\??)
    """,
    re.VERBOSE | re.DOTALL,
)


def read_service(folder: Path) -> dict[Path, list[Statement]]:
    """Read every statement of a folder Queries, by file and in order."""
    files = {file: list(_blocks(file)) for file in sorted(folder.glob("*.sql"))}
    blocks = [block for found in files.values() for block in found]
    parts = Parts()
    for block in blocks:
        parts.collect(block.file, block.body)
    _refuse_twice(blocks)
    statements = {
        file: [_statement(block, parts) for block in found] for file, found in files.items()
    }
    parts.refuse_unused()
    return statements


def _refuse_twice(blocks: Iterable[_Block]) -> None:
    places: dict[str, Path] = {}
    for block in blocks:
        if other := places.get(block.name):
            where = "there twice" if other == block.file else f"in {other.name} too"
            raise QueryError(block.file, block.line, f"{block.name} is {where}")
        places[block.name] = block.file


def _statement(block: _Block, parts: Parts) -> Statement:
    file, line, name = block.file, block.line, block.name
    if not _IDENTIFIER.match(name):
        raise QueryError(file, line, f"{name} is no lowerCamelCase name")
    if block.cardinality not in {one.value for one in Cardinality}:
        problem = f":{block.cardinality} is none of :one :optional :many :exec"
        raise QueryError(file, line, problem)
    if not block.comments:
        raise QueryError(file, line, f"{name} has no comment that says what it does")
    named = _strip(parts.put_in(file, block.body))
    text, parameters = number_parameters(named, file, line)
    if ";" in _bare(text):
        raise QueryError(file, line, f"{name} holds more than one statement")
    cardinality = Cardinality(block.cardinality)
    return Statement(file, line, name, cardinality, block.comments, named, text, parameters)


def _blocks(file: Path) -> Iterator[_Block]:
    comments: list[str] = []
    head: tuple[int, str, str] | None = None
    body: list[Line] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if match := _NAME.match(line.strip()):
            if head is not None:
                raise QueryError(file, number, f"{head[1]} does not end with a semicolon")
            head = number, match[1], match[2]
        elif head is None:
            if is_mark(line):
                raise QueryError(file, number, "a part begins and ends within a statement")
            if line.startswith("--"):
                comments.append(line.removeprefix("--").strip())
            elif line.strip():
                raise QueryError(file, number, "SQL without a name")
            else:
                # What is apart from a statement tells of the file.
                comments = []
        else:
            body.append((number, line))
            if line.rstrip().endswith(";") and not is_comment(line):
                yield _Block(file, *head, tuple(comments), tuple(body))
                head, comments, body = None, [], []
    if head is not None:
        raise QueryError(file, head[0], f"{head[1]} does not end with a semicolon")


def _strip(body: Iterable[str]) -> str:
    """Drop lines of comment, blank edges and the semicolon."""
    lines = [line.rstrip() for line in body if not is_comment(line)]
    return "\n".join(lines).strip().removesuffix(";").rstrip()


def number_parameters(body: str, file: Path, line: int) -> tuple[str, tuple[Parameter, ...]]:
    """Replace `:name` by `$n`; the same name is the same parameter."""
    found: dict[str, bool] = {}

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        is_nullable = match["nullable"] == "?"
        if found.setdefault(name, is_nullable) != is_nullable:
            raise QueryError(file, line, f"parameter {name} is nullable in one place only")
        return f"${list(found).index(name) + 1}"

    text = _TOKEN.sub(replace, body)
    return text, tuple(Parameter(name, is_nullable) for name, is_nullable in found.items())


def _bare(text: str) -> str:
    """Blank out literals, quoted names and comments."""
    return _TOKEN.sub(lambda match: "''" if match["skip"] not in {"::", ":="} else match[0], text)


# Where the rows of a relation may be missing and its columns so are null.
_LEFT = re.compile(r"\bleft\s+(?:outer\s+)?join\s+(?:(?P<name>[a-z_][a-z0-9_.]*)|(?P<other>\S))")
_ALL = re.compile(r"\b(?:(?:right|full)\s+(?:outer\s+)?join|grouping\s+sets|rollup\s*\(|cube\s*\()")


def outer_joined(text: str) -> frozenset[str] | None:
    """Return the relations on the nullable side of an outer join; None stands for all."""
    bare = _bare(text).lower()
    if _ALL.search(bare):
        return None
    names: set[str] = set()
    for match in _LEFT.finditer(bare):
        if match["other"] or match["name"] == "lateral":
            return None
        names.add(match["name"].rpartition(".")[2])
    return frozenset(names)
