"""What the client knows about a method."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Request = TypeVar("Request")
Response = TypeVar("Response")


class Kind(enum.Enum):
    """The four shapes of a call."""

    UNARY = enum.auto()
    SERVER_STREAMING = enum.auto()
    CLIENT_STREAMING = enum.auto()
    BIDIRECTIONAL = enum.auto()


class Idempotency(enum.Enum):
    """How a call may be repeated."""

    READ = enum.auto()
    KEYED = enum.auto()
    SEQUENCED = enum.auto()


@dataclasses.dataclass(frozen=True)
class Method(Generic[Request, Response]):
    """One method: its name on the wire and its codecs."""

    name: str
    kind: Kind
    idempotency: Idempotency
    request_class: Any
    response_class: Any
    encode: Callable[[Request, Any], None]
    decode: Callable[[Any], Response]

    def encode_request(self, request: Request) -> bytes:
        """The bytes of a request."""
        message = self.request_class()
        self.encode(request, message)
        encoded: bytes = message.SerializeToString()
        return encoded

    def decode_response(self, data: bytes) -> Response:
        """The response in some bytes."""
        return self.decode(self.response_class.FromString(data))
