#!/usr/bin/env python3
"""Writes the golden vectors beside this file. Needs protoc, and protobuf from PyPI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import broken
import conversations
import wellformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vectors import Meaning

FOLDER: Final = Path(__file__).resolve().parent


def write(name: str, vectors: Sequence[Meaning]) -> None:
    """Writes one file, after a look that every name in it is its own."""
    names = [str(vector["name"]) for vector in vectors]
    if len(set(names)) != len(names):
        message = f"{name}: two vectors have one name"
        raise ValueError(message)
    lines = ",\n".join(json.dumps(vector, ensure_ascii=True) for vector in vectors)
    (FOLDER / name).write_text(f"[\n{lines}\n]\n", encoding="ascii")


def main() -> None:
    """Writes all files."""
    write("frames.json", wellformed.vectors() + broken.vectors())
    write("conversations.json", conversations.vectors())


if __name__ == "__main__":
    main()
