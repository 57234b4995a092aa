"""What a run has on Needletail."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from needletail.errors import CallError
from needletail.tracking import FoundRun, LifeView, SearchInclude

from needletail_mlflow.importing import points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from needletail.tracking import Run as Stored

    from needletail_mlflow.importing.points import Point
    from needletail_mlflow.inputs import Inputs

_ALL = SearchInclude(all=True)
_PAGE = 1_000
_KEYS_PER_STREAM = 100


@dataclasses.dataclass(frozen=True, slots=True)
class There:
    """A run as it is stored, but for histories and files."""

    run: Stored
    parameters: dict[str, str]
    tags: dict[str, str]
    keys: set[str]
    """Keys of its metrics."""
    found: FoundRun
    """With what it is linked to."""


def there(tracking: Any, inputs: Inputs, run_id: str) -> There:
    """Reads a run, also a deleted one."""
    try:
        page = tracking.search_runs(
            filter=f"attributes.run_id = '{run_id}'", page_size=1, include_archived=True,
            view=LifeView.ALL, parameters=_ALL, tags=_ALL, metrics=_ALL, inputs=_ALL, models=_ALL,
        )  # fmt: skip
        found = page.runs[0] if page.runs else _piecewise(tracking, inputs, run_id)
    except CallError as error:
        if error.reason != "SEARCH_TOO_LARGE":
            raise
        found = _piecewise(tracking, inputs, run_id)
    return There(
        run=found.run,
        parameters={one.key: one.value for one in found.parameters},
        tags={one.key: one.value for one in found.tags},
        keys={one.key for one in found.metrics},
        found=found,
    )


def histories(
    tracking: Any, run_id: str, keys: Iterable[str]
) -> Iterator[tuple[str, Iterator[Point]]]:
    """The histories of metrics, one behind the other; each is to be read before the next."""
    named = iter(keys)
    while part := list(itertools.islice(named, _KEYS_PER_STREAM)):
        with tracking.stream_metric_histories(
            run_ids=[run_id], keys=part, include_deleted=True
        ) as stream:
            for key, messages in itertools.groupby(stream, key=lambda one: one.series.key):
                yield key, points.reordered(_points(messages))


def history(tracking: Any, run_id: str, key: str) -> Iterator[Point]:
    """The points of one metric."""
    for _, found in histories(tracking, run_id, [key]):
        yield from found


def _points(messages: Iterable[Any]) -> Iterator[Point]:
    for message in messages:
        series = message.series
        yield from map(points.point, series.steps, series.times_us, series.values)


def _piecewise(tracking: Any, inputs: Inputs, run_id: str) -> FoundRun:
    """A run that has more than one answer takes."""
    page = {"run_id": run_id, "page_size": _PAGE, "include_deleted": True}
    return inputs.linked(
        FoundRun(
            run=tracking.get_run(id=run_id, include_deleted=True),
            parameters=tuple(tracking.iterate_run_parameters(**page)),
            tags=tuple(tracking.iterate_run_tags(**page)),
            metrics=tuple(tracking.iterate_run_metrics(**page)),
        )
    )
