"""Which files are made of which .proto files."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from Generators.protos.c_descriptors import render_descriptors, served_descriptors
from Generators.protos.c_shapes import render_shapes, render_shapes_header
from Generators.protos.c_structs import BRIDGED, render_structs
from Generators.protos.compiler import compile_protos
from Generators.protos.load import load_model
from Generators.protos.names import swift_file, swift_target
from Generators.protos.output import with_header
from Generators.protos.pages import render_errors_page, render_methods_page
from Generators.protos.rules import check_model
from Generators.protos.swift_messages import render_file
from Generators.protos.swift_methods import render_methods, render_reasons
from Generators.protos.swift_services import render_client, render_handlers
from Generators.protos.swift_types import SwiftTypes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    from Generators.protos.model import File, Model

# Its frames have a codec of their own, in Wire; only the codes are read from it.
FRAMES = "needletail/rpc/v1/frame.proto"


@dataclass(frozen=True, slots=True)
class Product:
    """A set of .proto files, and where what is made of it goes."""

    protos: str
    """The folder of the .proto files, below the root."""
    c_folder: str
    swift_folder: str
    header: str
    """The C header of all structs and shapes, in `c_folder`."""
    swift_imports: str
    is_main: bool
    """Has the bridged files of protobuf's own, the services, the descriptors and the pages."""


MAIN = Product(
    protos="Protos",
    c_folder="Sources/CMessages/Generated",
    swift_folder="Sources/Messages/Generated",
    header="messages.h",
    swift_imports="internal import CMessages",
    is_main=True,
)

SAMPLES = Product(
    protos="Tests/Protos",
    c_folder="Tests/CMessagesSamples/Generated",
    swift_folder="Tests/MessagesTests/Generated",
    header="samples.h",
    swift_imports="internal import CMessages\ninternal import CMessagesSamples\n"
    "@testable internal import Messages",
    is_main=False,
)


def render_product(root: Path, product: Product, library: Path, *, stubs: bool) -> dict[str, str]:
    """Every file of a product with its header, by its path below `root`.

    `library` is the folder of the .proto files that any other may import.
    """
    folder = root / product.protos
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))
    roots = list(dict.fromkeys([folder, library]))
    descriptors = compile_protos(roots, [*paths, FRAMES] if FRAMES not in paths else paths)
    if product.is_main and any(file.name == BRIDGED for file in descriptors.file):
        paths.append(BRIDGED)
    model = load_model(descriptors, [path for path in paths if path != FRAMES])
    own = [file for file in model.files if file.path != BRIDGED]
    check_model(model, [file.path for file in own])
    files = dict(_render_c(product, model, descriptors))
    for file in own:
        files |= _render_swift(product, file, SwiftTypes(model), stubs=stubs)
    if product.is_main:
        files["Docs/methods.md"] = with_header(
            "methods.md", f"{product.protos}/", render_methods_page(model)
        )
        files["Docs/errors.md"] = with_header(
            "errors.md", f"{product.protos}/", render_errors_page(model)
        )
    return files


def _render_c(
    product: Product,
    model: Model,
    descriptors: FileDescriptorSet,
) -> Iterator[tuple[str, str]]:
    """The files in C."""

    def named(name: str, content: str, source: str = "") -> tuple[str, str]:
        path = f"{product.c_folder}/{name}"
        return path, with_header(path, f"{product.protos}/{source}", content)

    paths = [
        file.path
        for file in model.files
        if file.messages or any(not enum.is_error_reason for enum in file.enums)
    ]
    structs = render_structs(descriptors, paths)
    for name, content in structs.items():
        yield named(name, content, posixpath.splitext(posixpath.splitext(name)[0])[0] + ".proto")
    headers = sorted(name for name in structs if name.endswith(".h"))
    yield named(product.header, render_shapes_header(model, headers, is_main=product.is_main))
    yield named("shapes.c", render_shapes(model, product.header))
    if product.is_main:
        served = served_descriptors(descriptors, "needletail/")
        yield named("descriptors.c", render_descriptors(served))


def _render_swift(
    product: Product,
    file: File,
    types: SwiftTypes,
    *,
    stubs: bool,
) -> dict[str, str]:
    """The files in Swift that are made of one .proto file."""
    found: dict[str, str] = {}
    values = render_file(file, types, product.swift_imports)
    if values:
        if not product.is_main:  # tests see the bridge by @testable, so nothing of theirs is public
            values = re.sub(r"^( *)public ", r"\1", values, flags=re.MULTILINE)
        found[f"{product.swift_folder}/{swift_file(file.path)}.swift"] = values
    if product.is_main:
        for service in file.services:
            found[f"{product.swift_folder}/{service.name}Methods.swift"] = render_methods(service)
        for enum in file.enums:
            if enum.is_error_reason:
                path = f"{product.swift_folder}/{enum.name}.swift"
                found[path] = render_reasons(enum, types.model)
        if stubs:
            found |= _render_stubs(file, types)
    source = f"{product.protos}/{file.path}"
    return {path: with_header(path, source, content) for path, content in found.items()}


def _render_stubs(file: File, types: SwiftTypes) -> dict[str, str]:
    """Both sides of the services of a file."""
    target = swift_target(file.package)
    found = {}
    for service in file.services:
        handlers = f"Sources/{target}/Generated/{service.name}Handlers.swift"
        found[handlers] = render_handlers(file, service, types)
        client = f"Sources/Client/Generated/{service.name}Client.swift"
        found[client] = render_client(service, types)
    return found
