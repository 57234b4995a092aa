"""Turns descriptors into the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from Generators.protos.errors import GeneratorError
from Generators.protos.model import (
    Enum,
    EnumValue,
    Field,
    File,
    Kind,
    Message,
    Method,
    MethodKind,
    Model,
    Oneof,
    Service,
)
from Generators.protos.options import OptionReader

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE_ENUM = "needletail.rpc.v1.Code"

Path = tuple[int, ...]

# Numbers of the fields of descriptors: a comment is found by the path of what it stands at.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
MESSAGE_FIELD, MESSAGE_MESSAGE, MESSAGE_ENUM, MESSAGE_ONEOF = 2, 3, 4, 8
ENUM_VALUE, SERVICE_METHOD = 2, 2


def load_model(descriptors: FileDescriptorSet, paths: list[str]) -> Model:
    """The model of the files at `paths`; the others are there to be imported."""
    options = OptionReader(descriptors)
    by_path = {file.name: file for file in descriptors.file}
    files = tuple(_FileLoader(by_path[path], options).load() for path in sorted(paths))
    codes = {
        value.name: value.number
        for file in descriptors.file
        for enum in file.enum_type
        if f"{file.package}.{enum.name}" == CODE_ENUM
        for value in enum.value
    }
    return Model(files, codes)


class _FileLoader:
    """Loads one file."""

    def __init__(self, file: FileDescriptorProto, options: OptionReader) -> None:
        if file.syntax != "proto3":
            raise GeneratorError(f'{file.name}: has to begin with syntax = "proto3"')
        self._file = file
        self._options = options
        self._comments = {
            tuple(location.path): _comment(location.leading_comments)
            or _comment(location.trailing_comments)
            for location in file.source_code_info.location
        }

    def load(self) -> File:
        file = self._file
        prefix = file.package
        messages = tuple(
            self._message(message, prefix, (FILE_MESSAGE, index))
            for index, message in enumerate(file.message_type)
        )
        return File(
            path=file.name,
            package=file.package,
            messages=messages,
            enums=tuple(
                self._enum(enum, prefix, (FILE_ENUM, index))
                for index, enum in enumerate(file.enum_type)
            ),
            services=tuple(
                self._service(service, (FILE_SERVICE, index))
                for index, service in enumerate(file.service)
            ),
            dependencies=tuple(file.dependency),
            is_options=bool(file.extension),
        )

    def _comment_at(self, path: Path) -> str:
        return self._comments.get(path, "")

    def _message(self, message: DescriptorProto, prefix: str, path: Path) -> Message:
        full_name = f"{prefix}.{message.name}"
        entries = {
            f".{full_name}.{nested.name}"
            for nested in message.nested_type
            if nested.options.map_entry
        }
        fields = tuple(
            self._field(message, field, entries, (*path, MESSAGE_FIELD, index))
            for index, field in enumerate(message.field)
        )
        fields = tuple(sorted(fields, key=lambda field: field.number))
        oneofs = tuple(
            Oneof(
                oneof.name,
                self._comment_at((*path, MESSAGE_ONEOF, index)),
                tuple(field for field in fields if field.oneof == oneof.name),
            )
            for index, oneof in enumerate(message.oneof_decl)
            if any(field.oneof == oneof.name for field in fields)
        )
        return Message(
            name=message.name,
            full_name=full_name,
            comment=self._comment_at(path),
            fields=fields,
            oneofs=oneofs,
            messages=tuple(
                self._message(nested, full_name, (*path, MESSAGE_MESSAGE, index))
                for index, nested in enumerate(message.nested_type)
            ),
            enums=tuple(
                self._enum(enum, full_name, (*path, MESSAGE_ENUM, index))
                for index, enum in enumerate(message.enum_type)
            ),
            is_map_entry=message.options.map_entry,
        )

    def _field(
        self,
        message: DescriptorProto,
        field: FieldDescriptorProto,
        entries: set[str],
        path: Path,
    ) -> Field:
        kind_name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        if kind_name == "group":
            raise GeneratorError(f"{message.name}.{field.name}: groups are not supported")
        in_oneof = field.HasField("oneof_index") and not field.proto3_optional
        return Field(
            name=field.name,
            number=field.number,
            kind=Kind(kind_name),
            comment=self._comment_at(path),
            type_name=field.type_name.removeprefix("."),
            is_repeated=field.label == FieldDescriptorProto.LABEL_REPEATED,
            is_optional=field.proto3_optional,
            oneof=message.oneof_decl[field.oneof_index].name if in_oneof else "",
            is_map=field.type_name in entries,
        )

    def _enum(self, enum: EnumDescriptorProto, prefix: str, path: Path) -> Enum:
        return Enum(
            name=enum.name,
            full_name=f"{prefix}.{enum.name}",
            comment=self._comment_at(path),
            values=tuple(
                EnumValue(
                    value.name,
                    value.number,
                    self._comment_at((*path, ENUM_VALUE, index)),
                    self._options.reason_code(value),
                )
                for index, value in enumerate(enum.value)
            ),
        )

    def _service(self, service: ServiceDescriptorProto, path: Path) -> Service:
        full_name = f"{self._file.package}.{service.name}"
        return Service(
            service.name,
            full_name,
            self._comment_at(path),
            tuple(self._methods(service, full_name, path)),
        )

    def _methods(
        self,
        service: ServiceDescriptorProto,
        service_name: str,
        path: Path,
    ) -> Iterator[Method]:
        for index, method in enumerate(service.method):
            rule = self._options.method_rule(method)
            permission, is_audited, is_telemetry, idempotency = rule or _NO_RULE
            yield Method(
                name=method.name,
                full_name=f"{service_name}/{method.name}",
                comment=self._comment_at((*path, SERVICE_METHOD, index)),
                request=method.input_type.removeprefix("."),
                response=method.output_type.removeprefix("."),
                kind=_METHOD_KINDS[method.client_streaming, method.server_streaming],
                has_rule=rule is not None,
                permission=permission,
                is_audited=is_audited,
                is_telemetry=is_telemetry,
                idempotency=idempotency,
            )


_NO_RULE = ("", False, False, "UNSPECIFIED")
_METHOD_KINDS = {
    (False, False): MethodKind.UNARY,
    (False, True): MethodKind.SERVER_STREAMING,
    (True, False): MethodKind.CLIENT_STREAMING,
    (True, True): MethodKind.BIDIRECTIONAL,
}


def _comment(text: str) -> str:
    """A comment as it was meant: without the space that begins each line."""
    lines = (line.removeprefix(" ").rstrip() for line in text.strip("\n").split("\n"))
    return "\n".join(lines).strip()
