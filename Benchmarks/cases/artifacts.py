"""A gigabyte over TLS to and from the local store, beside nginx with the same file.

Our client is the command line, which also takes the file's SHA-256 and writes a download to a file
that is renamed at its end; nginx's is curl, which does neither. What ours acknowledges is on disk;
nginx leaves that to the kernel, so that a second line has the file synced behind its PUT.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.cases import Case, Outcome, Peer, Settings, compare
from Benchmarks.certificate import Certificate
from Benchmarks.figures import Contender, Round
from Benchmarks.postgres import cluster
from Benchmarks.processes import free_port, output_of, program, running, wait_until_listening
from Benchmarks.server import Load, binary, server

FILE_BYTES = 1 << 30
_LIMIT_SECONDS = 300.0
_GOAL = 0.7

_CONFIGURATION = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes {workers};
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl reuseport;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    root {folder}/files;
    location / {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moves the file again and again; a second's figure is MiB."""

    name: str
    command: Callable[[], Sequence[str | Path]]
    # Where a download goes: a file that is not there yet.
    target: Path | None = None

    def measure(self, seconds: float) -> Round:
        """Moves it until the round is over, at least once."""
        taken = 0.0
        count = 0
        while count == 0 or taken < seconds:
            if self.target is not None:
                self.target.unlink(missing_ok=True)
            begin = time.monotonic()
            output_of(self.command(), limit_seconds=_LIMIT_SECONDS)
            taken += time.monotonic() - begin
            count += 1
        return Round(count * FILE_BYTES / (1 << 20) / taken)


def _make_file(path: Path) -> Path:
    """Writes bytes that no two pieces of are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size != FILE_BYTES:
        with path.open("wb") as file:
            for _ in range(FILE_BYTES >> 24):
                file.write(os.urandom(1 << 24))
    return path


@contextmanager
def _nginx(settings: Settings, *, is_upload: bool, is_synced: bool = False) -> Iterator[Contender]:
    executable, curl = program("nginx", "nginx-light"), program("curl", "curl")
    folder = settings.work / f"nginx-{'up' if is_upload else 'down'}{'-synced' * is_synced}"
    folder.mkdir(parents=True)
    source = _make_file(settings.work / "source.bin")
    (folder / "files").mkdir()
    os.link(source, folder / "files/source.bin")
    made = Certificate.make(folder)
    port = free_port()
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            folder=folder, port=port, workers=settings.cores, certificate=made.certificate,
            key=made.key,
        ),
        encoding="utf-8",
    )  # fmt: skip
    log = folder / "nginx.log"
    command: list[str | Path] = [executable, "-c", folder / "nginx.conf", "-p", folder]
    with running(command, log=log) as process:
        wait_until_listening(process, port, log=log)
        base = [curl, "--silent", "--show-error", "--fail", "--insecure"]
        url = f"https://127.0.0.1:{port}"
        put: list[str | Path] = [*base, "-T", source, f"{url}/sent.bin"]
        if is_synced:
            synced = ["sh", "-c", 'file=$1; shift; "$@" && sync --data "$file"', "sh"]
            sent = folder / "files/sent.bin"
            yield Transfer("nginx, PUT and sync", lambda: [*synced, sent, *put])
        elif is_upload:
            yield Transfer("nginx, PUT", lambda: put)
        else:
            target = folder / "copy.bin"
            get: list[str | Path] = [*base, "-o", target, f"{url}/source.bin"]
            yield Transfer("nginx, GET", lambda: get, target)


@contextmanager
def _ours(settings: Settings, *, is_upload: bool) -> Iterator[Contender]:
    folder = settings.work / f"ours-{'up' if is_upload else 'down'}"
    source = _make_file(settings.work / "source.bin")
    with (
        cluster(settings.work / f"pg-{'up' if is_upload else 'down'}") as database,
        server(folder, postgres=database.url) as started,
    ):
        Load(started, "create-run", 1, 1).measure(0.5)
        run_id = database.query("select id from runs limit 1")[0][0]
        connection: list[str | Path] = ["--connection-file", started.connection_file]
        send: list[str | Path] = [
            *(binary(), "artifacts", "upload", *connection),
            *(run_id, source, "large.bin"),
        ]
        if is_upload:
            yield Transfer("needletail artifacts upload", lambda: send)
            return
        sent = json.loads(output_of([*send, "--json", "path"], limit_seconds=_LIMIT_SECONDS))
        target = folder / "copy.bin"
        fetch: list[str | Path] = [
            *(binary(), "artifacts", "download", *connection),
            *(run_id, str(sent["path"]), "--to", target),
        ]
        yield Transfer("needletail artifacts download", lambda: fetch, target)


def _case(name: str, title: str, *, is_upload: bool) -> Case:
    def run(settings: Settings, outcome: Outcome) -> None:
        peers = [Peer(lambda: _nginx(settings, is_upload=is_upload), _GOAL)]
        if is_upload:
            peers.append(Peer(lambda: _nginx(settings, is_upload=True, is_synced=True), _GOAL))
        compare(settings, outcome, lambda: _ours(settings, is_upload=is_upload), peers)
        outcome.notes.append("figures are MiB a second")
        if is_upload:
            outcome.notes.append(
                "ours answers when the file is on disk; nginx's PUT alone does not"
            )

    return Case(name, title, run)


CASES = (
    _case("artifact-up", "1 GiB to the local store over TLS", is_upload=True),
    _case("artifact-down", "1 GiB from the local store over TLS", is_upload=False),
)
