"""What the measurements say: a table for people, JSON for programs."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from Benchmarks.cases import Outcome, Settings
from Benchmarks.figures import Spread

_LABEL_WIDTH = 56


def machine() -> dict[str, object]:
    """What was measured on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kib = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory_kib) / 2**20, 1),
        "kernel": platform.release(),
        "load_average": os.getloadavg(),
    }


def lines(outcome: Outcome) -> Iterator[str]:
    """The lines of the table for one case."""
    yield f"{outcome.case}: {outcome.title}"
    for standing in outcome.standings:
        rate = standing.rate
        latency = "".join(
            f"  {label} {spread.median:,.0f} µs"
            for label, spread in (
                ("p50", standing.latency(lambda one: one.p50_us)),
                ("p99", standing.latency(lambda one: one.p99_us)),
            )
            if spread is not None
        )
        yield _line(standing.name, f"{rate.median:>11,.0f}/s", _range(rate, ",.0f") + latency)
    for comparison in outcome.comparisons:
        goal = _goal(comparison.at_least, comparison.at_most, is_met=comparison.is_met)
        value = f"{comparison.ratio.median:>11.2f} ×"
        yield _line(f"beside {comparison.peer}", value, _range(comparison.ratio, ".2f") + goal)
    for bound in outcome.bounds:
        goal = _goal(None, bound.at_most, is_met=bound.is_met)
        value = f"{bound.value.median:>11.1f} {bound.unit}"
        yield _line(bound.what, value, _range(bound.value, ".1f") + goal)
    for note in outcome.notes:
        yield f"  ! {note}"


def _line(label: str, value: str, rest: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}} {value:<14} {rest}"


def _range(spread: Spread, form: str) -> str:
    return f"({spread.least:{form}} … {spread.greatest:{form}})"


def _goal(at_least: float | None, at_most: float | None, *, is_met: bool) -> str:
    bounds = [
        f"{sign} {bound:g}"
        for sign, bound in (("≥", at_least), ("≤", at_most))
        if bound is not None
    ]
    verdict = "met" if is_met else "missed"
    return f"  goal {' and '.join(bounds)}: {verdict}" if bounds else ""


def write_json(path: Path, outcomes: Sequence[Outcome], settings: Settings) -> None:
    """Writes every round, with the sums of the table."""
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "pairs": settings.pairs,
        "seconds": settings.seconds,
        "cases": [
            {
                "name": outcome.case,
                "title": outcome.title,
                "contenders": [standing.as_json() for standing in outcome.standings],
                "comparisons": [
                    {**asdict(comparison), "is_met": comparison.is_met}
                    for comparison in outcome.comparisons
                ],
                "bounds": [{**asdict(bound), "is_met": bound.is_met} for bound in outcome.bounds],
                "notes": outcome.notes,
            }
            for outcome in outcomes
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
