"""What may be logged."""

from __future__ import annotations

import math
import operator
import unicodedata
from typing import SupportsFloat, SupportsIndex

MAX_KEY_CHARACTERS = 250
MIN_STEP, MAX_STEP = -(1 << 63), (1 << 63) - 1


def check_key(key: object) -> None:
    """Raises TypeError or ValueError when this can't be a metric's key."""
    if not isinstance(key, str):
        raise TypeError(f"a metric's key is text, not {type(key).__name__}")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"a metric's key is text that UTF-8 can hold: {key[:40]!r}") from None
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise ValueError(f"a metric's key has 1 to {MAX_KEY_CHARACTERS} characters: {key[:40]!r}")
    if any(unicodedata.category(character) == "Cc" for character in key):
        raise ValueError(f"a metric's key has no control characters: {key!r}")


def checked_step(step: SupportsIndex) -> int:
    """A step as an int; raises TypeError or ValueError when it is none of 64 bits."""
    if isinstance(step, bool):
        raise TypeError("a step is an integer, not a bool")
    try:
        number = operator.index(step)
    except TypeError:
        raise TypeError(f"a step is an integer, not {type(step).__name__}") from None
    if not MIN_STEP <= number <= MAX_STEP:
        raise ValueError(f"a step has 64 bits: {number}")
    return number


def number_of(key: str, value: SupportsFloat) -> float:
    """A value as a float; raises TypeError when it is no number."""
    if type(value).__name__ in {"bool", "bool_"}:
        raise TypeError(f"{key}: a value is a number, not a bool")
    if not hasattr(value, "__float__"):
        raise TypeError(f"{key}: a value is a number, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, 1 if value > 0 else -1)  # type: ignore[operator]
