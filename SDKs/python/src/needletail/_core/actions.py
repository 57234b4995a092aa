"""What the engine wants of its transport."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias


@dataclasses.dataclass(frozen=True, slots=True)
class Dial:
    """Open a connection under this number."""

    link: int


@dataclasses.dataclass(frozen=True, slots=True)
class Hangup:
    """Close a connection, after these last bytes."""

    link: int
    output: bytes = b""


Action: TypeAlias = Dial | Hangup
