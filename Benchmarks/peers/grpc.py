"""The distribution's C++ gRPC over TLS: an echo server and its load, compiled when first used."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from Benchmarks.certificate import Certificate
from Benchmarks.figures import PeerMissingError, Round
from Benchmarks.load import parse_load
from Benchmarks.processes import (
    ROOT,
    free_port,
    output_of,
    program,
    running,
    wait_until_listening,
)

_SOURCE = Path(__file__).parent / "grpc_echo"
# gRPC's headers call into the libraries that it is linked with.
_LIBRARIES = ("-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lgrpc", "-lgpr", "-lprotobuf")


def build() -> Path:
    """Compiles both programs into .build, once for each state of their sources."""
    if not Path("/usr/include/grpcpp/grpcpp.h").exists():
        raise PeerMissingError("gRPC for C++ is not installed (package libgrpc++-dev)")
    plugin = program("grpc_cpp_plugin", "protobuf-compiler-grpc")
    compiler, protoc = program("g++", "g++"), program("protoc", "protobuf-compiler")
    sources = sorted(_SOURCE.iterdir())
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = ROOT / ".build" / "grpc_echo" / state
    if (folder / "built").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    generate: list[str | Path] = [
        *(protoc, f"--proto_path={_SOURCE}", f"--cpp_out={folder}", f"--grpc_out={folder}"),
        f"--plugin=protoc-gen-grpc={plugin}",
        _SOURCE / "echo.proto",
    ]
    output_of(generate, limit_seconds=60)
    generated = [folder / "echo.pb.cc", folder / "echo.grpc.pb.cc"]
    for name in ("server", "client"):
        compile_and_link: list[str | Path] = [
            *(compiler, "-std=c++17", "-O3", "-DNDEBUG", f"-I{folder}", "-pthread"),
            *(_SOURCE / f"{name}.cc", *generated),
            *("-o", str(folder / f"echo_{name}")),
            *_LIBRARIES,
        ]
        output_of(compile_and_link, limit_seconds=600)
    (folder / "built").touch()
    return folder


@dataclass(frozen=True, slots=True)
class Tuning:
    """How gRPC polls, and with how many threads: what is best differs from machine to machine."""

    server_polls: str
    server_threads: int
    client_polls: str
    client_threads: int


def tunings(cores: int) -> list[Tuning]:
    """Lists what is tried before the measurement."""
    return [
        Tuning("epoll1", cores, "epoll1", cores),
        Tuning("epoll1", cores, "poll", 1),
        Tuning("epoll1", 1, "poll", 1),
        Tuning("poll", cores, "epoll1", 1),
    ]


@dataclass(frozen=True, slots=True)
class GrpcEcho:
    """A running echo server."""

    programs: Path
    port: int
    certificate: Path
    connections: int
    in_flight: int
    tuning: Tuning

    @property
    def name(self) -> str:
        """How it is loaded."""
        return f"C++ gRPC echo, {self.connections} × {self.in_flight}"

    def measure(self, seconds: float) -> Round:
        """Loads it with the client beside it."""
        threads = min(self.tuning.client_threads, self.connections)
        command: list[str | Path] = [
            *("env", f"GRPC_POLL_STRATEGY={self.tuning.client_polls}"),
            *(self.programs / "echo_client", str(self.port), self.certificate),
            *(str(self.connections), str(self.in_flight), f"{seconds:.1f}", str(threads)),
        ]
        return parse_load(output_of(command, limit_seconds=seconds + 60))


@contextmanager
def grpc_echo(
    folder: Path, *, connections: int, in_flight: int, cores: int, calibration_seconds: float
) -> Iterator[GrpcEcho]:
    """Runs the echo server in the tuning that does best here."""
    programs = build()
    folder.mkdir(parents=True)
    made = Certificate.make(folder)

    @contextmanager
    def served(tuning: Tuning) -> Iterator[GrpcEcho]:
        port, log = free_port(), folder / "server.log"
        command: list[str | Path] = [
            *("env", f"GRPC_POLL_STRATEGY={tuning.server_polls}", programs / "echo_server"),
            *(str(port), made.certificate, made.key, str(tuning.server_threads)),
        ]
        with running(command, log=log) as process:
            wait_until_listening(process, port, log=log)
            yield GrpcEcho(programs, port, made.certificate, connections, in_flight, tuning)

    def rate(tuning: Tuning) -> float:
        with served(tuning) as echo:
            return echo.measure(calibration_seconds).per_second

    with served(max(tunings(cores), key=rate)) as echo:
        yield echo
