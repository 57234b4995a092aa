"""The one error of the generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class QueryError(Exception):
    """Something is wrong with a statement; says where and what."""

    def __init__(self, file: Path, line: int, problem: str) -> None:
        """Keep the place in front of the words, as compilers do."""
        super().__init__(f"{file}:{line}: {problem}")
