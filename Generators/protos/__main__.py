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
        "--check", action="store_true", help="write nothing; exit 1 when something would change")
    parser.add_argument(
        "--no-stubs", action="store_true", help="leave out the handlers and clients of services")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent.parent
    try:
        check_version()
        files: dict[str, str] = {}
        for product in (MAIN, SAMPLES):
            files |= render_product(root, product, stubs=not options.no_stubs)
        folders = [folder for product in (MAIN, SAMPLES) for folder in product.folders]
        changed = update(root, files, folders, check=options.check)
    except GeneratorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in changed:
        print(f"{'would change' if options.check else 'wrote'} {path}")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
