"""Adds the option that rewrites what the cases expect."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--rewrite`: for a change of the generator that is meant; read the difference."""
    parser.addoption("--rewrite", action="store_true", help="rewrite what the cases expect")
