"""A PostgreSQL cluster for tests: a Unix socket in a short path, no TCP, no fsync."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "Sources" / "Storage" / "Migrations"
# The newest that is installed.
BINARIES = max(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
)

Connection = psycopg.Connection[dict[str, Any]]


def migration_files(direction: str) -> list[Path]:
    """Return the files of one direction in the order in which they run."""
    return sorted(MIGRATIONS.glob(f"*.{direction}.sql"), reverse=direction == "down")


@dataclass
class Cluster:
    """A running cluster; `stop` ends and removes it."""

    folder: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls) -> Cluster:
        """Make a cluster and wait until it answers. PostgreSQL refuses root: then as postgres."""
        folder = Path(tempfile.mkdtemp(prefix="nts"))
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        subprocess.run(
            [BINARIES / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust",
             "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **user,
        )  # fmt: skip
        process = subprocess.Popen(
            [BINARIES / "postgres", "-D", folder / "data", "-k", folder, "-c",
             "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **user,
        )  # fmt: skip
        cluster = cls(folder, process)
        subprocess.run(
            ["bash", "-c", f'for i in $(seq 200); do "{BINARIES}/pg_isready" -qh {folder} '
             "&& exit 0; sleep 0.05; done; exit 1"],
            check=True,
        )  # fmt: skip
        return cluster

    def stop(self) -> None:
        """End the cluster and remove its files."""
        self.process.send_signal(3)
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str, user: str = "postgres") -> Connection:
        """Open a connection that commits each statement unless a transaction is open."""
        return psycopg.connect(
            host=str(self.folder), dbname=database, user=user,
            autocommit=True, row_factory=dict_row,
        )  # fmt: skip

    def administer(self, statement: str) -> None:
        """Run one statement of the cluster's superuser."""
        with self.connect("postgres") as connection:
            connection.execute(statement)

    def create_database(self, template: str = "template1", owner: str = "postgres") -> str:
        """Make a database with a name of its own."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.administer(f"create database {name} template {template} owner {owner}")
        return name

    def migrate(
        self, database: str, direction: str, user: str = "postgres", pattern: str = ""
    ) -> None:
        """Run the migrations of one direction, each in a transaction."""
        with self.connect(database, user) as connection:
            for path in migration_files(direction):
                if re.search(pattern, path.name):
                    with connection.transaction():
                        connection.execute(path.read_text())

    def dump(self, database: str) -> str:
        """Return the schema as pg_dump writes it, without what changes from dump to dump."""
        output = subprocess.run(
            [BINARIES / "pg_dump", "-s", "-h", self.folder, "-U", "postgres", database],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        return re.sub(r"^\\(un)?restrict .*$", "", output, flags=re.MULTILINE)


def running_cluster() -> Iterator[Cluster]:
    """Yield a cluster and stop it afterwards."""
    cluster = Cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
