"""Has protoc-gen-swift make the messages of swift-protobuf, the peer that tests compare with.

Its plugin takes a while to build, so this is done by hand when a .proto changes:
`Scripts/generate peers`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from Generators.protos.compiler import check_version, run
from Generators.protos.errors import GeneratorError
from Generators.protos.output import update, with_header
from Generators.protos.plan import FRAMES, MAIN, SAMPLES

FOLDER = "Tests/SwiftProtobufMessages/Generated"


def main(arguments: list[str]) -> int:
    """Generates with the plugin at the path that is given; returns the exit code."""
    root = Path(__file__).resolve().parent.parent.parent
    plugin = Path(arguments[0]) if arguments else root / ".build/debug/protoc-gen-swift"
    try:
        check_version()
        files = render(root, plugin)
    except GeneratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in update(root, files, [FOLDER], check=False):
        print(f"wrote {path}")
    return 0


def render(root: Path, plugin: Path) -> dict[str, str]:
    """The files of all products by their paths below `root`."""
    folders = [root / product.protos for product in (MAIN, SAMPLES)]
    sources = {
        path.relative_to(folder).as_posix(): path.relative_to(root).as_posix()
        for folder in folders
        for path in folder.rglob("*.proto")
    }
    del sources[FRAMES]
    files = {}
    with tempfile.TemporaryDirectory() as output:
        run(
            [
                "protoc",
                f"--plugin=protoc-gen-swift={plugin.resolve()}",
                "--swift_opt=Visibility=Public,UseAccessLevelOnImports=true",
                f"--swift_out={output}",
                *(f"--proto_path={folder}" for folder in folders),
                *sorted(sources),
            ],
        )
        for target in Path(output).rglob("*.swift"):
            path = target.relative_to(output).as_posix()
            source = sources[path.removesuffix(".pb.swift") + ".proto"]
            content = target.read_text(encoding="utf-8")
            name = f"{FOLDER}/{target.name}"
            files[name] = with_header(name, source, content)
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
