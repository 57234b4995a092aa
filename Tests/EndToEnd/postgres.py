"""A PostgreSQL cluster that a test may stop, start and starve."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from program import Connection, connect_sql
from waiting import wait_until

# The newest that is installed.
BINARIES = max(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
)


class Cluster:
    """A cluster on a Unix socket in a folder of its own."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self._options = [part for setting in settings for part in ("-c", setting)]
        self._process: subprocess.Popen[bytes] | None = None
        self.user: dict[str, Any] = {}
        folder.mkdir()
        # PostgreSQL refuses to run as root.
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        subprocess.run(
            [BINARIES / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E",
             "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **self.user,
        )  # fmt: skip

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder), safe='')}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [BINARIES / "postgres", "-D", self.folder / "data", "-k", self.folder, "-c",
             "listen_addresses=", "-c", "fsync=off", *self._options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **self.user,
        )  # fmt: skip
        wait_until("PostgreSQL answers", self._answers)

    def stop(self) -> None:
        """Stop it at once, as a crash does: clients are cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def _answers(self) -> bool:
        try:
            with connect_sql(self.url()):
                return True
        except psycopg.OperationalError:
            return False


def create_database(cluster_url: str) -> str:
    """Make an empty database beside the one of a URL and return its URL."""
    name = f"e2e_{uuid.uuid4().hex[:12]}"
    with connect_sql(cluster_url) as sql:
        sql.execute(f"create database {name}")
    head, _, query = cluster_url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def drop_database(cluster_url: str, url: str) -> None:
    """Drop what `create_database` made, and whoever is connected."""
    name = url.partition("?")[0].rpartition("/")[2]
    with connect_sql(cluster_url) as sql:
        sql.execute(f"drop database if exists {name} with (force)")


def lock_waits(sql: Connection) -> list[dict[str, Any]]:
    """List the server's connections that wait for a lock."""
    return sql.execute(
        "select pid, state, wait_event_type, query from pg_stat_activity"
        " where datname = current_database() and application_name = 'needletail'"
        " and wait_event_type = 'Lock'"
    ).fetchall()
