"""What clients that behave feel of one that does not, beside as many others that do.

Whoever attacks sends as fast as it can; the others that behave call as fast as they are answered.
Both run at the lowest priority: what they take of the processor is their machine's, not the
server's.
"""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from Benchmarks.attackers import KINDS
from Benchmarks.cases import Case, Comparison, Outcome, Settings
from Benchmarks.figures import Contender, MeasurementError, Round, alternate
from Benchmarks.postgres import cluster
from Benchmarks.processes import ROOT, output_of
from Benchmarks.server import Load, Server, binary, server

_P99_AT_MOST = 2.0
# Of the attacker, and of those that behave beside.
_CONNECTIONS = 16
# Each connection of a client that behaves makes a call in so many milliseconds.
_EVERY_MS = 5
_VICTIM_CONNECTIONS = 4
# Above what those that behave call together, and far below what one that does not calls.
_CALLS_PER_SECOND = 5_000
# Before the measurement, so that it does not see the beginning.
_LEAD_SECONDS = 1.0


@dataclass(slots=True)
class Beside:
    """A client that behaves, measured while another program loads the server."""

    name: str
    victim: Contender
    other: list[str | Path]
    reports: list[dict[str, float]] = field(default_factory=list)

    def measure(self, seconds: float) -> Round:
        """Measures one round."""
        whole = seconds + _LEAD_SECONDS + 0.5
        with subprocess.Popen(
            ["nice", "-n", "19", *self.other, "--seconds", f"{whole:g}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        ) as process:
            try:
                time.sleep(_LEAD_SECONDS)
                measured = self.victim.measure(seconds)
                text, _ = process.communicate(timeout=whole + 30)
            except BaseException:
                process.kill()
                raise
        try:
            self.reports.append(json.loads(text.strip().splitlines()[-1]))
        except (IndexError, ValueError) as error:
            raise MeasurementError(f"{self.name}: no report in {text[-200:]!r}") from error
        return measured

    def note(self, seconds: float) -> str:
        """What the other program did, so that one sees that it was something."""
        sums = {key: sum(one.get(key, 0) for one in self.reports) for key in self.reports[0]}
        rounds = len(self.reports)
        done = sums.get("attacks", sums.get("calls", 0) + sums.get("errors", 0))
        if done <= 0:
            raise MeasurementError(f"{self.name}: it did nothing")
        told = f"{done / rounds / (seconds + _LEAD_SECONDS + 0.5):,.0f} a second"
        if "cuts" in sums:
            told += f", cut off {sums['cuts'] / rounds:,.0f} times a round"
        elif sums.get("errors"):
            told += f", {sums['errors'] / done:.0%} refused"
        return f"{self.name}: {told}"


@dataclass(frozen=True, slots=True)
class _Site:
    """A server with a key for each party."""

    server: Server
    folder: Path

    def key(self, name: str) -> Path:
        """Makes a connection file with a key of its own."""
        path = self.folder / f"{name}.json"
        made = json.loads(
            output_of(
                [
                    *(binary(), "keys", "create", name, "--scope", "*", "--output", "json"),
                    *("--connection-file", self.server.connection_file),
                ],
                limit_seconds=30,
            )
        )
        path.write_text(
            json.dumps({**self.server.connection, "api_key": made["secret"]}), encoding="utf-8"
        )
        path.chmod(0o600)
        return path

    def load(self, name: str, kind: str, connections: int, *, is_paced: bool) -> Load:
        """Calls of one party."""
        options = ("--every", str(_EVERY_MS)) if is_paced else ()
        party = replace(self.server, connection_file=self.key(name))
        return Load(party, kind, connections, 1, options=options)


@dataclass(frozen=True, slots=True)
class _Group:
    """Attacks that are compared with the same others."""

    name: str
    # What those that behave call.
    method: str
    kinds: tuple[str, ...]
    settings: tuple[str, ...] = ()
    is_paced: bool = False


_GROUPS = (
    _Group("floods", "echo", tuple(kind for kind in KINDS if kind != "open-and-cancel")),
    # Calls that reach the database cost most there, whether they are given up or not.
    _Group("cancels", "get-run", ("open-and-cancel",)),
    # A rate would end other attacks before the bound that is meant for them.
    _Group(
        "rate",
        "echo",
        ("calls",),
        settings=("--set", f"calls-per-second={_CALLS_PER_SECOND}"),
        is_paced=True,
    ),
)


def _measure(group: _Group, site: _Site, run_id: str, settings: Settings, outcome: Outcome) -> None:
    victim = site.load("victim", "echo", _VICTIM_CONNECTIONS, is_paced=True)
    peaceful = site.load("neighbour", group.method, _CONNECTIONS, is_paced=group.is_paced)
    contenders = [Beside(f"beside {group.method} by others", victim, _without_time(peaceful))]
    attacker = site.key("attacker")
    for kind in group.kinds:
        if kind == "calls":
            other = _without_time(site.load("greedy", "echo", _CONNECTIONS, is_paced=False))
        else:
            other = [
                *(sys.executable, "-m", "Benchmarks.attackers", kind, "--run", run_id),
                *("--connection-file", attacker, "--connections", str(_CONNECTIONS)),
            ]
        contenders.append(Beside(f"beside {kind}", victim, other))
    parties: list[Contender] = [*contenders]
    standings = alternate(parties, pairs=settings.pairs, seconds=settings.seconds)
    outcome.standings += standings
    outcome.comparisons += [
        Comparison(
            f"{group.method} by others, p99: {kind}",
            standing.ratio_to(standings[0], lambda one: one.p99_us),
            at_most=_P99_AT_MOST,
        )
        for kind, standing in zip(group.kinds, standings[1:], strict=True)
    ]
    outcome.notes += [one.note(settings.seconds) for one in contenders]


def _without_time(load: Load) -> list[str | Path]:
    command = load.command(1)
    place = command.index("--seconds")
    return [*command[:place], *command[place + 2 :]]


def _attackers(settings: Settings, outcome: Outcome) -> None:
    for group in _GROUPS:
        with ExitStack() as stack:
            folder = settings.work / group.name
            database = stack.enter_context(cluster(settings.work / f"{group.name}-pg"))
            started = stack.enter_context(
                server(folder, postgres=database.url, arguments=group.settings)
            )
            Load(started, "create-run", 1, 1).measure(0.5)
            run_id = database.query("select id from runs limit 1")[0][0]
            _measure(group, _Site(started, folder), run_id, settings, outcome)


CASES = (
    Case(
        "attackers",
        f"Echo of clients that behave, beside {_CONNECTIONS} connections of one that does not",
        _attackers,
    ),
)
