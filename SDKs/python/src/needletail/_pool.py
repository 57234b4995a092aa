"""Message classes from a descriptor pool of the SDK's own.

A private pool never meets the application's own generated code of the same .proto files, and needs
nothing of protobuf that changed between version 4.21 and today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Iterable


class MessagePool:
    """Makes message classes from serialized file descriptors, which name what they import."""

    def __init__(self, files: Iterable[bytes]) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in files:
            self._pool.AddSerializedFile(file)
        self._classes: dict[str, Any] = {}

    def message_class(self, full_name: str) -> Any:
        """The class of a message by its full name."""
        if full_name not in self._classes:
            descriptor = self._pool.FindMessageTypeByName(full_name)
            self._classes[full_name] = self._make(descriptor)
        return self._classes[full_name]

    def _make(self, descriptor: Any) -> Any:
        factory: Any = message_factory
        if hasattr(factory, "GetMessageClass"):
            return factory.GetMessageClass(descriptor)
        return factory.MessageFactory(self._pool).GetPrototype(descriptor)
