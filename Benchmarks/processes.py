"""Programs that run beside the measurement, and end with it."""

import contextlib
import os
import select
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
_END_SECONDS = 10
_IDLE_SHARE = 0.25


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
    """Runs a program in the background and ends it, politely first, when the block ends.

    What it started goes with it: left behind, that would slow down what is measured next.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        with _held(family_of(process.pid) - {process.pid}) as started:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for one in started:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(one, signal.SIGKILL)
                # Readable once it has ended.
                select.select([one], [], [], _END_SECONDS)


@contextmanager
def _held(processes: set[int]) -> Iterator[list[int]]:
    """Handles of processes, which mean no other ones once these have ended."""
    with contextlib.ExitStack() as stack:
        handles: list[int] = []
        for one in processes:
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(one))
                stack.callback(os.close, handles[-1])
        yield handles


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


def wait_until_idle(process: int, *, limit_seconds: float) -> None:
    """Waits until a process and all that it started take little processor time in a second."""
    end = time.monotonic() + limit_seconds
    before = _family_seconds(process)
    while time.monotonic() < end:
        time.sleep(1)
        now = _family_seconds(process)
        if now - before < _IDLE_SHARE:
            return
        before = now
    raise MeasurementError(f"process {process} is not idle after {limit_seconds:.0f} s")


def _family_seconds(process: int) -> float:
    ticks = 0
    for one in family_of(process):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{one}/stat").read_text(encoding="utf-8", errors="replace")
            ticks += sum(int(field) for field in text.rpartition(")")[2].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def family_of(process: int) -> set[int]:
    """A process and all that it started, and these started, that are there."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    family = {process}
    while added := {one for one, parent in parents.items() if parent in family} - family:
        family |= added
    return family


def memory_of(process: int) -> int:
    """Bytes of a process and its children: pages that they share count once, in shares."""
    return sum(_proportional_bytes(one) for one in family_of(process))


def _proportional_bytes(process: int) -> int:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
    return int(fields["Pss"].split()[0]) * 1024
