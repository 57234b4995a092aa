"""Writes Sources/Storage/Generated/EmbeddedMigrations.swift from Sources/Storage/Migrations.

Usage: python3 -m Generators.migrations [--check]

  --check   change nothing; exit 1 when the file is not what it would be
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from Generators.migrations.embed import TARGET, embedded

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(prog="Generators.migrations", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    arguments = parser.parse_args()
    target = ROOT / TARGET
    try:
        wanted = embedded(ROOT)
    except ValueError as error:
        print(f"Generators.migrations: {error}", file=sys.stderr)
        return 1
    if target.is_file() and target.read_text(encoding="utf-8") == wanted:
        return 0
    if arguments.check:
        print(f"{TARGET} is not current; run Scripts/generate", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(wanted, encoding="utf-8")
    print(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
