"""Reads .sql files: doc comments, names, cardinalities, named parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    text: str
    parameters: tuple[Parameter, ...]


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


def read_statements(file: Path) -> list[Statement]:
    """Read every statement of a file, in order."""
    statements: list[Statement] = []
    for line, comments, name, cardinality, body in _blocks(file):
        if not _IDENTIFIER.match(name):
            raise QueryError(file, line, f"{name} is no lowerCamelCase name")
        if any(statement.name == name for statement in statements):
            raise QueryError(file, line, f"{name} is there twice")
        if cardinality not in {one.value for one in Cardinality}:
            raise QueryError(file, line, f":{cardinality} is none of :one :optional :many :exec")
        if not comments:
            raise QueryError(file, line, f"{name} has no comment that says what it does")
        text, parameters = number_parameters(body, file, line)
        if ";" in _bare(text):
            raise QueryError(file, line, f"{name} holds more than one statement")
        statements.append(
            Statement(file, line, name, Cardinality(cardinality), comments, text, parameters)
        )
    return statements


def _blocks(file: Path) -> Iterator[tuple[int, tuple[str, ...], str, str, str]]:
    """Cut a file into (line of the name, comments before it, name, cardinality, SQL)."""
    comments: list[str] = []
    current: tuple[int, tuple[str, ...], str, str] | None = None
    body: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if match := _NAME.match(line.strip()):
            if current is not None:
                raise QueryError(file, number, f"{current[2]} does not end with a semicolon")
            current, comments = (number, tuple(comments), match[1], match[2]), []
        elif current is None:
            if line.startswith("--"):
                comments.append(line.removeprefix("--").strip())
            elif line.strip():
                raise QueryError(file, number, "SQL without a name")
            else:
                # What is apart from a statement tells of the file.
                comments = []
        else:
            body.append(line)
            if line.rstrip().endswith(";") and not line.lstrip().startswith("--"):
                yield *current, _strip("\n".join(body))
                current, body = None, []
    if current is not None:
        raise QueryError(file, current[0], f"{current[2]} does not end with a semicolon")


def _strip(body: str) -> str:
    """Drop lines of comment, blank edges and the semicolon."""
    lines = [line.rstrip() for line in body.splitlines() if not line.lstrip().startswith("--")]
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
