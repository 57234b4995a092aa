"""What the scripts make of the runners they call."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidy.repository import ROOT

TALLY = ROOT / "Scripts/support/tally.py"
REPORT = """<testsuites><testsuite>
<testcase name="a" /><testcase name="b"><skipped>no</skipped></testcase>
{failure}</testsuite></testsuites>"""
FAILURE = '<testcase name="c"><failure message="no" /></testcase>'


def run_tally(folder: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, TALLY, folder, *parts]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def leave(folder: Path, name: str, log: str, *, status: int = 0, report: str = "") -> None:
    (folder / f"{name}.status").write_text(f"{status}\n")
    (folder / f"{name}.log").write_text(log)
    if report:
        (folder / f"{name}.xml").write_text(report)


def test_the_sum_of_all_parts_is_the_last_line(tmp_path: Path) -> None:
    swift = "noise\n✔ Test run with 2 tests in 1 suite passed after 0.1 seconds.\n"
    leave(tmp_path, "swift", swift, report=REPORT.format(failure=""))
    leave(
        tmp_path, "python", "..\n1 passed, 1 skipped in 0.10s\n", report=REPORT.format(failure="")
    )
    answer = run_tally(tmp_path, "swift", "python")
    assert answer.returncode == 0
    assert answer.stdout.splitlines() == [
        "swift       ✔ Test run with 2 tests in 1 suite passed after 0.1 seconds.",
        "python      1 passed, 1 skipped in 0.10s",
        "2 passed, 0 failed",
    ]


@pytest.mark.parametrize(
    ("failure", "sums"), [(FAILURE, "1 passed, 1 failed"), ("", "1 passed, 1 failed")]
)
def test_a_part_that_failed_or_broke_fails_the_run(tmp_path: Path, failure: str, sums: str) -> None:
    leave(tmp_path, "swift", "error: crashed\n", status=1, report=REPORT.format(failure=failure))
    answer = run_tally(tmp_path, "swift")
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1] == sums
    assert "(exit status 1)" in answer.stdout
