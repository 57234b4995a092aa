"""What every part of an import works with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from needletail_mlflow.importing.digests import Sums
    from needletail_mlflow.importing.progress import Progress
    from needletail_mlflow.importing.source import Source
    from needletail_mlflow.importing.target import Target
    from needletail_mlflow.importing.troubles import Troubles

KINDS = ("artifacts", "models", "traces", "evaluations")
"""What an import can be told to leave out."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is to be brought over, and how."""

    experiments: tuple[str, ...] = ()
    """Names or ids in the source; none = all."""

    deleted: bool = False
    """Also what is deleted in the source; it is deleted here, too."""

    without: frozenset[str] = frozenset()
    """Of `KINDS`."""

    threads: int = 8
    """Runs, and files, on their way at a time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """From where to where, and what is said of it."""

    source: Source
    target: Target
    options: Options
    troubles: Troubles
    sums: Sums
    progress: Progress
    folder: Path
    """For files on their way."""
