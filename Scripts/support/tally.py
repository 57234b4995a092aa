"""Sums up the parts of a test run: the runners' own closing lines, then `N passed, N failed`."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

CLOSING_LINE = re.compile(r"Test run with \d+ test|^=*.*\d+ (passed|failed|error|skipped).* in ")


@dataclass(frozen=True, slots=True)
class Part:
    """What one runner left behind in the folder of the run."""

    name: str
    status: int
    closing_line: str
    passed: int
    failed: int

    @classmethod
    def read(cls, folder: Path, name: str) -> "Part":
        """Reads the status, the log and the JUnit reports of a part."""
        status = int((folder / f"{name}.status").read_text(encoding="utf-8"))
        lines = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        closing = [line for line in lines if CLOSING_LINE.search(line)]
        passed = failed = 0
        for report in sorted(folder.glob(f"{name}*.xml")):
            for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own file
                if case.find("failure") is not None or case.find("error") is not None:
                    failed += 1
                elif case.find("skipped") is None:
                    passed += 1
        if status != 0 and failed == 0:
            failed = 1  # a part that broke before, or beside, its tests
        return cls(name, status, closing[-1] if closing else "no tests ran", passed, failed)


def main(arguments: list[str]) -> int:
    """Prints a line a part and the sum; the exit status says whether all passed."""
    folder = Path(arguments[0])
    parts = [Part.read(folder, name) for name in arguments[1:]]
    for part in parts:
        note = "" if part.status == 0 else f"  (exit status {part.status})"
        print(f"{part.name:<11} {part.closing_line}{note}")
    passed = sum(part.passed for part in parts)
    failed = sum(part.failed for part in parts)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
