"""What the server takes when nothing happens, and how soon it is there."""

import resource
import ssl
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.certificate import Certificate
from Benchmarks.figures import MeasurementError, Spread
from Benchmarks.postgres import Cluster, cluster
from Benchmarks.processes import free_port, running
from Benchmarks.server import Server, binary, server
from Benchmarks.wire import Endpoint

_CONNECTIONS = 10_000
_WARM_UP_CONNECTIONS = 100
# Both ends of a connection are on this machine, in different processes.
_DESCRIPTORS = _CONNECTIONS + 500
_HEALTH = "needletail.rpc.v1.Server/Health"


def _raise_descriptor_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, _DESCRIPTORS)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500


def _open(
    stack: ExitStack, endpoint: Endpoint, context: ssl.SSLContext, *, first: int, count: int
) -> int:
    """Opens idle connections, a thousand from each loopback address; returns how many it could."""
    for index in range(first, first + count):
        try:
            # Kept open, and silent, until the stack ends.
            stack.enter_context(endpoint.connect(context, source=f"127.0.0.{2 + index // 1000}"))
        except OSError:
            return index - first
    return count


def _idle_connections(settings: Settings, outcome: Outcome) -> None:
    count = min(_CONNECTIONS, _raise_descriptor_limit())
    with ExitStack() as stack:
        database = stack.enter_context(cluster(settings.work / "idle-pg"))
        started = stack.enter_context(
            server(
                settings.work / "idle",
                postgres=database.url,
                arguments=(
                    *("--set", "idle-timeout=10m"),  # no Ping in between
                    # All are of one key.
                    *("--set", f"connections-per-key-max={2 * _CONNECTIONS}"),
                    *("--set", f"connections-per-organization-max={2 * _CONNECTIONS}"),
                ),
            )
        )
        endpoint = Endpoint.of(started.connection)
        context = endpoint.context()
        clients = stack.enter_context(ExitStack())
        _open(clients, endpoint, context, first=0, count=_WARM_UP_CONNECTIONS)
        before = _settled(started)
        opened = _open(clients, endpoint, context, first=_WARM_UP_CONNECTIONS, count=count)
        if opened == 0:
            raise MeasurementError("the server took no further connection")
        kib = (_settled(started) - before) / opened / 1024
    if opened < _CONNECTIONS:
        outcome.notes.append(f"measured with {opened:,} connections: a limit allows no more")
    outcome.bounds = [Bound("memory per idle connection", "KiB", Spread.of([kib]), 24)]


def _settled(started: Server) -> int:
    """The server's memory once it no longer changes, or after two seconds."""
    last = started.resident_bytes
    for _ in range(20):
        time.sleep(0.1)
        now = started.resident_bytes
        if now == last:
            break
        last = now
    return last


def first_answers(folder: Path, database: Cluster, count: int) -> list[float]:
    """Milliseconds from the start of `needletail serve` to its first answer, so many times."""
    with server(folder, postgres=database.url) as prepared:
        api_key = str(prepared.connection["api_key"])
    made = Certificate.make(folder)
    endpoint = Endpoint("127.0.0.1", free_port(), made.certificate, api_key)
    command: list[str | Path] = [
        *(binary(), "serve", "--postgres", database.url, "--port", str(endpoint.port)),
        *("--certificate", made.certificate, "--key", made.key),
    ]
    return [_start_once(command, endpoint, folder / "serve.log") for _ in range(count)]


def _first_answer(settings: Settings, outcome: Outcome) -> None:
    with cluster(settings.work / "start-pg") as database:
        milliseconds = first_answers(settings.work / "start", database, settings.pairs)
    outcome.bounds = [Bound("from exec to the first answer", "ms", Spread.of(milliseconds), 50)]


def _start_once(command: list[str | Path], endpoint: Endpoint, log: Path) -> float:
    context = endpoint.context()
    start = time.monotonic()
    with running(command, log=log) as process:
        while time.monotonic() - start < 20:
            try:
                endpoint.call_once(context, _HEALTH)
            except OSError:
                _check_alive(process, log)
                time.sleep(0.000_5)
            else:
                return (time.monotonic() - start) * 1000
    raise MeasurementError("needletail serve did not answer within 20 s")


def _check_alive(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        tail = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise MeasurementError("needletail serve ended: " + " / ".join(tail))


CASES = (
    Case(
        "idle-memory",
        f"Memory per idle TLS connection, {_CONNECTIONS:,} of them",
        _idle_connections,
    ),
    Case("start", "Start of `needletail serve` to the first answer, PostgreSQL up", _first_answer),
)
