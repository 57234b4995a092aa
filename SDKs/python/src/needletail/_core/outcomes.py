"""The errors that the engine itself ends calls with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail.errors import (
    CALL_CANCELLED,
    CLIENT_CLOSED,
    DEADLINE_EXCEEDED,
    REQUEST_TOO_LARGE,
    CallError,
    Code,
    call_error,
)

if TYPE_CHECKING:
    from needletail._core.frames import FrameTooLargeError

# Why a server refuses a call before it is started, so that nothing has happened.
_REFUSALS = frozenset({"TOO_MANY_STREAMS", "RATE_LIMITED"})


def is_refusal(error: CallError) -> bool:
    """Whether the server had no room to start the call."""
    return error.code is Code.RESOURCE_EXHAUSTED and error.reason in _REFUSALS


def closed() -> CallError:
    """The client was closed."""
    return call_error(Code.CANCELLED, CLIENT_CLOSED, "the client was closed")


def cancelled() -> CallError:
    """The caller lost interest."""
    return call_error(Code.CANCELLED, CALL_CANCELLED, "cancelled by the caller")


def late(server: str) -> CallError:
    """The caller's clock ran out."""
    return call_error(Code.DEADLINE_EXCEEDED, DEADLINE_EXCEEDED, f"{server}: no answer in time")


def draining() -> CallError:
    """The server did not start the call because it will end."""
    return call_error(Code.UNAVAILABLE, "DRAINING", "the server is shutting down")


def unavailable(reason: str, server: str, problem: str) -> CallError:
    """The connection to a server can't be made or was lost."""
    return call_error(Code.UNAVAILABLE, reason, f"{server}: {problem}")


def too_large(error: FrameTooLargeError) -> CallError:
    """The request does not fit a frame."""
    return call_error(Code.RESOURCE_EXHAUSTED, REQUEST_TOO_LARGE, str(error))
