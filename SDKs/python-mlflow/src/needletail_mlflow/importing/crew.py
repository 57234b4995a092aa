"""Threads that take one thing after another."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from needletail_mlflow.importing.troubles import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from needletail_mlflow.importing.troubles import Troubles

Item = TypeVar("Item")


def each(
    items: Iterable[Item], do: Callable[[Item], None], threads: int, troubles: Troubles
) -> None:
    """Does something with each, several at a time; the first error ends it all.

    Raises:
        StoppedError: Somebody asked for the end, and the threads have come to it.
    """
    source, lock = iter(items), threading.Lock()

    def work() -> None:
        while True:
            troubles.check()
            with lock:
                item = next(source, None)
            if item is None:
                return
            do(item)

    with ThreadPoolExecutor(threads, "needletail-import") as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        with contextlib.ExitStack() as stack:
            stack.callback(_end, futures, troubles)
            wait(futures, return_when=FIRST_EXCEPTION)
    failures = [error for one in futures if (error := one.exception()) is not None]
    real = [error for error in failures if not isinstance(error, StoppedError)]
    for error in real or failures:
        raise error


def _end(futures: list[Future[None]], troubles: Troubles) -> None:
    """Lets the threads end where one failed, or somebody pressed Control-C."""
    if any(not one.done() or one.exception() is not None for one in futures):
        troubles.stop()
