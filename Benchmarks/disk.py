"""How long the disk itself takes to keep a page, which no server that keeps its word is below."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE = b"\0" * 8_192
_PAGES = 256
_EVERY_SECONDS = 0.05


@contextmanager
def watched_disk(folder: Path) -> Iterator[list[float]]:
    """Writes a page and waits for the disk, 20 times a second; the milliseconds of each."""
    taken: list[float] = []
    is_over = threading.Event()
    path = folder / "pages"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    # Pages that are there already: a file that grows would be measured with its journal.
    os.write(file, _PAGE * _PAGES)
    os.fsync(file)

    def write() -> None:
        while not is_over.wait(_EVERY_SECONDS):
            start = time.monotonic()
            os.pwrite(file, _PAGE, len(taken) % _PAGES * len(_PAGE))
            os.fdatasync(file)
            taken.append((time.monotonic() - start) * 1_000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()
        os.close(file)
        path.unlink()


def told(taken: list[float]) -> str:
    """The 99th percentile and the longest."""
    ordered = sorted(taken)
    return f"p99 {ordered[len(ordered) * 99 // 100]:.1f} ms, longest {ordered[-1]:.1f} ms"
