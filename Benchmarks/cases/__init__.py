"""What is measured: each case names its contenders, its goal, and what it had to leave out."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from Benchmarks.figures import Contender, PeerMissingError, Spread, Standing, alternate


@dataclass(frozen=True, slots=True)
class Settings:
    """How thoroughly to measure."""

    work: Path
    pairs: int
    seconds: float
    cores: int
    is_peers_only: bool

    @property
    def thread_counts(self) -> list[int]:
        """The load programs' numbers of threads that are worth a try."""
        return sorted({1, self.cores})

    @property
    def calibration_seconds(self) -> float:
        """How long each setting of a load program or a peer is tried."""
        return min(self.seconds, 1.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio of two contenders, pair by pair, and what it should be: of their rates or latencies.

    Without a bound it is told, and nothing is demanded.
    """

    peer: str
    ratio: Spread
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the median keeps within the bounds."""
        return (self.at_least is None or self.ratio.median >= self.at_least) and (
            self.at_most is None or self.ratio.median <= self.at_most
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """A quantity that should stay small."""

    what: str
    unit: str
    value: Spread
    at_most: float

    @property
    def is_met(self) -> bool:
        """Whether the median stays within the goal."""
        return self.value.median <= self.at_most


@dataclass(slots=True)
class Outcome:
    """What a case found."""

    case: str
    title: str
    standings: list[Standing] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case:
    """Something to measure."""

    name: str
    title: str
    run: Callable[[Settings, Outcome], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """A contender to beat, started when the case runs."""

    start: Callable[[], AbstractContextManager[Contender]]
    at_least: float


def compare(
    settings: Settings,
    outcome: Outcome,
    ours: Callable[[], AbstractContextManager[Contender]],
    peers: list[Peer],
) -> None:
    """Measures ours and its peers by turns; a peer that is not installed becomes a note."""
    with ExitStack() as stack:
        contenders: list[Contender] = []
        if not settings.is_peers_only:
            contenders.append(stack.enter_context(ours()))
        goals: list[float] = []
        for peer in peers:
            try:
                contenders.append(stack.enter_context(peer.start()))
            except PeerMissingError as error:
                outcome.notes.append(f"skipped a peer: {error}")
            else:
                goals.append(peer.at_least)
        outcome.standings = alternate(contenders, pairs=settings.pairs, seconds=settings.seconds)
    if not settings.is_peers_only:
        mine, *others = outcome.standings
        outcome.comparisons = [
            Comparison(other.name, mine.ratio_to(other), goal)
            for other, goal in zip(others, goals, strict=True)
        ]
