"""Frames: a length in four big-endian bytes, then a message of that many bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from needletail._generated.descriptors import message_class
from needletail.errors import CallError, Code, FieldViolation, call_error

if TYPE_CHECKING:
    from collections.abc import Iterator

Frame = message_class("needletail.rpc.v1.Frame")

LENGTH_BYTES = 4
MAX_FRAME_BYTES_BEFORE_WELCOME = 4 * 1024
_MILLISECONDS = 1_000


class ProtocolError(Exception):
    """The peer broke the protocol; the connection is of no more use."""


class FrameTooLargeError(Exception):
    """A message does not fit a frame of this connection."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a frame of {size} bytes; the server takes {limit}")


class FrameDecoder:
    """Cuts received bytes into frames."""

    def __init__(self) -> None:
        self.max_frame_bytes = MAX_FRAME_BYTES_BEFORE_WELCOME
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes received bytes, cut anywhere."""
        self._buffer += data

    def frames(self) -> Iterator[Any]:
        """The frames that are complete.

        Raises:
            ProtocolError: A length is 0 or above the limit, or bytes don't parse.
        """
        start = 0
        try:
            while len(self._buffer) - start >= LENGTH_BYTES:
                end = start + LENGTH_BYTES
                length = int.from_bytes(self._buffer[start:end], "big")
                if not 0 < length <= self.max_frame_bytes:
                    raise ProtocolError(f"frame of {length} bytes; max {self.max_frame_bytes}")
                if len(self._buffer) - end < length:
                    return
                content = bytes(memoryview(self._buffer)[end : end + length])
                start = end + length
                try:
                    frame = Frame.FromString(content)
                except DecodeError as error:
                    raise ProtocolError(f"frame does not parse: {error}") from None
                yield frame
        finally:
            del self._buffer[:start]


def encode_frame(frame: Any) -> bytes:
    """A frame's bytes with their length before them."""
    content: bytes = frame.SerializeToString(deterministic=True)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def error_of(status: Any) -> CallError:
    """The error that a Status stands for."""
    return call_error(
        status.code,
        status.reason,
        status.message,
        field_violations=tuple(
            FieldViolation(v.field, v.description) for v in status.field_violations
        ),
        details=dict(status.details),
        retry_after=status.retry_after_ms / _MILLISECONDS if status.retry_after_ms else None,
        request_id=status.request_id,
    )


def is_ok(status: Any) -> bool:
    """Whether a Status says that all went well."""
    return bool(status.code == Code.OK)
