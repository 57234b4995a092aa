"""Clients that break the rules, as a program: `python3 -m Benchmarks.attackers KIND …`.

Each attacks on so many connections for so many seconds, connects again when the server cuts it off,
and says at the end as JSON what it did. Only for a server of one's own, on loopback.
"""

import argparse
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from Benchmarks import wire
from Benchmarks.processes import program

# Another address than that of the clients that behave.
_SOURCE = "127.0.0.9"
# After the server has cut a connection off, so that no machine runs out of ports.
_PAUSE_SECONDS = 0.01
_TIMEOUT_SECONDS = 5
_ECHO = "needletail.rpc.v1.Server/Echo"
# A call that reaches the database, so that giving it up gives work up.
_GET_RUN = "needletail.tracking.v1.Tracking/GetRun"
_BATCH = 64
_LARGE_BYTES = 256 << 10


@dataclass(slots=True)
class Tally:
    """What was done; one for each thread, so that no lock is needed."""

    connections: int = 0
    attacks: int = 0
    cuts: int = 0


@dataclass(frozen=True, slots=True)
class Attack:
    """One thread's part: where to, until when, and what was done."""

    endpoint: wire.Endpoint
    context: ssl.SSLContext
    end: float
    # What it does when it is told to go: to come back at once, or to go on sending until it is cut.
    comes_back: bool
    # What calls that are given up ask for.
    run_id: str = ""
    tally: Tally = field(default_factory=Tally)

    @property
    def is_on(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.end

    def connect(self) -> ssl.SSLSocket:
        """Connects with a good key."""
        connection = self.endpoint.connect(self.context, source=_SOURCE)
        connection.settimeout(_TIMEOUT_SECONDS)
        self.tally.connections += 1
        return connection

    def run(self, once: "Callable[[Attack], None]") -> None:
        """Attacks again and again, each time until the server has had enough."""
        while self.is_on:
            try:
                once(self)
            except OSError:
                self.tally.cuts += 1
                time.sleep(_PAUSE_SECONDS)


def open_and_cancel(attack: Attack) -> None:
    """Opens calls and gives them up at once."""
    request = wire.text_field(1, attack.run_id)
    with attack.connect() as connection:
        threading.Thread(target=_drain, args=(attack, connection), daemon=True).start()
        first = 1
        while attack.is_on:
            streams = range(first, first + _BATCH)
            first += _BATCH
            connection.sendall(
                b"".join(
                    wire.unary_call(one, _GET_RUN, request) + wire.cancel(one) for one in streams
                )
            )
            attack.tally.attacks += _BATCH


def pings(attack: Attack) -> None:
    """Sends Pings as fast as they go."""
    batch = b"".join(wire.ping(token) for token in range(_BATCH))
    with attack.connect() as connection:
        threading.Thread(target=_drain, args=(attack, connection), daemon=True).start()
        while attack.is_on:
            connection.sendall(batch)
            attack.tally.attacks += _BATCH


def key_updates(attack: Attack) -> None:
    """Lets openssl's own client ask for new keys with every byte of a frame.

    It takes a packet that begins with K as that command, and sends every other one.
    """
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [
        *(program("openssl", "openssl"), "s_client", "-alpn", "needletail/1", "-tls1_3"),
        *("-connect", f"{attack.endpoint.address}:{attack.endpoint.port}", "-bind", _SOURCE),
        *("-CAfile", str(attack.endpoint.ca_file)),
    ]
    with (
        here,
        there,
        subprocess.Popen(
            command, stdin=there.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as client,
    ):
        attack.tally.connections += 1
        there.close()
        here.settimeout(_TIMEOUT_SECONDS)
        try:
            here.send(wire.hello(attack.endpoint.api_key))
            here.send(_begun_frame())
            while attack.is_on:
                here.send(b"K")
                here.send(b"\0")
                attack.tally.attacks += 1
        finally:
            client.kill()


def slow_reader(attack: Attack) -> None:
    """Asks for much and reads it byte by byte."""
    payload = wire.message_field(1, bytes(_LARGE_BYTES))
    with attack.connect() as connection:
        # Until the server reads no more; a write that is cut short ends what may be sent.
        connection.settimeout(0.2)
        with suppress(TimeoutError):
            for stream in range(1, 1_000):
                connection.sendall(wire.unary_call(stream, _ECHO, payload))
                attack.tally.attacks += 1
        connection.settimeout(_TIMEOUT_SECONDS)
        while attack.is_on and connection.recv(1_024):
            time.sleep(0.02)


def slow_writer(attack: Attack) -> None:
    """Begins a large frame and sends it byte by byte."""
    with attack.connect() as connection:
        connection.sendall(_begun_frame())
        while attack.is_on:
            connection.sendall(b"\0")
            attack.tally.attacks += 1
            time.sleep(0.005)


def failed_hellos(attack: Attack) -> None:
    """Tries keys."""
    with attack.endpoint.secure(attack.context, source=_SOURCE) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        attack.tally.connections += 1
        attack.tally.attacks += 1
        connection.sendall(wire.hello("ntl_" + os.urandom(24).hex()))
        while connection.recv(1_024):
            pass
        raise ConnectionRefusedError


def connections(attack: Attack) -> None:
    """Connects, shakes hands and goes away, without a Hello."""
    attack.endpoint.secure(attack.context, source=_SOURCE).close()
    attack.tally.connections += 1
    attack.tally.attacks += 1


KINDS: dict[str, Callable[[Attack], None]] = {
    "open-and-cancel": open_and_cancel,
    "pings": pings,
    "key-updates": key_updates,
    "slow-reader": slow_reader,
    "slow-writer": slow_writer,
    "failed-hellos": failed_hellos,
    "connections": connections,
}


def _begun_frame() -> bytes:
    """The beginning of a frame that is allowed, and long."""
    return wire.unary_call(1, _ECHO, wire.message_field(1, bytes(1 << 20)))[:128]


def _drain(attack: Attack, connection: ssl.SSLSocket) -> None:
    with suppress(OSError, ValueError):
        while connection.recv(1 << 16):
            pass
    if attack.comes_back:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def main() -> int:
    """Attacks from a thread for each connection."""
    parser = argparse.ArgumentParser(prog="python3 -m Benchmarks.attackers", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--connection-file", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--run", default="", help="what open-and-cancel asks for")
    arguments = parser.parse_args()
    endpoint = wire.Endpoint.of(json.loads(arguments.connection_file.read_text("utf-8")))
    context = endpoint.context()
    end = time.monotonic() + arguments.seconds
    attacks = [
        Attack(endpoint, context, end, index % 2 == 0, arguments.run)
        for index in range(arguments.connections)
    ]
    once = KINDS[arguments.kind]
    threads = [threading.Thread(target=one.run, args=(once,), daemon=True) for one in attacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(arguments.seconds + 2 * _TIMEOUT_SECONDS)
    tallies = [one.tally for one in attacks]
    print(
        json.dumps(
            {
                "connections": sum(one.connections for one in tallies),
                "attacks": sum(one.attacks for one in tallies),
                "cuts": sum(one.cuts for one in tallies),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
