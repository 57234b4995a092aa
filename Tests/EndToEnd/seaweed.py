"""A SeaweedFS server, whose S3 artifacts are kept in, and faults on the way to it."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from authority import Authority
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

ACCESS_KEY, SECRET, BUCKET = "tests", "not-a-secret", "files"
# What is still there then has been forgotten by whoever started it.
LIFE_SECONDS = 3_600


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listened on a moment ago."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in made]


def program() -> Path:
    """Return SeaweedFS's program, which a package of Python brings."""
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    assert found is not None, "weed is missing: Scripts/setup test brings it"
    return Path(found)


def keys_file(path: Path, secret: str = SECRET) -> Path:
    """Write the keys as the AWS command line has them."""
    path.touch(mode=0o600)
    path.write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {secret}\n"
    )
    return path


class Seaweed:
    """A server that may be killed and started again on what it has on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.authority = Authority(folder)
        pair = self.authority.pair("seaweed")
        self.keys_file = keys_file(folder / "keys")
        self.port, self.https_port, *ports = free_ports(9)
        names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                 "filer.port", "filer.port.grpc", "s3.port.grpc")  # fmt: skip
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        self._command = [
            "timeout", "--signal=KILL", str(LIFE_SECONDS), str(program()), "server",
            f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
            f"-s3.config={folder / 's3.json'}", f"-s3.port={self.port}", "-s3.port.iceberg=0",
            "-s3.port.lance=0", "-s3.domainName=localhost", "-master.telemetry=false",
            "-master.volumeSizeLimitMB=256", "-volume.max=40",
            # One that starts again waits for as long before it leads.
            "-master.electionTimeout=1s", "-master.heartbeatInterval=100ms",
            *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
            f"-s3.port.https={self.https_port}", f"-s3.cert.file={pair.certificate}",
            f"-s3.key.file={pair.key}",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it has the bucket."""
        with (self.folder / "log").open("ab") as log:
            # Its own session: `timeout` and the server end as one.
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip
        wait_until("SeaweedFS keeps objects", self._keeps_objects)

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None and self._process.poll() is None

    def _keeps_objects(self) -> bool:
        """Say whether an object can be put, had and removed.

        It answers before it can do that: parts of it wait for one another, and requests that come
        too early may hang, which is why each attempt is short.
        """
        assert self.is_running, (self.folder / "log").read_text()[-4_000:]
        # Of one that is there already, making it is refused.
        self.ask("PUT", f"/{BUCKET}", seconds=2)
        return (
            self.put("ready", "yes", seconds=2)
            and self.ask("GET", f"/{BUCKET}/ready", "--fail", seconds=2) == "yes"
            and self.ask("DELETE", f"/{BUCKET}/ready", "--fail", seconds=2) is not None
        )

    def put(self, key: str, content: str, seconds: int = 30) -> bool:
        """Write an object; say whether that succeeded."""
        # SeaweedFS compares the body's digest, which this curl does not send by itself.
        digest = hashlib.sha256(content.encode()).hexdigest()
        answer = self.ask(
            "PUT", f"/{BUCKET}/{quote(key)}", "--fail", "--data-binary", content,
            "--header", "content-type: text/plain", "--header", f"x-amz-content-sha256: {digest}",
            seconds=seconds,
        )  # fmt: skip
        return answer is not None

    def ask(self, method: str, path: str, *options: str, seconds: int = 30) -> str | None:
        """Send a request, signed by curl; return the answer's body, None where it failed."""
        result = subprocess.run(
            ["curl", "--silent", "--max-time", str(seconds), "--aws-sigv4", "aws:amz:us-east-1:s3",
             "--user", f"{ACCESS_KEY}:{SECRET}", "-X", method, *options, self.endpoint + path],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return result.stdout if result.returncode == 0 else None

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of every object."""
        text = self.ask("GET", f"/{BUCKET}/?list-type=2&prefix={quote(prefix, safe='')}", "--fail")
        assert text is not None
        assert "<IsTruncated>true" not in text
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None and self._process.poll() is None:
            # `timeout` passes on what it is sent, except for SIGKILL.
            subprocess.run(["kill", "-KILL", "--", f"-{self._process.pid}"], check=False)
            self._process.wait(30)

    def settings(self, endpoint: str | None = None, **more: str) -> list[str]:
        """Return the options of a server that keeps its artifacts here."""
        values = {
            "artifact-store": "s3",
            "artifact-s3-endpoint": endpoint or self.endpoint,
            "artifact-s3-bucket": BUCKET,
            # A prefix belongs to one installation: it removes what it knows nothing of.
            "artifact-s3-prefix": f"of/tests/{uuid.uuid4()}/",
            "artifact-s3-credentials-file": str(self.keys_file),
            "artifact-s3-segment-bytes": str(5 << 20),
            **{f"artifact-{name.replace('_', '-')}": value for name, value in more.items()},
        }
        return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


class Fault:
    """What happens to a request instead of being passed on as it is."""

    def __init__(
        self, *, status: int = 0, code: str = "", alter: str = "", hold: bool = False
    ) -> None:
        self.status, self.code, self.alter, self.hold = status, code, alter, hold


class Relay:
    """Passes requests on to SeaweedFS; `fault` says which of them something happens to."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.fault: Callable[[str, str], Fault | None]
        self.heal()
        self.seen: list[tuple[str, str]] = []
        self.released = threading.Event()
        handler = type("Handler", (_RelayHandler,), {"relay": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def heal(self) -> None:
        """Let nothing happen to requests any more."""
        self.fault = lambda _method, _path: None

    def fail_once(self, is_it: Callable[[str, str], bool], fault: Fault) -> None:
        """Let something happen to the first request that is meant."""
        waiting = [fault]
        self.fault = lambda method, path: waiting.pop() if waiting and is_it(method, path) else None

    def close(self) -> None:
        """Stop listening."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class _RelayHandler(BaseHTTPRequestHandler):
    """One connection to the relay."""

    protocol_version = "HTTP/1.1"
    relay: Relay

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def handle_any(self) -> None:
        """Pass a request on, or do to it what the test wants."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.relay.seen.append((self.command, self.path))
        fault = self.relay.fault(self.command, self.path) or Fault()
        if fault.hold:
            self.relay.released.wait(60)
            self.close_connection = True
        elif fault.status:
            text = f"<Error><Code>{fault.code}</Code></Error>".encode()
            self.answer(fault.status, [], text)
        else:
            self.pass_on(altered(body) if fault.alter == "request" else body, fault)

    def pass_on(self, body: bytes, fault: Fault) -> None:
        """Ask SeaweedFS, under the name by which the relay was asked."""
        connection = http.client.HTTPConnection("127.0.0.1", self.relay.target_port, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            self.close_connection = True
            return
        finally:
            connection.close()
        if fault.alter == "answer":
            content = altered(content)
        self.answer(answer.status, answer.getheaders(), content)

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send an answer; a HEAD's has the length of what a GET would get."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", lengths[0] if is_head and lengths else str(len(body)))
        self.end_headers()
        if not is_head:
            with suppress(OSError):
                self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815


def altered(content: bytes) -> bytes:
    """Return the same bytes but for one bit of the last."""
    return content[:-1] + bytes(byte ^ 1 for byte in content[-1:])
