"""Reads the descriptors into the few facts that the emitters need."""

from __future__ import annotations

import dataclasses
import keyword
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
        FileDescriptorSet,
        MethodDescriptorProto,
    )

ROOT_PACKAGE = "needletail."
RULE_EXTENSION = "needletail.rpc.v1.rule"
TIMESTAMP = "google.protobuf.Timestamp"

# The frames of the protocol itself: the SDK's connection uses them, no caller sees them.
WIRE_FILE = "needletail/rpc/v1/frame.proto"


@dataclasses.dataclass(frozen=True, slots=True)
class Enumeration:
    """One enum: its Python name, its comment, and (name, number, comment) of each value."""

    python_name: str
    comment: str
    values: tuple[tuple[str, int, str], ...]

    @property
    def is_reasons(self) -> bool:
        """Whether the values are error reasons, which travel as text."""
        return self.python_name.endswith("ErrorReason")


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One message: its Python name, its full name, its comment and its fields."""

    python_name: str
    full_name: str
    comment: str
    fields: tuple[Field, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    name: str
    comment: str
    kind: str  # a Python scalar's name, "enum", "message", "timestamp" or "map"
    type_name: str  # full name of the enum or message; "key, value" scalars of a map
    is_repeated: bool
    has_presence: bool  # absent and default are told apart: `optional`, or member of a oneof

    @property
    def python_name(self) -> str:
        """The name in Python, which has words of its own: `from` is `from_`."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name

    def of(self, message: str) -> str:
        """The field of a protobuf message, as an expression."""
        if keyword.iskeyword(self.name):
            return f'getattr({message}, "{self.name}")'
        return f"{message}.{self.name}"

    def assignment(self, message: str, value: str) -> str:
        """The statement that sets the field of a protobuf message."""
        if keyword.iskeyword(self.name):
            return f'setattr({message}, "{self.name}", {value})'
        return f"{message}.{self.name} = {value}"


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """One RPC."""

    name: str
    full_name: str
    comment: str
    kind: str  # UNARY, SERVER_STREAMING, CLIENT_STREAMING or BIDIRECTIONAL
    idempotency: str  # READ, KEYED or SEQUENCED
    request: str
    response: str


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """One service and the package it belongs to."""

    name: str
    module: str
    comment: str
    methods: tuple[Method, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """Everything that the .proto files say, by full name."""

    enums: dict[str, Enumeration]
    messages: dict[str, Message]
    services: tuple[Service, ...]
    modules: dict[str, str]  # full name of an enum or message → module
    runtime_files: tuple[FileDescriptorProto, ...]


def snake_case(name: str) -> str:
    """`WhoAmI` → `who_am_i`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def load(protos: Path) -> Model:
    """Runs protoc over every .proto below a folder and reads its descriptors."""
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "descriptors.bin"
        flags = ["--include_imports", "--include_source_info"]
        command = ["protoc", f"-I{protos}", *flags, f"--descriptor_set_out={output}", *files]
        subprocess.run(command, check=True)
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    return _Reader(descriptors).read()


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a declaration stands: its file's package and comments, and its path in the file."""

    package: str
    parent: str
    path: tuple[int, ...]
    comments: dict[tuple[int, ...], str]

    @property
    def module(self) -> str:
        return self.package.split(".")[1]

    @property
    def comment(self) -> str:
        return self.comments.get(self.path, "")

    def comment_of(self, *path: int) -> str:
        return self.comments.get((*self.path, *path), "")

    def within(self, parent: str, *path: int) -> _Place:
        return _Place(self.package, parent, (*self.path, *path), self.comments)


class _Reader:
    def __init__(self, descriptors: FileDescriptorSet) -> None:
        self._files = descriptors.file
        self._enums: dict[str, Enumeration] = {}
        self._messages: dict[str, Message] = {}
        self._modules: dict[str, str] = {}
        self._services: list[Service] = []
        pool = descriptor_pool.DescriptorPool()
        for file in self._files:
            pool.Add(file)
        self._pool = pool
        options = pool.FindMessageTypeByName("google.protobuf.MethodOptions")
        self._options: Any = message_factory.GetMessageClass(options)
        message_factory.GetMessageClassesForFiles([f.name for f in self._files], pool)

    def read(self) -> Model:
        own = [f for f in self._files if f.package.startswith(ROOT_PACKAGE)]
        for file in own:
            if file.name != WIRE_FILE:
                self._read_file(file)
        runtime = tuple(
            _stripped(f) for f in self._files if not f.name.endswith("descriptor.proto")
        )
        services = tuple(sorted(self._services, key=lambda service: service.name))
        return Model(self._enums, self._messages, services, self._modules, runtime)

    def _read_file(self, file: FileDescriptorProto) -> None:
        if re.fullmatch(r"v\d+", file.package.split(".")[-1]) is None:
            raise ValueError(f"{file.name}: package {file.package} does not end in a version")
        comments = {
            tuple(location.path): " ".join(location.leading_comments.split())
            for location in file.source_code_info.location
        }
        top = _Place(file.package, "", (), comments)
        for index, enum in enumerate(file.enum_type):
            self._read_enum(enum, top.within("", 5, index))
        for index, message in enumerate(file.message_type):
            self._read_message(message, top.within("", 4, index))
        for index, service in enumerate(file.service):
            place = top.within("", 6, index)
            methods = tuple(
                self._method(method, f"{file.package}.{service.name}", place.comment_of(2, number))
                for number, method in enumerate(service.method)
            )
            self._services.append(Service(service.name, top.module, place.comment, methods))

    def _method(self, method: MethodDescriptorProto, service: str, comment: str) -> Method:
        options = self._options.FromString(method.options.SerializeToString())
        rule = options.Extensions[self._pool.FindExtensionByName(RULE_EXTENSION)]
        names = rule.DESCRIPTOR.fields_by_name["idempotency"].enum_type.values_by_number
        return Method(
            name=method.name,
            full_name=f"{service}/{method.name}",
            comment=comment,
            kind=_KINDS[method.client_streaming, method.server_streaming],
            idempotency=names[rule.idempotency].name.removeprefix("IDEMPOTENCY_"),
            request=method.input_type[1:],
            response=method.output_type[1:],
        )

    def _read_enum(self, enum: EnumDescriptorProto, place: _Place) -> None:
        prefix = snake_case(enum.name).upper() + "_"
        values = tuple(
            (value.name.removeprefix(prefix), value.number, place.comment_of(2, index))
            for index, value in enumerate(enum.value)
        )
        python_name = f"{place.parent}.{enum.name}".replace(".", "")
        full_name = ".".join(part for part in (place.package, place.parent, enum.name) if part)
        self._enums[full_name] = Enumeration(python_name, place.comment, values)
        self._modules[full_name] = place.module

    def _read_message(self, message: DescriptorProto, place: _Place) -> None:
        own = f"{place.parent}.{message.name}" if place.parent else message.name
        for index, enum in enumerate(message.enum_type):
            self._read_enum(enum, place.within(own, 4, index))
        maps = {m.name: m for m in message.nested_type if m.options.map_entry}
        for index, nested in enumerate(message.nested_type):
            if nested.name not in maps:
                self._read_message(nested, place.within(own, 3, index))
        fields = tuple(
            _field(field, maps, place.comment_of(2, index))
            for index, field in enumerate(message.field)
        )
        full_name = f"{place.package}.{own}"
        python_name = own.replace(".", "")
        self._messages[full_name] = Message(python_name, full_name, place.comment, fields)
        self._modules[full_name] = place.module


_KINDS = {
    (False, False): "UNARY",
    (False, True): "SERVER_STREAMING",
    (True, False): "CLIENT_STREAMING",
    (True, True): "BIDIRECTIONAL",
}
_SCALARS = {
    **dict.fromkeys((3, 4, 5, 6, 7, 13, 15, 16, 17, 18), "int"),
    **dict.fromkeys((1, 2), "float"),
    8: "bool",
    9: "str",
    12: "bytes",
}


def _field(field: FieldDescriptorProto, maps: dict[str, DescriptorProto], comment: str) -> Field:
    repeated = field.label == field.LABEL_REPEATED
    entry = maps.get(field.type_name.rsplit(".", 1)[-1]) if field.type_name else None
    type_name = field.type_name[1:]
    if entry is not None:
        key, value = entry.field
        kind, repeated = "map", False
        type_name = f"{_SCALARS[key.type]}, {_SCALARS[value.type]}"
    elif field.type == field.TYPE_ENUM:
        kind = "enum"
    elif field.type == field.TYPE_MESSAGE:
        kind = "timestamp" if type_name == TIMESTAMP else "message"
    else:
        kind = _SCALARS[field.type]
    # A member of a real oneof has presence just as an `optional` field, which is a oneof of one.
    presence = field.HasField("oneof_index")
    return Field(field.name, comment, kind, type_name, repeated, presence)


def _stripped(file: FileDescriptorProto) -> FileDescriptorProto:
    """What the runtime needs of a file: no comments, no options, no extensions.

    Without options and extensions no file depends on descriptor.proto, so that the SDK's private
    pool holds nothing that differs from one protobuf version to the next.
    """
    result = descriptor_pb2.FileDescriptorProto()
    result.CopyFrom(file)
    result.ClearField("source_code_info")
    result.ClearField("options")
    result.ClearField("extension")
    result.ClearField("service")
    kept = [name for name in file.dependency if not name.endswith("descriptor.proto")]
    if file.service:
        kept = [name for name in kept if not name.endswith("options.proto")]
        kept += [n for n in file.dependency if n.endswith("options.proto") and _uses_options(file)]
    del result.dependency[:]
    result.dependency.extend(kept)
    for enum in result.enum_type:
        for value in enum.value:
            value.ClearField("options")
    return result


def _uses_options(file: FileDescriptorProto) -> bool:
    """Whether a message of the file has a field whose type is in options.proto."""
    types = {".needletail.rpc.v1.Idempotency", ".needletail.rpc.v1.MethodRule"}
    return any(f.type_name in types for m in file.message_type for f in m.field)
