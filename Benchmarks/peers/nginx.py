"""nginx over TLS 1.3 with keep-alive, answering `return 200`, under wrk."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.certificate import Certificate
from Benchmarks.figures import Contender, MeasurementError, Round, best
from Benchmarks.processes import free_port, output_of, program, running, wait_until_listening

# As many workers as Needletail has loops: one a core. Keep-alive without end, no log.
_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes {workers};
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
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
    location / {{ return 200 "ok"; }}
  }}
}}
"""

_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx."""

    port: int
    connections: int
    threads: int

    @property
    def name(self) -> str:
        """What it answers, and how many ask."""
        return f"nginx return 200, {self.connections} connections"

    def measure(self, seconds: float) -> Round:
        """Loads it with wrk."""
        command = [
            *(program("wrk", "wrk"), "--latency", "--timeout", "10s"),
            *(f"-t{self.threads}", f"-c{self.connections}", f"-d{max(round(seconds), 1)}s"),
            f"https://127.0.0.1:{self.port}/",
        ]
        return parse_wrk(output_of(command, limit_seconds=seconds + 30))


def parse_wrk(text: str) -> Round:
    """Reads the figures out of wrk's report."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", text, re.MULTILINE)
    if rate is None or re.search(r"Non-2xx|Socket errors", text):
        raise MeasurementError(f"wrk had errors: {text.strip()[-300:]}")
    latencies = {
        percent: float(value) * _UNITS_US[unit]
        for percent, value, unit in re.findall(
            r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE
        )
    }
    return Round(float(rate[1]), latencies.get("50"), latencies.get("99"))


@contextmanager
def nginx(
    folder: Path, *, connections: int, cores: int, calibration_seconds: float
) -> Iterator[Contender]:
    """Runs nginx in a folder of its own, under as many threads of wrk as do best."""
    executable = program("nginx", "nginx-light")
    program("wrk", "wrk")
    folder.mkdir(parents=True)
    made = Certificate.make(folder)
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            workers=cores,
            certificate=made.certificate,
            key=made.key,
        ),
        encoding="utf-8",
    )
    log = folder / "nginx.log"
    with running([executable, "-c", configuration, "-p", folder], log=log) as process:
        wait_until_listening(process, port, log=log)
        loads = [Nginx(port, connections, threads) for threads in sorted({1, cores})]
        yield best(loads, seconds=calibration_seconds)
