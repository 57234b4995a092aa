"""The program under test: the server as a process, the command line as a call."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import needletail
import psycopg
from psycopg.rows import dict_row
from waiting import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("NEEDLETAIL_BINARY") or ROOT / ".build" / "debug" / "needletail")
Connection = psycopg.Connection[dict[str, Any]]


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without settings of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NEEDLETAIL_") and name not in {"DATABASE_URL", "HOME"}
    }
    # No profile of whoever runs the tests is found.
    return {**kept, "HOME": "/nonexistent", **more}


def run_program(
    *arguments: str | Path, text: str = "", seconds: float = PATIENCE_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [BINARY, *arguments], input=text, capture_output=True, text=True, timeout=seconds,
        check=False, env=clean_environment(), cwd="/",
    )  # fmt: skip


def migrate(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `needletail migrate`, which must succeed."""
    result = run_program("migrate", *arguments, "--postgres", url)
    assert result.returncode == 0, result.stderr
    return result


class Server:
    """A server process, started any number of times with the same arguments."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        """Keep the arguments; the log and the output go into a folder."""
        self.folder = folder
        self.arguments = arguments
        self.log_file = folder / "log.txt"
        self.output_file = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def launch(self) -> None:
        """Start the process; nothing is waited for."""
        self.folder.mkdir(exist_ok=True)
        self.log_file.touch()
        self._log_start = self.log_file.stat().st_size
        with self.output_file.open("wb") as output, self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *self.arguments],
                stdout=output, stderr=log, stdin=subprocess.DEVNULL, env=clean_environment(),
                cwd="/", start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        """Start the process and wait until it serves."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the process that was launched serves."""
        wait_until("the server serves", self._is_ready_or_dead)
        assert self.process is not None
        assert self.process.poll() is None, self.log

    def _is_ready_or_dead(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            return True
        return any(entry["message"] == "serving" for entry in self.entries(latest=True))

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the process as a crash does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end of the process and return its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> int:
        """Ask the process to stop and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def discard(self) -> None:
        """End whatever is left; for the end of a test."""
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def log(self) -> str:
        """Everything it wrote to its log, over all starts."""
        return self.log_file.read_text()

    def entries(self, *, latest: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the log's entries, of all starts or of the latest."""
        for line in self.log_file.read_bytes()[self._log_start if latest else 0 :].splitlines():
            # The last line may be half written.
            with contextlib.suppress(ValueError):
                if line.startswith(b"{"):
                    yield json.loads(line)

    def logged(self, message: str) -> dict[str, Any]:
        """Wait until an entry of the latest start has this text in its message; return it."""
        return self.logged_where(repr(message), lambda entry: message in entry["message"])

    def logged_where(self, what: str, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until an entry of the latest start is the one that is meant; return it."""
        return wait_until(
            f"{what} is logged",
            lambda: next((entry for entry in self.entries(latest=True) if is_it(entry)), None),
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.logged("serving")["port"])

    def page(self, path: str) -> tuple[int, str]:
        """Get a page of its operations port."""
        port = self.logged("serving")["operations_port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class UpServer(Server):
    """`needletail up`, with a private PostgreSQL unless a URL is given."""

    def __init__(self, folder: Path, *options: str, postgres: str | None = None) -> None:
        """Keep the options; the data goes into a folder, too."""
        self.data = folder / "data"
        self.connection_file = folder / "connection.json"
        self.postgres_url = postgres
        more = ["--postgres", postgres] if postgres else []
        super().__init__(
            folder, "up", "--data-dir", self.data, "--port", "0", "--connection-file",
            self.connection_file, *more, *options,
        )  # fmt: skip

    @property
    def connection(self) -> dict[str, Any]:
        """What the connection file holds."""
        return json.loads(self.connection_file.read_text())

    def wait_until_ready(self) -> None:
        """Wait until the process that was launched has said how to connect."""
        super().wait_until_ready()
        wait_until("it says how to connect", lambda: "ready" in self.output_file.read_text())

    @property
    def database_url(self) -> str:
        """The URL of its database, for the superuser."""
        if self.postgres_url:
            return self.postgres_url
        sockets = self.data / "postgres" / "run"
        return f"postgresql:///needletail?host={sockets}&user=needletail"

    def client(self) -> needletail.Client:
        """Connect the SDK with its first key."""
        found = self.connection
        return needletail.connect(
            f"needletail://{found['address']}:{found['port']}",
            api_key=found["api_key"],
            ca_file=found["ca_file"],
        )

    def sql(self) -> Connection:
        """Open a connection to its database that commits each statement."""
        return connect_sql(self.database_url)

    @property
    def postmaster(self) -> int | None:
        """The process of its private PostgreSQL, as PostgreSQL says."""
        try:
            lines = (self.data / "postgres/data/postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return int(lines[0]) if lines else None

    def discard(self) -> None:
        """End the process, and a PostgreSQL that it left behind."""
        super().discard()
        pid = self.postmaster
        if pid is None or not self._is_postgres(pid):
            return
        os.kill(pid, signal.SIGINT)
        wait_until("PostgreSQL has ended", lambda: not self._is_postgres(pid))

    def _is_postgres(self, pid: int) -> bool:
        try:
            place = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return False
        return place == (self.data / "postgres/data").resolve()


def peak_memory(process: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def connect_sql(url: str) -> Connection:
    """Open a connection that commits each statement unless a transaction is open."""
    return psycopg.connect(url, autocommit=True, row_factory=dict_row)


def new_folder() -> Path:
    """Make a folder that PostgreSQL's user may enter, with a path short enough for a socket."""
    assert BINARY.exists(), f"no {BINARY}: build the product needletail, or set NEEDLETAIL_BINARY"
    folder = Path(tempfile.mkdtemp(prefix="nte", dir="/tmp"))
    folder.chmod(0o755)
    return folder


def remove(folder: Path) -> None:
    """Remove a folder and everything in it."""
    shutil.rmtree(folder, ignore_errors=True)
