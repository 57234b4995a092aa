"""Streams that go on after a lost connection: where from, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from needletail.errors import CallError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from needletail._calls import AsyncCaller, Caller
    from needletail._methods import Method

_PAUSE_SECONDS = (0.1, 5.0)


class Change(Protocol):
    """A message that says where to go on after it."""

    @property
    def resume_token(self) -> str: ...


Ask = TypeVar("Ask")
Found = TypeVar("Found", bound=Change)


class _Following(Generic[Ask, Found]):
    """Where a stream goes on, and how long it is waited for; no I/O."""

    def __init__(self, request: Ask, patience_seconds: float) -> None:
        self.request: Any = request
        self._patience_seconds = patience_seconds
        self._until = time.monotonic() + patience_seconds
        self._failures = 0

    def took(self, change: Found) -> None:
        """The next call goes on after this."""
        self._failures, self._until = 0, time.monotonic() + self._patience_seconds
        self.request = dataclasses.replace(self.request, resume_token=change.resume_token)

    def pause_seconds(self, error: CallError) -> float:
        """How long to wait before the next call; raises the error when there shall be none."""
        if not error.is_retryable or time.monotonic() >= self._until:
            raise error
        self._failures += 1
        first, longest = _PAUSE_SECONDS
        longest = min(longest, first * 2 ** min(self._failures, 10))
        pause = random.uniform(0.5 * longest, longest)  # noqa: S311 only spreads retries
        return max(pause, error.retry_after or 0.0)


def follow(
    caller: Caller, method: Method[Ask, Found], request: Ask, patience_seconds: float
) -> Generator[Found, None, None]:
    """The messages of a stream and of those that go on after it."""
    following: _Following[Ask, Found] = _Following(request, patience_seconds)
    while True:
        try:
            with caller.server_streaming(method, following.request, None) as stream:
                for change in stream:
                    following.took(change)
                    yield change
        except CallError as error:
            time.sleep(following.pause_seconds(error))
        else:
            return


async def follow_async(
    caller: AsyncCaller, method: Method[Ask, Found], request: Ask, patience_seconds: float
) -> AsyncGenerator[Found, None]:
    """The messages of a stream and of those that go on after it."""
    following: _Following[Ask, Found] = _Following(request, patience_seconds)
    while True:
        try:
            async with caller.server_streaming(method, following.request, None) as stream:
                async for change in stream:
                    following.took(change)
                    yield change
        except CallError as error:
            await asyncio.sleep(following.pause_seconds(error))
        else:
            return
