"""A call on its way: what to send, how often it may be tried, who gets the answer."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from needletail._core.link import Link
    from needletail.errors import CallError

_MILLISECONDS = 1_000
_MAX_TIMEOUT_MS = (1 << 32) - 1


class Sink(Protocol):
    """Who gets what a call brings. Called by the engine: must not block."""

    def message(self, message: bytes) -> None:
        """A message came; `Engine.consumed` is owed for its size."""

    def ended(self, error: CallError | None, message: bytes) -> None:
        """The call has ended: with an error, or OK with a unary call's answer."""

    def writable(self) -> None:
        """Everything given to `Engine.send` is on its way."""

    def draining(self) -> None:
        """The connection below the call's stream will end soon."""


@dataclasses.dataclass(slots=True, eq=False)
class PendingCall:
    """One call, from its start to its end, over as many tries as it takes."""

    method: str
    request: bytes | None
    """The first message; None = the call opens without one."""

    sink: Sink
    is_repeatable: bool
    """A read, or keyed: may be sent again after it may have had its effect."""

    end_of_requests: bool
    idempotency_key: str = ""
    deadline: float | None = None
    """When the caller's patience ends, on the engine's clock."""

    open_by: float | None = None
    """Until when a call without a deadline waits for a connection."""

    connect_seconds: float = math.inf
    """How long it waits for a connection, each time that there is none."""

    connect_by: float = math.inf
    """Until when it does so now."""

    link: Link | None = None
    stream: int = 0
    tries: int = 0
    refusals: int = 0
    """How often the server refused to start it."""

    not_before: float = 0.0
    has_received: bool = False
    has_sent_more: bool = False
    is_done: bool = False
    is_waiting: bool = False
    last_error: CallError | None = None
    unsent: collections.deque[tuple[bytes, bool]] = dataclasses.field(
        default_factory=collections.deque
    )

    @property
    def ends_by(self) -> float:
        """When it is over, unless it is under way and has no deadline."""
        limit = self.open_by if self.deadline is None else self.deadline
        return math.inf if limit is None else limit

    def has_waited(self, now: float, *, is_connected: bool) -> bool:
        """Whether it has no connection, and no patience left to wait for one."""
        if not self.is_waiting:
            return False
        if is_connected:
            return self.deadline is None and now >= self.ends_by
        return now >= min(self.ends_by, self.connect_by)

    def timeout_ms(self, now: float) -> int:
        """What the server is told of the caller's patience; 0 = nothing."""
        if self.deadline is None:
            return 0
        left = max(1, round((self.deadline - now) * _MILLISECONDS))
        return left if left <= _MAX_TIMEOUT_MS else 0

    @property
    def may_restart(self) -> bool:
        """Whether a try that had no effect can be followed by another."""
        return not self.has_received and not self.has_sent_more

    @property
    def may_repeat(self) -> bool:
        """Whether a try that may have had its effect can be followed by another."""
        return self.may_restart and self.is_repeatable
