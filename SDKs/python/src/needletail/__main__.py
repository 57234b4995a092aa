"""`python -m needletail sync`: sends what earlier processes left in the spool."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from needletail._runs.run import default_spool_folder
from needletail._runs.sync import sync
from needletail.client import connect
from needletail.errors import NeedletailError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 = nothing is left, 1 = something is, 2 = a bad command line."""
    parser = argparse.ArgumentParser(prog="python -m needletail")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("sync", help="send what earlier processes left in the spool")
    command.add_argument(
        "--spool-dir", default=str(default_spool_folder()), help="default: %(default)s"
    )
    command.add_argument("--profile", help="name of a stored profile")
    command.add_argument(
        "--timeout-seconds", type=float, default=300.0, help="default: %(default)s"
    )
    chosen = parser.parse_args(arguments)
    try:
        with connect(profile=chosen.profile) as client:
            reports = sync(
                spool_dir=chosen.spool_dir, client=client, timeout_seconds=chosen.timeout_seconds
            )
    except NeedletailError as error:
        sys.stderr.write(f"needletail: {error}\n")
        return 1
    for report in reports:
        run = report.run_id or "(not created)"
        line = f"run {run}: {report.sent_points:,} points sent, {report.unsent_points:,} left"
        line += f", {report.refused_points:,} refused" if report.refused_points else ""
        line += f", {report.damaged_records} damaged records" if report.damaged_records else ""
        line += f": {report.problem} ({report.folder})" if report.problem else ""
        sys.stdout.write(f"{line}\n")
    if not reports:
        sys.stdout.write("nothing is left to send\n")
    return 1 if any(report.problem for report in reports) else 0


def sync_main() -> int:
    """Runs `needletail-sync`: the same, in one word."""
    return main(["sync", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
