"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

# Generous: a deadline only ends a test that would otherwise hang.
PATIENCE_SECONDS = 60.0
Value = TypeVar("Value")


def wait_until(
    what: str, condition: Callable[[], Value | None], seconds: float = PATIENCE_SECONDS
) -> Value:
    """Return the condition's first value that is true; fail when none came in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds:.0f} s there was no sign that {what}")
        time.sleep(0.01)
