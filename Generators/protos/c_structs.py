"""Has protoc-gen-c make the structs and descriptors of protobuf-c.

protoc-gen-c 1.4.1 refuses proto3 `optional`, knows no custom options and declares text as `char *`,
which loses its length at U+0000. So it is given descriptors without them: an optional field is
already a oneof of one member there, and text is held as bytes.
"""

from __future__ import annotations

import os
import re
import subprocess

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from Generators.protos.errors import GeneratorError

# Options of protobuf-c/protobuf-c.proto, as they stand on the wire:
NO_PACK_HELPERS = b"\xda\x3f\x02\x10\x00"  # (pb_c_file).gen_pack_helpers = false
STRING_AS_BYTES = b"\xda\x3f\x02\x08\x01"  # (pb_c_field).string_as_bytes = true

# The files of protobuf's own that have a bridge.
BRIDGED = "google/protobuf/timestamp.proto"


def render_structs(descriptors: FileDescriptorSet, paths: list[str]) -> dict[str, str]:
    """The .pb-c.h and .pb-c.c files of `paths`, by their paths."""
    request = CodeGeneratorRequest(file_to_generate=paths)
    kept = {file.name for file in descriptors.file if file.name in {*paths, BRIDGED}}
    for file in descriptors.file:
        if file.name in kept:
            request.proto_file.append(_simplified(file, kept))
    try:
        done = subprocess.run(
            ["protoc-gen-c"],
            input=request.SerializeToString(),
            check=True,
            capture_output=True,
        )
    except FileNotFoundError as error:
        raise GeneratorError("protoc-gen-c: is not installed (protobuf-c-compiler)") from error
    except subprocess.CalledProcessError as error:
        raise GeneratorError(f"protoc-gen-c: {error.stderr.decode().strip()}") from error
    response = CodeGeneratorResponse.FromString(done.stdout)
    if response.error:
        raise GeneratorError(f"protoc-gen-c: {response.error}")
    return {file.name: _with_own_includes(file.name, file.content, paths) for file in response.file}


def _simplified(file: FileDescriptorProto, kept: set[str]) -> FileDescriptorProto:
    """The file without what protoc-gen-c does not know."""
    simple = FileDescriptorProto()
    simple.CopyFrom(file)
    if simple.extension:
        # An options file: its messages are about .proto files, its enums may be about anything.
        del simple.extension[:]
        del simple.message_type[:]
    for field in ("service", "dependency", "public_dependency", "weak_dependency"):
        simple.ClearField(field)
    simple.ClearField("source_code_info")
    simple.dependency.extend(path for path in file.dependency if path in kept)
    simple.options.Clear()
    simple.options.MergeFromString(NO_PACK_HELPERS)
    for enum in simple.enum_type:
        enum.options.Clear()
        for value in enum.value:
            value.options.Clear()
    for message in simple.message_type:
        _simplify_message(message)
    return simple


def _simplify_message(message: DescriptorProto) -> None:
    is_map_entry = message.options.map_entry
    message.options.Clear()
    if is_map_entry:  # both fields of an entry are always written: with presence, even defaults are
        for index, field in enumerate(message.field):
            field.oneof_index = index
            message.oneof_decl.add(name=f"_{field.name}")
    for enum in message.enum_type:
        enum.options.Clear()
        for value in enum.value:
            value.options.Clear()
    for field in message.field:
        packed = field.options.packed if field.options.HasField("packed") else None
        field.options.Clear()
        if packed is not None:
            field.options.packed = packed
        field.ClearField("proto3_optional")
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.options.MergeFromString(STRING_AS_BYTES)
    for nested in message.nested_type:
        _simplify_message(nested)


def _with_own_includes(name: str, content: str, paths: list[str]) -> str:
    """The file with includes that need no search path, and without its own first line."""
    folder = os.path.dirname(name)  # noqa: PTH120  (a path within the output, not on the disk)

    def include(match: re.Match[str]) -> str:
        header = match[1]
        if header.removesuffix(".pb-c.h") + ".proto" not in paths:
            return "#include <CMessages.h>"
        return f'#include "{os.path.relpath(header, folder)}"'

    content = re.sub(r'#include "([^"]+\.pb-c\.h)"', include, content)
    content = content.replace("<protobuf-c/protobuf-c.h>", "<CProtobufC.h>")
    return re.sub(r"^/\* Generated.*\*/\n", "", content, flags=re.MULTILINE).lstrip("\n")
