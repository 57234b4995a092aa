"""What the .proto files have to keep to, so that everything can be made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from Generators.protos.c_shapes import TIMESTAMP, messages_of
from Generators.protos.errors import GeneratorError
from Generators.protos.model import Enum, Field, File, Kind, Message, Method, Model
from Generators.protos.names import upper_snake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIELDS_MAX = 256
ONEOFS_MAX = 63

# Names that the generated code shares a scope with.
RESERVED_TYPES = frozenset(
    """
    Message MessageError MessageLimits MethodDescriptor MethodKind MethodIdempotency
    ErrorReason OpenEnum Descriptors Timestamp Arena Bridged Array Bool Dictionary Double
    Error Float Int Int32 Int64 Never Optional RawSpan Self Sendable String Type UInt32 UInt64
    UInt8
    """.split(),  # noqa: SIM905
)
RESERVED_FIELDS = frozenset({"init", "self", "base", "full_name", "encoded"})


def check_model(model: Model, paths: list[str]) -> None:
    """Raises the first thing that is wrong in the files at `paths`."""
    files = [file for file in model.files if file.path in paths]
    _check_names(files)
    for file in files:
        for enum in _enums(file.enums, file.messages):
            _check_enum(enum, model)
        for message in _messages(file.messages):
            _check_message(message)
        for service in file.services:
            _check_comment(service.full_name, service.comment)
            for method in service.methods:
                _check_method(method)
    _check_recursion(model)


def _messages(messages: Iterable[Message]) -> Iterator[Message]:
    for message in messages:
        yield message
        yield from _messages(message.messages)


def _enums(enums: Iterable[Enum], messages: Iterable[Message]) -> Iterator[Enum]:
    yield from enums
    for message in _messages(messages):
        yield from message.enums


def _check_comment(name: str, comment: str) -> None:
    if not comment:
        raise GeneratorError(f"{name}: has no comment")


def _check_names(files: list[File]) -> None:
    """Swift has one module for all packages."""
    owners = {name: f"Swift's {name}" for name in RESERVED_TYPES}
    for file in files:
        services = [f"{service.name}Methods" for service in file.services]
        names = [message.name for message in file.messages]
        names += [enum.name for enum in file.enums]
        for name in names + services:
            full_name = f"{file.package}.{name}"
            if name in owners:
                raise GeneratorError(f"{full_name}: collides with {owners[name]} in Swift")
            owners[name] = full_name


def _check_message(message: Message) -> None:
    name = message.full_name
    if not message.is_map_entry:
        _check_comment(name, message.comment)
    if len(message.fields) > FIELDS_MAX:
        raise GeneratorError(f"{name}: has more than {FIELDS_MAX} fields")
    if len(message.oneofs) > ONEOFS_MAX:
        raise GeneratorError(f"{name}: has more than {ONEOFS_MAX} oneofs")
    for oneof in message.oneofs:
        _check_comment(f"{name}.{oneof.name}", oneof.comment)
    for field in message.fields:
        if not message.is_map_entry:
            _check_comment(f"{name}.{field.name}", field.comment)
        _check_field(f"{name}.{field.name}", field, message)


def _check_field(name: str, field: Field, message: Message) -> None:
    if field.name in RESERVED_FIELDS:
        raise GeneratorError(f"{name}: is a name that the generated code needs itself")
    if message.is_map_entry and field.number == 1 and field.kind is not Kind.STRING:
        raise GeneratorError(f"{message.full_name}: the key of a map has to be a string")
    is_foreign = not field.type_name.startswith("needletail.") and field.type_name != TIMESTAMP
    if field.type_name and is_foreign:
        raise GeneratorError(f"{name}: {field.type_name} has no bridge")


def _check_enum(enum: Enum, model: Model) -> None:
    _check_comment(enum.full_name, enum.comment)
    prefix = f"{upper_snake(enum.name)}_"
    numbers: dict[int, str] = {}
    for value in enum.values:
        name = f"{enum.full_name}.{value.name}"
        _check_comment(name, value.comment)
        if not value.name.startswith(prefix):
            raise GeneratorError(f"{name}: has to begin with {prefix}")
        if value.name[len(prefix)].isdigit():
            raise GeneratorError(f"{name}: needs a letter behind {prefix}")
        if value.number in numbers:
            raise GeneratorError(f"{name}: has the number of {numbers[value.number]}")
        numbers[value.number] = value.name
        if enum.is_error_reason and value.number != 0 and value.code not in model.codes:
            problem = f"{value.code!r} is no code" if value.code else "has no code"
            raise GeneratorError(f"{name}: {problem}")
    if enum.values[0].name != f"{prefix}UNSPECIFIED":
        raise GeneratorError(f"{enum.full_name}: has to begin with {prefix}UNSPECIFIED = 0")


def _check_method(method: Method) -> None:
    name = method.full_name
    _check_comment(name, method.comment)
    if not method.has_rule:
        raise GeneratorError(f"{name}: has no (needletail.rpc.v1.rule)")
    if not method.permission:
        raise GeneratorError(f"{name}: its rule names no permission")
    if method.idempotency == "UNSPECIFIED":
        raise GeneratorError(f"{name}: its rule says nothing of idempotency")
    if method.is_audited and method.is_telemetry:
        raise GeneratorError(f"{name}: is telemetry, which leaves no audit entries")
    if method.idempotency == "KEYED" and not (method.is_audited or method.is_telemetry):
        raise GeneratorError(f"{name}: is keyed, so it changes something and has to be audited")


def _check_recursion(model: Model) -> None:
    """protobuf-c follows messages in messages without a bound."""
    messages = {message.full_name: message for message in messages_of(model)}
    done: set[str] = set()

    def visit(name: str, outer: tuple[str, ...]) -> None:
        if name in outer:
            circle = " → ".join((*outer[outer.index(name) :], name))
            raise GeneratorError(f"{name}: contains itself ({circle})")
        if name in done or name not in messages:
            return
        for field in messages[name].fields:
            if field.kind is Kind.MESSAGE:
                visit(field.type_name, (*outer, name))
        done.add(name)

    for name in messages:
        visit(name, ())
