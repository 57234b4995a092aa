"""Programs beside this file that use the Python SDK, each a process as a job would be."""

import json
import os
import subprocess
import sys
from pathlib import Path

from Benchmarks.figures import MeasurementError, PeerMissingError
from Benchmarks.processes import ROOT
from Benchmarks.server import Server

_PYTHON = ROOT / ".venv/bin/python"
_SDK = ROOT / "SDKs/python/src"


def times(program: str, started: Server, work: Path, *arguments: int) -> dict[str, list[float]]:
    """What a program measured on a server, by what."""
    python = _PYTHON if _PYTHON.exists() else Path(sys.executable)
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(_SDK),
        "NEEDLETAIL_CONNECTION_FILE": str(started.connection_file),
        "NEEDLETAIL_SPOOL_DIR": str(work / "spool"),
    }
    command = [str(python), str(Path(__file__).with_name(program)), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        if "ModuleNotFoundError" in last:
            raise PeerMissingError(last)
        raise MeasurementError(f"{program} failed: {last}")
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found
