"""What the metrics of a run are to whoever looks at them."""

from __future__ import annotations

import abc
import logging
import threading
from typing import TYPE_CHECKING, Literal

from needletail._generated.tracking import MetricDefinition, MetricGoal, MetricSummaryKind
from needletail._runs.files import RunFiles
from needletail._runs.spool import Definition
from needletail._runs.values import check_key
from needletail.errors import CallError, DeadlineExceededError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail._runs.spool import Metadata
    from needletail.client import Client

_log = logging.getLogger("needletail")


class RunDefinitions(RunFiles):
    """What the metrics of a run under way are defined to be."""

    def __init__(self) -> None:
        self._definitions_lock = threading.Lock()
        """Held while the run comes to exist, so that nothing is kept that nobody sends."""

    def define_metric(
        self,
        name: str,
        *,
        step_metric: str = "",
        goal: Literal["minimize", "maximize"] | None = None,
        summary: Literal["last", "min", "max", "mean", "best", "none"] | None = None,
        hidden: bool = False,
    ) -> None:
        """Says what a metric is to whoever looks at it, in the place of what was said before.

        Waits until that is stored; while the run isn't created, because the server is away, it is
        kept with the points and stored with the run.

        Args:
            name: The metric's key, or the beginning of keys with a `*` behind it: `val/*`. A whole
                key goes before a beginning, and of these the longest.
            step_metric: Key of the metric that is the x axis, such as "epoch"; empty = the step.
            goal: Which way it is better; None = neither.
            summary: Which number stands for it; "best" needs a goal, None = the last.
            hidden: Left out of what shows all metrics.

        Raises:
            ValueError: A key is empty, too long or has control characters, or a word is none of
                those above.
            CallError: The server refused it, or is away.
        """
        check_key(name)
        if step_metric:
            check_key(step_metric)
        if summary == "best" and goal is None:
            raise ValueError("a metric has a best value where it has a goal; pass goal=")
        definition = Definition(
            goal=_word(MetricGoal, "goal", goal),
            summary=_word(MetricSummaryKind, "summary", summary),
            step_metric=step_metric,
            is_hidden=hidden,
        )
        with self._definitions_lock:
            run_id = self.id
            if run_id is None:
                self._keep_definition(name, definition)
                return
        self.client.tracking.define_metrics(run_id=run_id, definitions=[_made(name, definition)])

    @abc.abstractmethod
    def _keep_definition(self, pattern: str, definition: Definition) -> None:
        """Keeps a definition until the run exists."""


def send_definitions(
    client: Client, metadata: Metadata, run_id: str, time_left: Callable[[], float]
) -> None:
    """Stores what was defined before the run existed.

    What the server refuses is told and dropped: points are worth more than how they are shown.

    Raises:
        CallError: The server can't be reached in the time that is left.
    """
    kept = dict(metadata.definitions)
    if not kept:
        return
    try:
        client.tracking.define_metrics(
            run_id=run_id,
            definitions=[_made(pattern, definition) for pattern, definition in kept.items()],
            timeout_seconds=time_left(),
        )
    except (UnavailableError, DeadlineExceededError):
        raise
    except CallError as error:
        _log.warning("definitions of metrics are dropped: %s", error)
    for pattern, definition in kept.items():
        if metadata.definitions.get(pattern) is definition:
            del metadata.definitions[pattern]


def _word(words: type[MetricGoal | MetricSummaryKind], name: str, word: str | None) -> str:
    if word is None:
        return "UNSPECIFIED"
    known = [one.name.lower() for one in words if one.name != "UNSPECIFIED"]
    if word not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}, not {word!r}")
    return word.upper()


def _made(pattern: str, definition: Definition) -> MetricDefinition:
    return MetricDefinition(
        pattern=pattern,
        goal=MetricGoal[definition["goal"]],
        summary=MetricSummaryKind[definition["summary"]],
        step_metric=definition["step_metric"],
        is_hidden=definition["is_hidden"],
    )
