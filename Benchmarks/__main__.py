"""Measures the cases and prints the table: `python3 -m Benchmarks`, as Scripts/bench does."""

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from Benchmarks.cases import (
    Case,
    Outcome,
    Settings,
    artifacts,
    attackers,
    audit_listing,
    audited,
    beside_mlflow,
    decisions,
    echo,
    footprint,
    history,
    ingest,
    logins,
    metric_reads,
    mlflow_plugin,
    runs,
    search,
    watching,
)
from Benchmarks.figures import MeasurementError, PeerMissingError
from Benchmarks.processes import ROOT
from Benchmarks.report import lines, machine, write_json

CASES: tuple[Case, ...] = (
    *echo.CASES,
    *runs.CASES,
    *audited.CASES,
    *audit_listing.CASES,
    *search.CASES,
    *decisions.CASES,
    *ingest.CASES,
    *attackers.CASES,
    *artifacts.CASES,
    *logins.CASES,
    *metric_reads.CASES,
    *history.CASES,
    *beside_mlflow.CASES,
    *mlflow_plugin.CASES,
    *watching.CASES,
    *footprint.CASES,
)
# Without a server there is nothing to compare with on its database.
_PEERS_ONLY_CASES = {case.name for case in echo.CASES}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Scripts/bench", description=__doc__)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--pairs", type=int, default=10, help="rounds of each contender")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a round")
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    parser.add_argument("--peers-only", action="store_true", help="measure the peers alone")
    parser.add_argument("--json", type=Path, default=ROOT / "Benchmarks/results/latest.json")
    parser.add_argument("--list", action="store_true", help="print the cases")
    return parser.parse_args()


def _run(case: Case, settings: Settings) -> tuple[Outcome, bool]:
    """Runs a case; whether it could be measured at all."""
    outcome = Outcome(case.name, case.title)
    try:
        case.run(replace(settings, work=settings.work / case.name), outcome)
    except (MeasurementError, PeerMissingError, OSError) as error:
        outcome.notes.append(f"not measured: {error}")
        return outcome, False
    return outcome, True


def main() -> int:
    """Runs what was asked for; the exit status says whether all of it could be measured."""
    arguments = _arguments()
    if arguments.list:
        for case in CASES:
            print(f"{case.name:<16} {case.title}")
        return 0
    chosen = arguments.case or [
        case.name for case in CASES if not arguments.peers_only or case.name in _PEERS_ONLY_CASES
    ]
    work = Path(tempfile.mkdtemp(prefix="needletail-bench-", dir="/tmp"))
    work.chmod(0o755)  # path, since a Unix socket's is bounded, that PostgreSQL's user may enter
    settings = Settings(
        work=work,
        pairs=1 if arguments.quick else max(arguments.pairs, 1),
        seconds=1.0 if arguments.quick else max(arguments.seconds, 1.0),
        cores=os.cpu_count() or 1,
        is_peers_only=arguments.peers_only,
    )
    print("  ".join(f"{name} {value}" for name, value in machine().items()))
    outcomes: list[Outcome] = []
    all_measured = True
    try:
        for case in CASES:
            if case.name in chosen:
                outcome, is_measured = _run(case, settings)
                outcomes.append(outcome)
                all_measured &= is_measured
                print("", *lines(outcome), sep="\n", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    write_json(arguments.json, outcomes, settings)
    print(f"\nAs JSON: {arguments.json}")
    return 0 if all_measured else 1


if __name__ == "__main__":
    sys.exit(main())
