"""Runs protoc."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from Generators.protos.errors import GeneratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOC_VERSION = "libprotoc 3.21.12"


def check_version() -> None:
    """Refuses another protoc: its descriptors, and so what is made of them, could differ."""
    version = run(["protoc", "--version"]).strip()
    if version != PROTOC_VERSION:
        raise GeneratorError(f"protoc: is {version!r}, has to be {PROTOC_VERSION!r}")


def compile_protos(roots: Sequence[Path], paths: Sequence[str]) -> FileDescriptorSet:
    """Compiles the files at `paths` below `roots`, with all they import and their comments."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "descriptors"
        run(
            [
                "protoc",
                *(f"--proto_path={root}" for root in roots),
                f"--descriptor_set_out={output}",
                "--include_imports",
                "--include_source_info",
                *paths,
            ],
        )
        return FileDescriptorSet.FromString(output.read_bytes())


def run(command: list[str]) -> str:
    """What a program writes to its standard output."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise GeneratorError(f"{command[0]}: is not installed") from error
    except subprocess.CalledProcessError as error:
        raise GeneratorError(error.stderr.strip()) from error
    return done.stdout
