"""Reads the project's own options of methods and enum values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        EnumValueDescriptorProto,
        FileDescriptorSet,
        MethodDescriptorProto,
    )

RULE = "needletail.rpc.v1.rule"
REASON = "needletail.rpc.v1.reason"


class OptionReader:
    """Knows the extensions that a set of files declares."""

    def __init__(self, files: FileDescriptorSet) -> None:
        """Learns the extensions of `files`."""
        self._pool = DescriptorPool()
        for file in files.file:
            self._pool.Add(file)

    def method_rule(self, method: MethodDescriptorProto) -> tuple[str, bool, bool, str] | None:
        """Permission, audited, telemetry and idempotency of a method; None without a rule."""
        rule = self._extension("google.protobuf.MethodOptions", method.options, RULE)
        if rule is None:
            return None
        values = rule.DESCRIPTOR.fields_by_name["idempotency"].enum_type.values_by_number
        name = values[rule.idempotency].name.removeprefix("IDEMPOTENCY_")
        return rule.permission, rule.audited, rule.telemetry, name

    def reason_code(self, value: EnumValueDescriptorProto) -> str:
        """The canonical code of an error reason; empty without one."""
        reason = self._extension("google.protobuf.EnumValueOptions", value.options, REASON)
        return "" if reason is None else str(reason.code)

    def _extension(self, type_name: str, options: Any, name: str) -> Any:  # noqa: ANN401
        """The extension `name` of `options`, whose own class does not know it; None without."""
        serialized = options.SerializeToString()
        if not serialized:
            return None
        own = GetMessageClass(self._pool.FindMessageTypeByName(type_name)).FromString(serialized)
        extension: Any = self._pool.FindExtensionByName(name)
        return own.Extensions[extension] if own.HasExtension(extension) else None
