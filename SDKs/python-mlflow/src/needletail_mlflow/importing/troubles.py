"""What could not be brought over, by name, and what is as it should be but not as it was."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, TypeVar

from mlflow.exceptions import MlflowException
from needletail.errors import CallError, Code

from needletail_mlflow.importing.source import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")

_REFUSING = {
    Code.INVALID_ARGUMENT,
    Code.OUT_OF_RANGE,
    Code.FAILED_PRECONDITION,
    Code.ALREADY_EXISTS,
}
_TOO_LARGE = {"REQUEST_TOO_LARGE", "MESSAGE_TOO_LARGE"}
_CODES_OF_MLFLOW = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}


class StoppedError(Exception):
    """Somebody asked the import to end."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not here as it is in the source."""

    place: str
    """What it is of: "run 0a1b…", "model fraud"."""

    what: str
    """What it is: "parameter lr"; empty = all of it."""

    why: str
    """For a person."""


class Troubles:
    """What is told at the end; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.failures: list[Trouble] = []
        """What makes the import a failure."""
        self.notes: list[Trouble] = []
        """What somebody should know, and that is no failure."""
        self._failed: set[tuple[str, str]] = set()

    def fail(self, place: str, what: str, why: object) -> None:
        """Something was not brought over; the first reason is the one that is told."""
        with self._lock:
            if (place, what) in self._failed:
                return
            self._failed.add((place, what))
            self.failures.append(Trouble(place, what, _text(why)))

    def note(self, place: str, what: str, why: object) -> None:
        """Something is different for a good reason."""
        with self._lock:
            self.notes.append(Trouble(place, what, _text(why)))

    def lacks_files(self, place: str) -> bool:
        """Whether files of it did not come over."""
        with self._lock:
            return any(
                where == place and what.startswith("artifact") for where, what in self._failed
            )

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked for the end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends the import at the next good place."""
        self._stopped.set()

    def check(self) -> None:
        """A good place to end."""
        if self._stopped.is_set():
            raise StoppedError

    def each(
        self,
        place: str,
        items: Sequence[Item],
        send: Callable[[Sequence[Item]], object],
        name: Callable[[Item], str],
    ) -> None:
        """Sends items together; where that is refused, in halves, so as to tell those at fault."""
        self.check()
        if not items:
            return
        try:
            send(items)
        except (CallError, MlflowException) as error:
            if not refuses(error):
                raise
            if len(items) == 1:
                self.fail(place, name(items[0]), error)
                return
            half = len(items) // 2
            self.each(place, items[:half], send, name)
            self.each(place, items[half:], send, name)


def refuses(error: Exception) -> bool:
    """Whether an error is about what was sent, and not about the way there or the sender."""
    if isinstance(error, CallError):
        return error.code in _REFUSING or error.reason in _TOO_LARGE
    return isinstance(error, MlflowException) and error.error_code in _CODES_OF_MLFLOW


def _text(why: object) -> str:
    if isinstance(why, MlflowException) and isinstance(why.__cause__, CallError):
        why = why.__cause__
    if isinstance(why, CallError):
        # Without the id of the request, so that equal ones are told together.
        fields = "; ".join(f"{one.field}: {one.description}" for one in why.field_violations)
        return f"{why.message}{f' ({fields})' if fields else ''}" or why.code.name
    return without_password(" ".join(str(why).split())) or type(why).__name__
