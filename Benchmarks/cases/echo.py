"""The cost of a call by itself: an echo through the whole stack, beside nginx and C++ gRPC."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from Benchmarks.cases import Case, Outcome, Peer, Settings, compare
from Benchmarks.figures import Contender, best
from Benchmarks.peers.grpc import grpc_echo
from Benchmarks.peers.nginx import nginx
from Benchmarks.postgres import cluster
from Benchmarks.server import Load, server


@contextmanager
def _echo(settings: Settings, connections: int, in_flight: int) -> Iterator[Contender]:
    with (
        cluster(settings.work / "echo-pg") as database,
        server(settings.work / "echo", postgres=database.url) as started,
    ):
        loads = [
            Load(started, "echo", connections, in_flight, loops) for loops in settings.thread_counts
        ]
        yield best(loads, seconds=settings.calibration_seconds)


def _grpc(
    settings: Settings, connections: int, in_flight: int
) -> AbstractContextManager[Contender]:
    return grpc_echo(
        settings.work / f"grpc-{connections}x{in_flight}",
        connections=connections,
        in_flight=in_flight,
        cores=settings.cores,
        calibration_seconds=settings.calibration_seconds,
    )


def _one_in_flight(settings: Settings, outcome: Outcome) -> None:
    def start_nginx() -> AbstractContextManager[Contender]:
        return nginx(
            settings.work / "nginx",
            connections=32,
            cores=settings.cores,
            calibration_seconds=settings.calibration_seconds,
        )

    compare(
        settings,
        outcome,
        lambda: _echo(settings, 32, 1),
        [Peer(start_nginx, 1.0), Peer(lambda: _grpc(settings, 32, 1), 1.5)],
    )


def _in_flight(connections: int) -> Case:
    def run(settings: Settings, outcome: Outcome) -> None:
        compare(
            settings,
            outcome,
            lambda: _echo(settings, connections, 64),
            [Peer(lambda: _grpc(settings, 4, 64), 8.0)],
        )

    return Case(
        f"echo-{connections}x64", f"Unary echo, {connections} connections × 64 in flight", run
    )


CASES = (
    Case("echo-32x1", "Unary echo, 32 connections × 1 in flight", _one_in_flight),
    _in_flight(4),
    _in_flight(32),
)
