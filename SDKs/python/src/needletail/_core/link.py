"""One connection as the engine sees it: its machine, its calls and its timers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from needletail._core.call import PendingCall
    from needletail._core.connection import Connection

# An unanswered ping after this long means that the peer or the way to it is gone.
PING_PATIENCE_SECONDS = 20.0


@dataclasses.dataclass(slots=True, eq=False)
class Link:
    """A connection being made, in use, or draining."""

    number: int
    machine: Connection
    welcome_by: float
    is_connected: bool = False
    is_welcomed: bool = False
    last_heard: float = 0.0
    ping_sent_at: float | None = None
    calls: dict[int, PendingCall] = dataclasses.field(default_factory=dict)

    def next_check(self) -> float | None:
        """When `is_silent` or a ping may be due."""
        if not self.is_welcomed:
            return self.welcome_by
        if not self.calls:
            return None
        if self.ping_sent_at is not None:
            return self.ping_sent_at + PING_PATIENCE_SECONDS
        return self.last_heard + self.machine.idle_timeout_seconds / 2

    def check(self, now: float) -> str | None:
        """Sends a ping when it is time; returns what is wrong when the peer doesn't answer."""
        due = self.next_check()
        if due is None or now < due:
            return None
        if not self.is_welcomed:
            return "no Welcome in time" if self.is_connected else "no connection in time"
        if self.ping_sent_at is not None:
            return f"no sign of life for {PING_PATIENCE_SECONDS:g} s"
        self.ping_sent_at = now
        self.machine.ping(int(now * 1_000_000) & ((1 << 64) - 1))
        return None

    def heard(self, now: float) -> None:
        """Anything received is a sign of life."""
        self.last_heard = now
        self.ping_sent_at = None
