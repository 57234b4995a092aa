"""What a measurement is, and how two are compared: in alternation, by medians and spreads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Protocol


class PeerMissingError(Exception):
    """A peer is not installed on this machine; the message says what is missing."""


class MeasurementError(Exception):
    """A program that was to be measured did not run, or answered with errors."""


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement of one contender; latencies in microseconds where they were taken."""

    per_second: float
    p50_us: float | None = None
    p99_us: float | None = None


class Contender(Protocol):
    """What can be measured for some seconds; started before, stopped after."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def measure(self, seconds: float) -> Round:
        """Loads it for so long and says what it did."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the rounds lie."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sums up at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(slots=True)
class Standing:
    """The rounds of one contender."""

    name: str
    rounds: list[Round] = field(default_factory=list)

    @property
    def rate(self) -> Spread:
        """Calls a second."""
        return Spread.of([one.per_second for one in self.rounds])

    def latency(self, pick: Callable[[Round], float | None]) -> Spread | None:
        """Microseconds, of the rounds that took them."""
        values = [value for one in self.rounds if (value := pick(one)) is not None]
        return Spread.of(values) if values else None

    def ratio_to(
        self, other: "Standing", pick: Callable[[Round], float | None] = lambda one: one.per_second
    ) -> Spread:
        """How many times the other's rate, pair by pair: a slow moment hits both of a pair."""
        pairs = [
            (pick(mine), pick(theirs))
            for mine, theirs in zip(self.rounds, other.rounds, strict=True)
        ]
        return Spread.of([mine / theirs for mine, theirs in pairs if mine and theirs])

    def as_json(self) -> dict[str, object]:
        """The rounds with their sums."""
        p50, p99 = self.latency(lambda one: one.p50_us), self.latency(lambda one: one.p99_us)
        return {
            "name": self.name,
            "calls_per_second": asdict(self.rate),
            "p50_us": asdict(p50) if p50 else None,
            "p99_us": asdict(p99) if p99 else None,
            "rounds": [asdict(one) for one in self.rounds],
        }


# One round can hit a slow moment of the machine and choose a setting that is slower by a third.
CALIBRATION_ROUNDS = 3


def best(candidates: Sequence[Contender], *, seconds: float) -> Contender:
    """Tries several settings of one contender by turns and returns the one fastest at median."""
    if len(candidates) == 1:
        return candidates[0]
    rates: list[list[float]] = [[] for _ in candidates]
    for turn in _turns(len(candidates), CALIBRATION_ROUNDS):
        for index in turn:
            rates[index].append(candidates[index].measure(seconds).per_second)
    medians = [median(values) for values in rates]
    return candidates[medians.index(max(medians))]


def alternate(contenders: Sequence[Contender], *, pairs: int, seconds: float) -> list[Standing]:
    """Measures all contenders by turns, the order reversed in every other turn.

    Each is warmed up once before, for a third of a round that does not count.
    """
    standings = [Standing(contender.name) for contender in contenders]
    for contender in contenders:
        contender.measure(max(seconds / 3, 0.5))
    for turn in _turns(len(contenders), pairs):
        for index in turn:
            standings[index].rounds.append(contenders[index].measure(seconds))
    return standings


def _turns(count: int, pairs: int) -> Iterator[Sequence[int]]:
    order = range(count)
    for turn in range(pairs):
        yield order if turn % 2 == 0 else order[::-1]
