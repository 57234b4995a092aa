"""Programs that run beside the measurement, and end with it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from Benchmarks.figures import MeasurementError, PeerMissingError

ROOT = Path(__file__).resolve().parent.parent


def program(name: str, package: str) -> str:
    """Finds a program on the PATH or where Debian puts servers, or says what to install."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise PeerMissingError(f"{name} is not installed (package {package})")
    return found


def free_port() -> int:
    """Picks a loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def output_of(command: Sequence[str | os.PathLike[str]], *, limit_seconds: float) -> str:
    """Runs a program to its end and returns what it printed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_seconds, check=True
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-5:]
        raise MeasurementError(f"{command[0]} failed: " + " / ".join(last)) from error
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{command[0]} took over {limit_seconds:.0f} s") from error
    return done.stdout


@contextmanager
def running(
    command: Sequence[str | os.PathLike[str]], *, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program in the background and ends it, politely first, when the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_listening(
    process: subprocess.Popen[bytes], port: int, *, log: Path, limit_seconds: float = 20
) -> None:
    """Waits until the port takes connections, or says what the program printed instead."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    tail = log.read_text(errors="replace").strip().splitlines()[-5:]
    raise MeasurementError(f"{process.args!r} does not listen: " + " / ".join(tail))


def cpu_seconds(process: int) -> float:
    """What a process and its children, those that have ended included, took of the processors."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if path.parent.name == str(process):
            ticks += sum(int(field) for field in fields[11:15])
        elif fields[1] == str(process):
            ticks += sum(int(field) for field in fields[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_of(process: int) -> int:
    """Bytes of a process and its children: pages that they share count once, in shares."""
    parents: dict[str, str] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parents[path.parent.name] = text.rpartition(")")[2].split()[1]
    family = {str(process)}
    while added := {one for one, parent in parents.items() if parent in family} - family:
        family |= added
    return sum(_proportional_bytes(one) for one in family)


def _proportional_bytes(process: str) -> int:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
    return int(fields["Pss"].split()[0]) * 1024
