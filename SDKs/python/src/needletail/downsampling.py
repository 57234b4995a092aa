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
    """The points of one metric of one run whose steps are in a range, or whose times are."""

    step: int
    """The first step that is the bucket's; it has `bucket_steps` of them. By time, the step of its
    first point."""

    count: int
    """Points in it, at least one, with those that are NaN."""

    nan_count: int
    """Of them, those that are NaN."""

    min_value: float
    """The least value that is not NaN, exactly; NaN when there is none."""

    min_step: int
    """The first step that had the least value, by time that of the first point; 0 when there is
    none."""

    max_value: float
    """The greatest value that is not NaN, exactly; NaN when there is none."""

    max_step: int
    """The first step that had the greatest value, by time that of the first point; 0 when there is
    none."""

    mean: float
    """Of the values that are not NaN; NaN when there is none, or infinities of both signs."""

    first_step: int
    """The step of the first point."""

    first_value: float
    """The value of the first point by (step, time, value), by time by (time, step, value); may be
    NaN."""

    last_step: int
    """The step of the last point."""

    last_value: float
    """The value of the last point in the same order; may be NaN."""

    time_us: int = 0
    """By time, the first microsecond since 1970 that is the bucket's; it has `bucket_us` of them.
    By step, this and the other times are 0."""

    min_time_us: int = 0
    """By time, when the least value was first; 0 when there is none."""

    max_time_us: int = 0
    """By time, when the greatest value was first; 0 when there is none."""

    first_time_us: int = 0
    """By time, the time of the first point."""

    last_time_us: int = 0
    """By time, the time of the last point."""


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
    """How many steps a bucket has: a power of two, at most 2**63; 0 by time."""

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
    times_us: array[int] = dataclasses.field(default_factory=_integers)
    min_times_us: array[int] = dataclasses.field(default_factory=_integers)
    max_times_us: array[int] = dataclasses.field(default_factory=_integers)
    first_times_us: array[int] = dataclasses.field(default_factory=_integers)
    last_times_us: array[int] = dataclasses.field(default_factory=_integers)

    bucket_us: int = 0
    """How many microseconds a bucket has: a power of two, at most 2**63; 0 by step."""

    def __len__(self) -> int:
        return len(self.steps)

    def buckets(self) -> list[Bucket]:
        """The buckets that have points, by their steps, or by their times."""
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
    if field.name not in {"run_id", "key", "bucket_steps", "bucket_us", "lacks_inherited"}
)
# What an answer has of them only by time.
_TIMES = ("min_times_us", "max_times_us", "first_times_us", "last_times_us")


class DownsampledHistories(ByRunAndKey[DownsampledHistory]):
    """Metrics in buckets by run and key, in the order that they were asked for."""

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with what buckets say.

        Its columns are run_id, key, bucket_steps, bucket_us and those of `Bucket`.

        Raises:
            ImportError: pandas is not installed.
        """
        np = importlib.import_module("numpy")
        all_of = list(self._by_place.values())
        columns = [one.to_numpy() for one in all_of]
        lengths = [len(one) for one in all_of]
        table = {
            name: np.repeat(np.array([getattr(one, name) for one in all_of], np.uint64), lengths)
            for name in ("bucket_steps", "bucket_us")
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
                    run_id, key, answer.bucket_steps, run_id in lacking, bucket_us=answer.bucket_us
                )
        for series in answer.series:
            history = self._by_place[series.run_id, series.key]
            _place(history, series, answer)
            for name in _COLUMNS:
                if name not in {"steps", "times_us", *_TIMES}:
                    extend(getattr(history, name), getattr(series, name))

    def finish(self, chosen: Sequence[tuple[str, str]]) -> DownsampledHistories:
        """What was collected, in an order."""
        return DownsampledHistories([self._by_place[place] for place in chosen])


def _place(history: DownsampledHistory, series: Any, answer: Any) -> None:
    """Says where the buckets of an answer's series begin, and when what is in them was."""
    if answer.bucket_us:
        extend(history.steps, series.first_steps)
        history.times_us.extend(cell * answer.bucket_us for cell in series.cells)
        for name in _TIMES:
            extend(getattr(history, name), getattr(series, name))
        return
    history.steps.extend(cell * answer.bucket_steps for cell in series.cells)
    for name in ("times_us", *_TIMES):
        getattr(history, name).frombytes(bytes(8 * len(series.cells)))


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
