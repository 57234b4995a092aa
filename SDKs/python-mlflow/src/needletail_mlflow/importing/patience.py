"""What one thing's error means for the whole import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException
from needletail.errors import CallError

from needletail_mlflow.importing.source import SourceError
from needletail_mlflow.importing.troubles import StoppedError, refuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail_mlflow.importing.work import Work

_TRIES = 3


def patiently(work: Work, place: str, do: Callable[[], None]) -> None:
    """Does something that may be done again; what is wrong with it ends it alone.

    Raises:
        SourceAwayError: Nothing more is to be had from the source.
        CallError: The server is away, or lets nobody do this.
    """
    for left in reversed(range(_TRIES)):
        try:
            do()
        except (StoppedError, SourceError):
            raise
        except Exception as error:
            ours = error if isinstance(error, CallError) else error.__cause__
            if not isinstance(ours, CallError):
                work.source.check(error)
                if left and _passes(error):
                    continue
            elif not refuses(ours):
                raise
            work.troubles.fail(place, "", error)
        return


def _passes(error: Exception) -> bool:
    """Whether a connection was lost, as a database's may be, and is there again."""
    if isinstance(error, MlflowException):
        return error.error_code == "TEMPORARILY_UNAVAILABLE"
    return isinstance(error, OSError)
