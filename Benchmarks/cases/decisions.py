"""What it costs to decide whether a call may be made, without the call."""

import json
from dataclasses import dataclass

from Benchmarks.cases import Bound, Case, Outcome, Settings
from Benchmarks.figures import MeasurementError, PeerMissingError, Round, Spread, alternate
from Benchmarks.processes import output_of
from Benchmarks.server import binary

_AT_MOST_NS = 1_000
# A round is a count, not a time: it lasts about a second at a hundredth of the goal.
_DECISIONS = 20_000_000


@dataclass(frozen=True, slots=True)
class Decisions:
    """The program of Benchmarks/Decisions, which asks what a session asks."""

    name: str = f"method by name, permission and role in a project, {_DECISIONS:,} a round"

    def measure(self, seconds: float) -> Round:
        """Runs one round, whatever the seconds."""
        del seconds
        program = binary().parent / "decisions"
        if not program.exists():
            raise PeerMissingError(f"{program} is not built (Scripts/bench builds it)")
        return parse_decisions(output_of([program, str(_DECISIONS)], limit_seconds=120))


def parse_decisions(text: str) -> Round:
    """Reads what the program reports; one that permits all or nothing has decided nothing."""
    try:
        report = json.loads(text)
        decisions, permitted = int(report["decisions"]), int(report["permitted"])
        nanoseconds = int(report["nanoseconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"not a report of decisions: {text[-200:]!r}") from error
    if not 0 < permitted < decisions or nanoseconds <= 0:
        raise MeasurementError(f"{permitted} of {decisions} calls were permitted")
    return Round(decisions / nanoseconds * 1e9)


def _decisions(settings: Settings, outcome: Outcome) -> None:
    outcome.standings = alternate([Decisions()], pairs=settings.pairs, seconds=settings.seconds)
    nanoseconds = [1e9 / one.per_second for one in outcome.standings[0].rounds]
    outcome.bounds = [Bound("a decision", "ns", Spread.of(nanoseconds), _AT_MOST_NS)]


CASES = (Case("access-decision", "Whether a caller may make a call, decided", _decisions),)
