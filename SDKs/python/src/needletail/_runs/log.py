"""The log of a run: what goes to it from the console, from `logging` and by hand."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from needletail._generated.tracking_calls import TRACKING_APPEND_LOGS
from needletail._runs.batches import Feed
from needletail._runs.lines import MAX_LINE_BYTES, check_stream, cut_lines, level_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from needletail._runs.active import ActiveRun
    from needletail._runs.uploader import Uploader

# About as much memory as the default bound.
MAX_QUEUED_LINES = 250_000
WAKE_AT_LINES = 4_000


def log_feed(rank: int) -> Feed:
    """What the writer of a process's lines writes."""
    return Feed(TRACKING_APPEND_LOGS.name, functools.partial(cut_lines, rank=rank), "log lines")


class Companion(Protocol):
    """What goes on beside a run until it ends."""

    def stop(self) -> None:
        """The run ends."""

    def after_fork(self) -> None:
        """This is the child, which is another writer."""


class RunLog:
    """The writer of a run's lines; it has a thread and a spool once there is a line."""

    def __init__(self, make: Callable[[], Uploader]) -> None:
        """Takes what makes the uploader, started."""
        self.uploader: Uploader | None = None
        self.is_closed = False
        self._make = make
        self._streams: set[str] = set()
        self._lock = threading.Lock()

    def append(self, text: str, level: int | str | None, stream: str) -> None:
        """Queues the lines of a text.

        Raises:
            RuntimeError: The run was finished.
            TypeError: It is no text.
            ValueError: The stream or the level makes no sense.
        """
        if not isinstance(text, str):
            raise TypeError(f"a line is text, not {type(text).__name__}")
        time_us = time.time_ns() // 1_000
        if stream not in self._streams:
            check_stream(stream)
            self._streams.add(stream)
        number = level_number(level)
        lines = [(stream, line) for line in text.removesuffix("\n").split("\n")]
        if self.is_closed:
            raise RuntimeError("the run was finished: it takes no more lines")
        uploader = self.uploader or self._started()
        uploader.entries.append((number, time_us, lines))
        if len(uploader.entries) > WAKE_AT_LINES:
            uploader.press(MAX_QUEUED_LINES)

    def after_fork(self) -> None:
        """The child is another writer; the parent's thread, queue and spool are the parent's."""
        self._lock = threading.Lock()
        if self.uploader is not None and self.uploader.spool is not None:
            self.uploader.spool.release()
        self.uploader = None

    def _started(self) -> Uploader:
        with self._lock:
            if self.uploader is None:
                self.uploader = self._make()
            return self.uploader


class LogHandler(logging.Handler):
    """Sends records of `logging` to a run, beside wherever else they go."""

    def __init__(self, run: ActiveRun, level: int | str = logging.NOTSET) -> None:
        """Takes the run; its lines are of the stream `logging`."""
        super().__init__(level)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        """Queues a record; what this SDK says of itself is left out."""
        if record.name == "needletail":
            return
        try:
            self._run.log_line(self.format(record), level=record.levelno, stream="logging")
        except RuntimeError:
            # The run is over; the program may go on.
            pass
        except Exception:  # noqa: BLE001 - as the handlers of the standard library do
            self.handleError(record)


class _Tee:
    """A text stream that also gives its lines to a run."""

    def __init__(self, stream: Any, name: str, run: ActiveRun) -> None:
        self._stream = stream
        self._name = name
        self._run = run
        self._begun = ""
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def write(self, text: str) -> int:
        written: int = self._stream.write(text)
        with self._lock:
            self._begun += text
            if "\n" in text:
                whole, _, self._begun = self._begun.rpartition("\n")
                self._give(whole)
            elif len(self._begun) >= MAX_LINE_BYTES:
                whole, self._begun = self._begun, ""
                self._give(whole)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def give_rest(self) -> None:
        """Gives what no line end followed."""
        with self._lock:
            whole, self._begun = self._begun, ""
            if whole:
                self._give(whole)

    def after_fork(self) -> None:
        """Who held the lock is not in the child."""
        self._lock = threading.RLock()
        self._begun = ""

    def _give(self, whole: str) -> None:
        with contextlib.suppress(RuntimeError):
            self._run.log_line(whole, stream=self._name)


class Console:
    """Gives what the program prints to a run's log, until `stop`."""

    def __init__(self, run: ActiveRun) -> None:
        """Takes the place of `sys.stdout` and `sys.stderr`."""
        self._tees: list[tuple[str, Any, _Tee]] = []
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None:
                tee = _Tee(stream, name, run)
                setattr(sys, name, tee)
                self._tees.append((name, stream, tee))

    def stop(self) -> None:
        """Gives the rest, and the streams back, unless somebody else has taken their place."""
        for name, stream, tee in self._tees:
            tee.give_rest()
            if getattr(sys, name) is tee:
                setattr(sys, name, stream)

    def after_fork(self) -> None:
        """The child's lines are the child's."""
        for _, _, tee in self._tees:
            tee.after_fork()
