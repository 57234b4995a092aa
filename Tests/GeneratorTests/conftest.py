"""Finds the generator, and adds the option that rewrites what the cases expect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--rewrite`: for a change of the generator that is meant; read the difference."""
    parser.addoption("--rewrite", action="store_true", help="rewrite what the cases expect")
