"""Run as `python3 -m Generators.protos` from anywhere in the repository."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from Generators.protos.compiler import check_version
from Generators.protos.errors import GeneratorError
from Generators.protos.output import update
from Generators.protos.plan import MAIN, SAMPLES, render_product


def main(arguments: list[str]) -> int:
    """Generates; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m Generators.protos",
        description="Makes C, Swift and pages from the .proto files; writes what has changed.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when something would change"
    )
    parser.add_argument(
        "--no-stubs", action="store_true", help="leave out the handlers and clients of services"
    )
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent.parent
    return generate(root, check=options.check, stubs=not options.no_stubs)


def generate(root: Path, *, check: bool, stubs: bool) -> int:
    """Writes, or names, the files below `root` that differ; returns the exit code."""
    try:
        check_version()
        files: dict[str, str] = {}
        for product in (MAIN, SAMPLES):
            files |= render_product(root, product, root / MAIN.protos, stubs=stubs)
        changed = update(root, files, _folders(root, stubs=stubs), check=check)
    except GeneratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in changed:
        print(f"{'would change' if check else 'wrote'} {path}")
    return 1 if check and changed else 0


def _folders(root: Path, *, stubs: bool) -> list[str]:
    """Where files that are no longer made are looked for."""
    folders = [SAMPLES.c_folder, SAMPLES.swift_folder, MAIN.c_folder, MAIN.swift_folder]
    if stubs:
        found = root.glob("Sources/*/Generated")
        folders += [folder.relative_to(root).as_posix() for folder in found]
    return sorted(set(folders))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
