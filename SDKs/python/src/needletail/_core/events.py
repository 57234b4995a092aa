"""What a connection's machine tells."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from needletail.errors import CallError


@dataclasses.dataclass(frozen=True, slots=True)
class Welcomed:
    """The server took the key; calls may be opened."""

    max_open_streams: int


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """A message on a stream; `consumed` is owed for it."""

    stream: int
    message: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """A stream has ended, by the server or by the end of the connection."""

    stream: int
    error: CallError | None
    message: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True)
class NeverStarted:
    """The server says that it did not start this stream and won't."""

    stream: int


@dataclasses.dataclass(frozen=True, slots=True)
class Writable:
    """All that was given to a stream for sending is on its way."""

    stream: int


@dataclasses.dataclass(frozen=True, slots=True)
class Draining:
    """No new stream is accepted; open ones are still answered."""


@dataclasses.dataclass(frozen=True, slots=True)
class Terminated:
    """The server ended the connection and said why."""

    error: CallError


Event: TypeAlias = Welcomed | Received | Ended | NeverStarted | Writable | Draining | Terminated
