"""Needletail itself: a server for the measurements, and its own load program."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.figures import MeasurementError, PeerMissingError, Round
from Benchmarks.load import parse_load
from Benchmarks.processes import ROOT, output_of, running

# What every echo carries, the peers' too.
ECHO_PAYLOAD_BYTES = 16


def binary() -> Path:
    """The release build, as Scripts/bench names it."""
    path = Path(os.environ.get("NEEDLETAIL_BINARY", ROOT / ".build/release/needletail"))
    if not path.exists():
        raise PeerMissingError(f"{path} is not built (Scripts/bench builds it)")
    return path


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    connection_file: Path

    @property
    def connection(self) -> Mapping[str, object]:
        """What the connection file says."""
        content: Mapping[str, object] = json.loads(self.connection_file.read_text("utf-8"))
        return content

    @property
    def resident_bytes(self) -> int:
        """The memory that is this process's own."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="ascii")
        fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
        kib = sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty"))
        return kib * 1024


@contextmanager
def server(
    folder: Path, *, postgres: str, port: int = 0, arguments: Sequence[str] = ()
) -> Iterator[Server]:
    """Runs `needletail up` on a PostgreSQL server until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    connection_file, log = folder / "connection.json", folder / "server.log"
    connection_file.unlink(missing_ok=True)
    command: list[str | Path] = [
        *(binary(), "up", "--data-dir", folder, "--connection-file", connection_file),
        *("--port", str(port), "--postgres", postgres, *arguments),
    ]
    with running(command, log=log) as process:
        end = time.monotonic() + 60
        while not connection_file.exists():
            if process.poll() is not None or time.monotonic() > end:
                tail = log.read_text(errors="replace").strip().splitlines()[-5:]
                raise MeasurementError("needletail up is not ready: " + " / ".join(tail))
            time.sleep(0.01)
        yield Server(process, connection_file)


@dataclass(frozen=True, slots=True)
class Load:
    """A shape of load that `needletail load` puts on a server."""

    server: Server
    kind: str
    connections: int
    in_flight: int
    loops: int = 1
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What is called, and how."""
        threads = f", {self.loops} threads" if self.loops > 1 else ""
        threads += "".join(f" {option}" for option in self.options)
        return f"needletail {self.kind}, {self.connections} × {self.in_flight}{threads}"

    def measure(self, seconds: float) -> Round:
        """Loads the server from a process beside it."""
        return parse_load(output_of(self.command(seconds), limit_seconds=seconds + 60))

    def command(self, seconds: float) -> list[str | Path]:
        """The program that does so."""
        command: list[str | Path] = [
            *(binary(), "load", self.kind, "--connection-file", self.server.connection_file),
            *("--connections", str(self.connections), "--in-flight", str(self.in_flight)),
            *("--seconds", f"{seconds:g}", "--loops", str(self.loops), "--json", *self.options),
        ]
        if self.kind == "echo":
            command += ["--payload-bytes", str(ECHO_PAYLOAD_BYTES)]
        return command
