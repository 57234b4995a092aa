"""What runs measured, in buckets: what a chart of a long history needs."""

from __future__ import annotations

import dataclasses
import importlib
from array import array
from typing import TYPE_CHECKING, Any

from needletail._generated.tracking_calls import TRACKING_DOWNSAMPLE_METRIC_HISTORY
from needletail.histories import ByRunAndKey, as_it_is, cut, extend, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy

    from needletail._generated.tracking import DownsampleMetricHistoryRequest
    from needletail._methods import Method

# The server's bounds, and its standard.
_RUNS_PER_CALL = 50
_KEYS_PER_CALL = 50
_BUCKETS_PER_CALL = 200_000
_STANDARD_BUCKETS = 1_000


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """The points of one metric of one run whose steps are in a range."""

    step: int
    """The first step that is the bucket's; it has `bucket_steps` of them."""

    count: int
    """Points in it, at least one, with those that are NaN."""

    nan_count: int
    """Of them, those that are NaN."""

    min_value: float
    """The least value that is not NaN, exactly; NaN when there is none."""

    min_step: int
    """The first step that had the least value; 0 when there is none."""

    max_value: float
    """The greatest value that is not NaN, exactly; NaN when there is none."""

    max_step: int
    """The first step that had the greatest value; 0 when there is none."""

    mean: float
    """Of the values that are not NaN; NaN when there is none, or infinities of both signs."""

    first_step: int
    """The step of the first point."""

    first_value: float
    """The value of the first point by (step, time, value); may be NaN."""

    last_step: int
    """The step of the last point."""

    last_value: float
    """The value of the last point by (step, time, value); may be NaN."""


def _integers() -> array[int]:
    return array("q")


def _counts() -> array[int]:
    return array("Q")


def _numbers() -> array[float]:
    return array("d")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class DownsampledHistory:
    """One metric of one run in buckets, in columns; each is what `Bucket` says of its name."""

    run_id: str
    key: str
    bucket_steps: int = 1
    """How many steps a bucket has: a power of two, at most 2**63."""

    lacks_inherited: bool = False
    """Points are missing: the run is a fork, and a run that it was forked from is deleted, or not
    for the caller to see."""

    steps: array[int] = dataclasses.field(default_factory=_integers)
    counts: array[int] = dataclasses.field(default_factory=_counts)
    nan_counts: array[int] = dataclasses.field(default_factory=_counts)
    min_values: array[float] = dataclasses.field(default_factory=_numbers)
    min_steps: array[int] = dataclasses.field(default_factory=_integers)
    max_values: array[float] = dataclasses.field(default_factory=_numbers)
    max_steps: array[int] = dataclasses.field(default_factory=_integers)
    means: array[float] = dataclasses.field(default_factory=_numbers)
    first_steps: array[int] = dataclasses.field(default_factory=_integers)
    first_values: array[float] = dataclasses.field(default_factory=_numbers)
    last_steps: array[int] = dataclasses.field(default_factory=_integers)
    last_values: array[float] = dataclasses.field(default_factory=_numbers)

    def __len__(self) -> int:
        return len(self.steps)

    def buckets(self) -> list[Bucket]:
        """The buckets that have points, by their steps."""
        return [Bucket(*row) for row in zip(*self._columns().values(), strict=True)]

    def to_numpy(self) -> dict[str, numpy.ndarray[Any, numpy.dtype[Any]]]:
        """The columns by their names, as arrays that share their memory with them."""
        # NumPy is not needed by whoever does not ask for it.
        np = importlib.import_module("numpy")
        return {name: np.frombuffer(one, one.typecode) for name, one in self._columns().items()}

    def _columns(self) -> dict[str, array[Any]]:
        return {name: getattr(self, name) for name in _COLUMNS}


_COLUMNS = tuple(
    field.name
    for field in dataclasses.fields(DownsampledHistory)
    if field.name not in {"run_id", "key", "bucket_steps", "lacks_inherited"}
)


class DownsampledHistories(ByRunAndKey[DownsampledHistory]):
    """Metrics in buckets by run and key, in the order that they were asked for."""

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with the columns run_id, key, bucket_steps and those of `Bucket`.

        Raises:
            ImportError: pandas is not installed.
        """
        np = importlib.import_module("numpy")
        all_of = list(self._by_place.values())
        columns = [one.to_numpy() for one in all_of]
        table = {
            "bucket_steps": np.repeat(
                np.array([one.bucket_steps for one in all_of], np.uint64),
                [len(one) for one in all_of],
            )
        }
        for name, field in zip(_COLUMNS, dataclasses.fields(Bucket), strict=True):
            kind = getattr(DownsampledHistory("", ""), name).typecode
            table[field.name] = joined([column[name] for column in columns], kind)
        return self._table(table)


class BucketCollector:
    """Puts the answers of several calls together."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, str], DownsampledHistory] = {}

    def add(self, request: DownsampleMetricHistoryRequest, answer: Any) -> None:
        """Takes a DownsampleMetricHistoryResponse, as protobuf decoded it."""
        lacking = set(answer.lacking_run_ids)
        for run_id in request.run_ids:
            for key in request.keys:
                self._by_place[run_id, key] = DownsampledHistory(
                    run_id, key, answer.bucket_steps, run_id in lacking
                )
        for series in answer.series:
            history = self._by_place[series.run_id, series.key]
            history.steps.extend(cell * answer.bucket_steps for cell in series.cells)
            for name in _COLUMNS[1:]:
                extend(getattr(history, name), getattr(series, name))

    def finish(self, chosen: Sequence[tuple[str, str]]) -> DownsampledHistories:
        """What was collected, in an order."""
        return DownsampledHistories([self._by_place[place] for place in chosen])


BUCKETS: Method[DownsampleMetricHistoryRequest, Any] = dataclasses.replace(
    TRACKING_DOWNSAMPLE_METRIC_HISTORY, decode=as_it_is
)
"""The same call, whose answer stays protobuf's message."""


def bucket_requests(
    runs: Sequence[str], keys: Sequence[str], like: DownsampleMetricHistoryRequest
) -> Iterator[DownsampleMetricHistoryRequest]:
    """The calls that read some metrics of some runs, each within the server's bounds."""
    # What the server refuses anyhow is for it to refuse.
    series = max(1, _BUCKETS_PER_CALL // max(1, like.bucket_count or _STANDARD_BUCKETS))
    for some_keys in cut(keys, min(_KEYS_PER_CALL, series)):
        for some_runs in cut(runs, min(_RUNS_PER_CALL, series // len(some_keys))):
            yield dataclasses.replace(like, run_ids=some_runs, keys=some_keys)
