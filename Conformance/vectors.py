"""What vectors are made of: stock protobuf for meaning, raw fields for the rest."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from google.protobuf.message import Message

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json]"
Meaning: TypeAlias = dict[str, Json]

PROTOS: Final = Path(__file__).resolve().parent.parent / "Protos"
FRAME_PROTO: Final = "needletail/rpc/v1/frame.proto"


def _frame_class() -> type[Message]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "frame.binpb"
        subprocess.run(
            ["protoc", f"-I{PROTOS}", f"--descriptor_set_out={output}", FRAME_PROTO],
            check=True,
        )
        files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("needletail.rpc.v1.Frame"))


FRAME: Final = _frame_class()


# Meaning, as it is in the JSON files. The class of a descriptor depends on the backend.


def _is_map(field: Any) -> bool:  # noqa: ANN401
    entry = field.message_type
    return bool(entry is not None and entry.GetOptions().map_entry)


def _from_json(field: Any, value: Json) -> object:  # noqa: ANN401
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes.fromhex(str(value))
    if field.type in {FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64}:
        return int(str(value))
    return value


def fill(message: Message, meaning: Meaning) -> None:
    """Sets the fields that a meaning names."""
    for name, value in meaning.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.type == FieldDescriptor.TYPE_MESSAGE and isinstance(value, dict):
            if _is_map(field):
                getattr(message, name).update(value)
            else:
                child = getattr(message, name)
                child.SetInParent()
                fill(child, value)
        elif isinstance(value, list):
            for item in value:
                assert isinstance(item, dict)  # noqa: S101 (all repeated fields hold messages)
                fill(getattr(message, name).add(), item)
        else:
            setattr(message, name, _from_json(field, value))


def _to_json(field: Any, value: object) -> Json:  # noqa: ANN401
    if field.type == FieldDescriptor.TYPE_BYTES:
        assert isinstance(value, bytes)  # noqa: S101
        return value.hex()
    if field.type in {FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64}:
        return str(value)
    assert isinstance(value, (str, int))  # noqa: S101
    return value


def meaning_of(message: Message) -> Meaning:
    """What stock protobuf reads in a message, defaults left out."""
    meaning: Meaning = {}
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            meaning[field.name] = _to_json(field, value)
        elif _is_map(field):
            meaning[field.name] = dict(sorted(value.items()))
        elif field.is_repeated:
            meaning[field.name] = [meaning_of(item) for item in value]
        else:
            meaning[field.name] = meaning_of(value)
    return meaning


def encode(meaning: Meaning) -> bytes:
    """The canonical body of a frame."""
    frame = FRAME()
    fill(frame, meaning)
    return frame.SerializeToString(deterministic=True)


def decode(body: bytes) -> Meaning:
    """What stock protobuf reads in a frame's body."""
    return meaning_of(FRAME.FromString(body))


# Bytes.


def prefixed(body: bytes) -> bytes:
    """A frame with its length prefix."""
    return len(body).to_bytes(4, "big") + body


def varint(value: int) -> bytes:
    """A varint in its shortest form."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def tag(number: int, wire_type: int) -> bytes:
    """A field's tag."""
    return varint(number << 3 | wire_type)


def number_field(number: int, value: int) -> bytes:
    """A varint field, written even for 0."""
    return tag(number, 0) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A length-delimited field, written even when empty."""
    return tag(number, 2) + varint(len(value)) + value


def body(number: int, *fields: bytes, stream: int = 0) -> bytes:
    """A frame's body by its field number."""
    start = number_field(1, stream) if stream else b""
    return start + bytes_field(number, b"".join(fields))


HELLO, WELCOME, CALL, DATA, END, CANCEL, CREDIT, PING, PONG, GOAWAY = range(2, 12)
