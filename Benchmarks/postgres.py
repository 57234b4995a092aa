"""A PostgreSQL cluster for the measurements, and pgbench against it."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.figures import MeasurementError, PeerMissingError, Round
from Benchmarks.processes import output_of


def programs() -> Path:
    """Where PostgreSQL's programs are."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    if not folders:
        raise PeerMissingError("PostgreSQL is not installed (package postgresql)")
    return folders[-1]


def _unprivileged() -> tuple[str, ...]:
    """What a command starts with so that PostgreSQL accepts its user: it refuses root."""
    return ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; its default settings, fsync included, so that a commit is a commit."""

    folder: Path

    @property
    def url(self) -> str:
        """How libpq finds it."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    @property
    def postmaster(self) -> int:
        """The process whose children are all others."""
        lines = (self.folder / "data/postmaster.pid").read_text(encoding="utf-8").splitlines()
        return int(lines[0])

    def query(self, statement: str, *, limit_seconds: float = 60) -> list[list[str]]:
        """Runs a statement with psql and returns its rows as text."""
        text = output_of(
            [programs() / "psql", self.url, "-XAtqF", "\t", "-c", statement],
            limit_seconds=limit_seconds,
        )
        return [line.split("\t") for line in text.splitlines()]


@contextmanager
def cluster(folder: Path, *, options: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Makes a cluster, runs it, with other settings where `options` has some, and removes it."""
    folder_of_programs = programs()
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = str(folder / "data")
    control = [*_unprivileged(), str(folder_of_programs / "pg_ctl"), "--pgdata", data, "--wait"]
    output_of(
        [
            *_unprivileged(),
            *(str(folder_of_programs / "initdb"), "--pgdata", data, "--username", "postgres"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"),
        ],
        limit_seconds=120,
    )
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=200"
    settings += "".join(f" -c {name}={value}" for name, value in (options or {}).items())
    # Its output must not be a pipe: the server keeps it open.
    subprocess.run(
        [*control, "--log", str(folder / "log"), "--options", settings, "start"],
        cwd="/",
        stdout=subprocess.DEVNULL,
        check=True,
    )
    try:
        yield Cluster(folder)
    finally:
        subprocess.run(
            [*control, "--mode", "fast", "stop"], cwd="/", stdout=subprocess.DEVNULL, check=False
        )
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Pgbench:
    """A pgbench script with prepared statements, not pipelined."""

    name: str
    url: str
    script: Path
    clients: int
    threads: int
    variables: Mapping[str, str | int]

    def measure(self, seconds: float) -> Round:
        """Runs the script by all clients."""
        command: list[str | Path] = [
            *(programs() / "pgbench", "--no-vacuum", "--protocol", "prepared"),
            *("--client", str(self.clients), "--jobs", str(self.threads)),
            *("--time", str(max(round(seconds), 1)), "--file", self.script),
            *(f"--define={name}={value}" for name, value in self.variables.items()),
            self.url,
        ]
        return parse_pgbench(output_of(command, limit_seconds=seconds + 60), self.clients)


def parse_pgbench(text: str, clients: int) -> Round:
    """Reads the rate out of pgbench's report; it takes no percentiles."""
    rate = re.search(r"^tps = ([\d.]+) \(without initial", text, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", text, re.MULTILINE)
    aborted = re.search(r"client \d+ aborted", text)
    if rate is None or aborted or (failed and int(failed[1]) > 0):
        raise MeasurementError(f"pgbench with {clients} clients had errors: {text.strip()[-300:]}")
    return Round(float(rate[1]))


def script(statements: Sequence[str], *, preamble: Sequence[str] = ()) -> str:
    """Makes a pgbench script: the preamble's commands, then each statement."""
    return "\n".join([*preamble, *(f"{statement};" for statement in statements)]) + "\n"
