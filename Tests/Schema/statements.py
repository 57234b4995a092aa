"""The project's named statements, callable by name with their `:named` parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cluster import ROOT

from Generators.sql.statements import read_service

if TYPE_CHECKING:
    from cluster import Connection

_PARAMETER = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)(\??)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a `.sql` file."""

    name: str
    cardinality: str
    text: str
    file: str

    @property
    def positional(self) -> tuple[str, list[str]]:
        """The text with `$n`, and the parameters' names in that order."""
        names: list[str] = []

        def number(match: re.Match[str]) -> str:
            if match[1] not in names:
                names.append(match[1])
            return f"${names.index(match[1]) + 1}"

        return _PARAMETER.sub(number, self.text), names

    @property
    def psycopg(self) -> str:
        """The text with psycopg's own placeholders."""
        return _PARAMETER.sub(r"%(\1)s", self.text.replace("%", "%%"))


@cache
def statements() -> dict[str, Statement]:
    """Return every statement of Sources/*/Queries by name."""
    found: dict[str, Statement] = {}
    for folder in sorted((ROOT / "Sources").glob("*/Queries")):
        for path, own in read_service(folder).items():
            for one in own:
                assert one.name not in found, one.name
                found[one.name] = Statement(
                    one.name, one.cardinality.value, one.named_text, path.name
                )
    return found


def call(connection: Connection, name: str, /, **parameters: Any) -> list[dict[str, Any]]:
    """Run a statement by name and return its rows."""
    cursor = connection.execute(statements()[name].psycopg, parameters)
    if cursor.description is None:
        return []
    return [{k.removesuffix("!"): v for k, v in row.items()} for row in cursor.fetchall()]
