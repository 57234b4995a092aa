"""What can go wrong.

Branch on `CallError.reason` (or on the subclass), never on its text.
"""

from __future__ import annotations

import dataclasses
import enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Reasons that this client gives itself; the server's are in the modules of its services.
CONNECT_FAILED = "CONNECT_FAILED"
CONNECTION_LOST = "CONNECTION_LOST"
TLS_FAILED = "TLS_FAILED"
PROTOCOL_ERROR = "PROTOCOL_ERROR"
CLIENT_CLOSED = "CLIENT_CLOSED"
CALL_CANCELLED = "CANCELLED"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
FORKED = "FORKED"
REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"


class Code(enum.IntEnum):
    """The canonical codes, with the numbers that gRPC uses."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclasses.dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field of a request."""

    field: str
    """Path in the request: `runs[0].series[3].key`."""

    description: str
    """For a person."""


class NeedletailError(Exception):
    """The root of what this package raises for reasons of its own."""


class SettingsError(NeedletailError, ValueError):
    """A setting is missing or makes no sense; the message names it and its source."""


class CallError(NeedletailError):
    """A call failed.

    Attributes:
        code: The canonical code.
        reason: UPPER_SNAKE_CASE and stable: what a program branches on. May be empty.
        message: For a person.
        field_violations: Every bad field of an INVALID_ARGUMENT.
        details: More for a program, by name.
        retry_after: Seconds that the server advises to wait; None = no advice.
        request_id: Also in the server's log and audit log. Empty when no server answered.
    """

    def __init__(
        self,
        *,
        code: Code,
        reason: str = "",
        message: str = "",
        field_violations: tuple[FieldViolation, ...] = (),
        details: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        self.code = code
        self.reason = reason
        self.message = message
        self.field_violations = field_violations
        self.details: Mapping[str, str] = MappingProxyType(dict(details or {}))
        self.retry_after = retry_after
        self.request_id = request_id
        super().__init__(self._text())

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may well succeed a little later."""
        if self.code is Code.RESOURCE_EXHAUSTED:
            return self.reason not in {"RESPONSE_TOO_LARGE", REQUEST_TOO_LARGE}
        return self.code is Code.UNAVAILABLE or self.reason == "CONFLICT"

    @property
    def is_unanswered(self) -> bool:
        """Whether no server said anything about the call, which may have had its effect."""
        is_of_network = self.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
        return is_of_network and not self.request_id and self.reason != TLS_FAILED

    def _text(self) -> str:
        name = self.code.name + (f" / {self.reason}" if self.reason else "")
        fields = "".join(f"; {v.field}: {v.description}" for v in self.field_violations)
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{name}: {self.message}{fields}{request}"

    def __reduce__(self) -> tuple[Callable[[dict[str, object]], CallError], tuple[object]]:
        state = {
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "field_violations": self.field_violations,
            "details": dict(self.details),
            "retry_after": self.retry_after,
            "request_id": self.request_id,
        }
        return (_unpickled, (state,))


class CallCancelledError(CallError):
    """CANCELLED: the caller no longer wanted the answer."""


class UnknownError(CallError):
    """UNKNOWN: the server gave a code that this client doesn't know, or none."""


class InvalidArgumentError(CallError):
    """INVALID_ARGUMENT: `field_violations` names every bad field."""


class DeadlineExceededError(CallError):
    """DEADLINE_EXCEEDED: no answer within the call's timeout."""


class NotFoundError(CallError):
    """NOT_FOUND: no such resource in the organization."""


class AlreadyExistsError(CallError):
    """ALREADY_EXISTS: the name is taken."""


class PermissionDeniedError(CallError):
    """PERMISSION_DENIED: the key's owner may not do that."""


class ResourceExhaustedError(CallError):
    """RESOURCE_EXHAUSTED: a limit is reached; `retry_after` may say when to try again."""


class FailedPreconditionError(CallError):
    """FAILED_PRECONDITION: not in the state that the resource is in."""


class AbortedError(CallError):
    """ABORTED: a concurrent change won; read again, then retry."""


class OutOfRangeError(CallError):
    """OUT_OF_RANGE: past the end, e.g. a resume token that is too old."""


class UnimplementedError(CallError):
    """UNIMPLEMENTED: the server has no such method."""


class InternalError(CallError):
    """INTERNAL: something broke inside; the request id leads to the log entry."""


class UnavailableError(CallError):
    """UNAVAILABLE: the server can't be reached, or can't answer now."""


class DataLossError(CallError):
    """DATA_LOSS: stored data is damaged."""


class UnauthenticatedError(CallError):
    """UNAUTHENTICATED: the API key is wrong, expired or revoked."""


_CLASSES: dict[Code, type[CallError]] = {
    Code.CANCELLED: CallCancelledError,
    Code.UNKNOWN: UnknownError,
    Code.INVALID_ARGUMENT: InvalidArgumentError,
    Code.DEADLINE_EXCEEDED: DeadlineExceededError,
    Code.NOT_FOUND: NotFoundError,
    Code.ALREADY_EXISTS: AlreadyExistsError,
    Code.PERMISSION_DENIED: PermissionDeniedError,
    Code.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    Code.FAILED_PRECONDITION: FailedPreconditionError,
    Code.ABORTED: AbortedError,
    Code.OUT_OF_RANGE: OutOfRangeError,
    Code.UNIMPLEMENTED: UnimplementedError,
    Code.INTERNAL: InternalError,
    Code.UNAVAILABLE: UnavailableError,
    Code.DATA_LOSS: DataLossError,
    Code.UNAUTHENTICATED: UnauthenticatedError,
}


def call_error(
    code: int,
    reason: str,
    message: str,
    *,
    field_violations: tuple[FieldViolation, ...] = (),
    details: Mapping[str, str] | None = None,
    retry_after: float | None = None,
    request_id: str = "",
) -> CallError:
    """The error of the subclass that belongs to a code; an unknown code is UNKNOWN."""
    known = Code(code) if code in _CLASSES else Code.UNKNOWN
    return _CLASSES[known](
        code=known,
        reason=reason,
        message=message,
        field_violations=field_violations,
        details=details,
        retry_after=retry_after,
        request_id=request_id,
    )


def copy_of(error: CallError) -> CallError:
    """An equal error: the same object must not be raised in two threads."""
    make, (state,) = error.__reduce__()
    return make(state)  # type: ignore[arg-type]


def _unpickled(state: dict[str, object]) -> CallError:
    return _CLASSES[state["code"]](**state)  # type: ignore[index,arg-type]
