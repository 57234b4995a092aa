"""How far an import has come, for who waits: a line that is written again, or one now and then."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Self

_BAR_CELLS = 24
_REDRAWN_SECONDS = 0.2
_LINE_SECONDS = 30.0


class Progress:
    """Counts of what was done, from any thread, and a thread that shows them."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._is_terminal = self._stream.isatty()
        self._lock = threading.Lock()
        self._stage = ""
        self._done = 0
        self._total: int | None = None
        self._counts: dict[str, int] = {}
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, name="needletail-import", daemon=True)

    def __enter__(self) -> Self:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._is_terminal and not self._quiet:
            self._write("\r\x1b[K")

    def stage(self, name: str, total: int | None = None) -> None:
        """What is done from now on, and how much of it there is."""
        with self._lock:
            self._stage, self._done, self._total = name, 0, total
        if not self._is_terminal and not self._quiet:
            self._write(f"{self.line()}\n")

    def step(self) -> None:
        """One more of the stage is done."""
        with self._lock:
            self._done += 1

    def add(self, noun: str, count: int) -> None:
        """So many more were written."""
        with self._lock:
            self._counts[noun] = self._counts.get(noun, 0) + count

    def line(self) -> str:
        """How far it has come."""
        with self._lock:
            parts = [self._stage]
            if self._total:
                cells = _BAR_CELLS * self._done // self._total
                parts.append(f"[{'#' * cells}{'.' * (_BAR_CELLS - cells)}]")
                parts.append(f"{self._done:,} of {self._total:,}")
            elif self._done:
                parts.append(f"{self._done:,}")
            parts += [f"{count:,} {noun}" for noun, count in self._counts.items()]
        seconds = int(time.monotonic() - self._began)
        return "  ".join([*parts, f"{seconds // 60}:{seconds % 60:02}"])

    def _show(self) -> None:
        pause = _REDRAWN_SECONDS if self._is_terminal else _LINE_SECONDS
        while not self._ended.wait(pause):
            self._write(f"\r\x1b[K{self.line()}" if self._is_terminal else f"{self.line()}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
