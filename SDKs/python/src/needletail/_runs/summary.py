"""How a run is kept, and how it ended."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Status = Literal["completed", "failed", "cancelled"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run ended on this side."""

    acknowledged_points: int
    """Committed on the server's disk."""

    unsent_points: int
    """Still to be sent, by `python -m needletail sync`."""

    refused_points: int
    """Refused by the server for good; `ActiveRun.errors` says why."""

    dropped_points: int
    """Given up here because memory and spool were full."""

    acknowledged_lines: int
    """Log lines that are committed on the server's disk."""

    unsent_lines: int
    """Log lines still to be sent, by `python -m needletail sync`."""

    lost_lines: int
    """Log lines that were refused, or given up here."""

    spool_folder: str
    """Where the unsent points are; empty when there are none."""

    is_finished: bool
    """Whether the server knows that the run has ended."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How a run keeps and sends what is logged."""

    folder: Path
    spool_max_bytes: int
    memory_max_bytes: int
    flush_seconds: float
    finish_timeout_seconds: float
    rank: int = 0


def status_of(error: BaseException | None) -> Status:
    """How a run ends that is left by this exception, or by none.

    `sys.exit(1)` fails it: what a shell takes for a failure is none of a run's successes.
    """
    if isinstance(error, SystemExit):
        return "completed" if error.code is None or error.code == 0 else "failed"
    if error is None:
        return "completed"
    return "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
