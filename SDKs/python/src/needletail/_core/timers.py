"""When something is due, and how long to wait before another try."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from needletail._core.call import PendingCall
    from needletail.errors import CallError

FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 5.0
# Longer advice to wait is the caller's to take.
MAX_ADVICE_SECONDS = 60.0
# 2 to the power of more is beyond every bound anyway.
_MAX_DOUBLINGS = 16


def pause_seconds(
    jitter: Callable[[float, float], float],
    tries: int,
    error: CallError | None = None,
    at_most: float = MAX_BACKOFF_SECONDS,
) -> float:
    """Exponential back-off with full jitter, on top of what the server advises to wait.

    So those who were told the same don't come back at the same moment either.
    """
    doubled = FIRST_BACKOFF_SECONDS * 2 ** min(tries, _MAX_DOUBLINGS)
    advice = error.retry_after if error is not None else None
    waited = min(advice or 0.0, MAX_ADVICE_SECONDS)
    return waited + jitter(0.0, min(MAX_BACKOFF_SECONDS, at_most, doubled))


def dial_pause_seconds(
    jitter: Callable[[float, float], float],
    failures: int,
    error: CallError,
    waiting: Iterable[PendingCall],
) -> float:
    """How long to wait before the next connection: at most half of what a call waits for one.

    So whoever calls as soon as the server is back finds it within that time.
    """
    patience = min((call.connect_seconds for call in waiting), default=math.inf)
    return pause_seconds(jitter, failures, error, patience / 2)


class Timers:
    """Moments at which calls want to be looked at."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, PendingCall]] = []
        self._order = itertools.count()

    def add(self, when: float, call: PendingCall) -> None:
        """Wants a call to be looked at; never, if the moment is infinitely far."""
        if when < math.inf:
            heapq.heappush(self._heap, (when, next(self._order), call))

    def due(self, now: float) -> Iterator[PendingCall]:
        """The calls whose moment has come, less those that have ended."""
        while self._heap and self._heap[0][0] <= now:
            call = heapq.heappop(self._heap)[2]
            if not call.is_done:
                yield call

    def next_time(self) -> float | None:
        """The next moment, if there is one."""
        while self._heap and self._heap[0][2].is_done:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
