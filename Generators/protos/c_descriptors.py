"""Renders the descriptors of all services as bytes in C."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

BYTES_A_LINE = 24


def served_descriptors(descriptors: FileDescriptorSet, root: str) -> FileDescriptorSet:
    """The files that declare services and all they import.

    Comments of files below `root` are kept, for `describe`; what a descriptor says besides the
    comments' places is not.
    """
    by_path = {file.name: file for file in descriptors.file}
    wanted = [file.name for file in descriptors.file if file.service]
    for path in wanted:
        wanted.extend(set(by_path[path].dependency) - set(wanted))
    served = FileDescriptorSet()
    for file in descriptors.file:  # an imported file stands before those that import it
        if file.name in wanted:
            served.file.append(_with_comments_alone(file, keeps=file.name.startswith(root)))
    return served


def _with_comments_alone(file: FileDescriptorProto, *, keeps: bool) -> FileDescriptorProto:
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    locations = [
        location
        for location in copy.source_code_info.location
        if keeps and (location.leading_comments or location.trailing_comments)
    ]
    copy.ClearField("source_code_info")
    copy.source_code_info.location.extend(locations)
    return copy


def render_descriptors(served: FileDescriptorSet) -> str:
    """The bytes and the functions that lead to them."""
    content = served.SerializeToString(deterministic=True)
    lines = "\n".join(
        "    " + ",".join(str(byte) for byte in content[start : start + BYTES_A_LINE]) + ","
        for start in range(0, len(content), BYTES_A_LINE)
    )
    return f"""#include <CMessages.h>

static const uint8_t content[] = {{
{lines}
}};

const uint8_t *messages_file_descriptor_set(void) {{ return content; }}

size_t messages_file_descriptor_set_bytes(void) {{ return sizeof content; }}
"""
