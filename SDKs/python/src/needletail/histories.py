"""What runs measured, in columns: as lists, NumPy arrays and pandas tables."""

from __future__ import annotations

import dataclasses
import importlib
from array import array
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from needletail._generated.tracking_calls import TRACKING_STREAM_METRIC_HISTORIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy

    from needletail._generated.tracking import StreamMetricHistoriesRequest
    from needletail._methods import Method

RUNS_PER_CALL = 100
KEYS_PER_CALL = 100


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class MetricHistory:
    """All points of one metric of one run, by (step, time, value)."""

    run_id: str
    key: str
    steps: array[int]
    """64-bit integers."""

    times_us: array[int]
    """Microseconds since 1970."""

    values: array[float]

    xs: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    """What the metric that was asked for as `x` was at the step of each point; empty without it."""

    lacks_inherited: bool = False
    """Points are missing at the beginning: the run is a fork, and a run that it was forked from is
    deleted, or not for the caller to see."""

    def __len__(self) -> int:
        return len(self.values)

    def points(self) -> list[tuple[int, int, float]]:
        """The points as (step, microseconds since 1970, value)."""
        return list(zip(self.steps, self.times_us, self.values, strict=True))

    def to_numpy(
        self,
    ) -> tuple[
        numpy.ndarray[Any, numpy.dtype[numpy.int64]],
        numpy.ndarray[Any, numpy.dtype[numpy.int64]],
        numpy.ndarray[Any, numpy.dtype[numpy.float64]],
    ]:
        """Steps, times and values as arrays that share their memory with these columns."""
        # NumPy is not needed by whoever does not ask for it.
        np = importlib.import_module("numpy")
        return (
            np.frombuffer(self.steps, np.int64),
            np.frombuffer(self.times_us, np.int64),
            np.frombuffer(self.values, np.float64),
        )


class _Placed(Protocol):
    """What is of one metric of one run."""

    @property
    def run_id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def lacks_inherited(self) -> bool: ...
    def __len__(self) -> int: ...


One = TypeVar("One", bound=_Placed)


class ByRunAndKey(Mapping[tuple[str, str], One]):
    """What is of metrics of runs, by run and key, in the order that they were asked for."""

    def __init__(self, all_of: Sequence[One]) -> None:
        self._by_place = {(one.run_id, one.key): one for one in all_of}

    def __getitem__(self, place: tuple[str, str]) -> One:
        return self._by_place[place]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._by_place)

    def __len__(self) -> int:
        return len(self._by_place)

    @property
    def lacking_run_ids(self) -> tuple[str, ...]:
        """The forks that lack points, because a run that they were forked from can't be read."""
        lacking = (one.run_id for one in self._by_place.values() if one.lacks_inherited)
        return tuple(dict.fromkeys(lacking))

    def _table(self, columns: Mapping[str, Any]) -> Any:
        """A `pandas.DataFrame` of the columns, behind run_id and key."""
        pandas = importlib.import_module("pandas")
        np = importlib.import_module("numpy")
        counts = [len(one) for one in self._by_place.values()]

        def repeated(place: int) -> Any:
            names = [place_of[place] for place_of in self._by_place]
            known = {name: number for number, name in enumerate(dict.fromkeys(names))}
            codes = np.repeat([known[name] for name in names], counts)
            return pandas.Categorical.from_codes(codes.astype(np.int64), list(known))

        return pandas.DataFrame({"run_id": repeated(0), "key": repeated(1), **columns})


def joined(parts: Sequence[Any], kind: str) -> Any:
    """Arrays of NumPy one behind another."""
    np = importlib.import_module("numpy")
    return np.concatenate(parts) if parts else np.empty(0, kind)


class Histories(ByRunAndKey[MetricHistory]):
    """Histories by run and key, in the order that they were asked for."""

    @property
    def point_count(self) -> int:
        """How many points there are in all of them."""
        return sum(map(len, self._by_place.values()))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with the columns run_id, key, step, time and value, and x if asked.

        Raises:
            ImportError: pandas is not installed.
        """
        pandas = importlib.import_module("pandas")
        np = importlib.import_module("numpy")
        all_of = list(self._by_place.values())
        columns = [history.to_numpy() for history in all_of]
        times = joined([column[1] for column in columns], "int64")
        table = {
            "step": joined([column[0] for column in columns], "int64"),
            "time": pandas.to_datetime(times, unit="us", utc=True),
            "value": joined([column[2] for column in columns], "float64"),
        }
        if any(history.xs for history in all_of):
            table["x"] = joined([np.frombuffer(one.xs, np.float64) for one in all_of], "float64")
        return self._table(table)


class Collector:
    """Puts the parts of several histories together, column by column."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, str], MetricHistory] = {}
        self._lacking: set[str] = set()

    def expect(self, run_id: str, key: str) -> None:
        """Makes room for a history, which may come to have no points."""
        self._of(run_id, key)

    def add(self, part: Any) -> None:
        """Takes a StreamMetricHistoriesResponse, as protobuf decoded it."""
        series = part.series
        history = self._of(part.run_id, series.key)
        extend(history.steps, series.steps)
        extend(history.times_us, series.times_us)
        extend(history.values, series.values)
        extend(history.xs, series.xs)
        if part.lacks_inherited:
            self._lacking.add(part.run_id)

    def finish(self) -> Histories:
        """What was collected."""
        return Histories(
            [
                dataclasses.replace(one, lacks_inherited=one.run_id in self._lacking)
                for one in self._by_place.values()
            ]
        )

    def _of(self, run_id: str, key: str) -> MetricHistory:
        history = self._by_place.get((run_id, key))
        if history is None:
            history = MetricHistory(run_id, key, array("q"), array("q"), array("d"))
            self._by_place[run_id, key] = history
        return history


def _numpy() -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError:
        return None


def extend(column: array[Any], more: Any) -> None:
    """Adds a column of a message, as one copy of memory where protobuf and NumPy can."""
    np = _numpy() if hasattr(more, "__array__") else None
    if np is None:
        column.fromlist(more[:])
    else:
        column.frombytes(np.asarray(more).astype(column.typecode, copy=False).data.cast("B"))


def as_it_is(message: Any) -> Any:
    """Leaves a message as protobuf decoded it."""
    return message


COLUMNS: Method[StreamMetricHistoriesRequest, Any] = dataclasses.replace(
    TRACKING_STREAM_METRIC_HISTORIES, decode=as_it_is
)
"""The same call, whose answers stay protobuf's messages: making others would cost more than all
the rest."""


def requests(
    runs: Sequence[str], keys: Sequence[str], like: StreamMetricHistoriesRequest
) -> Iterator[StreamMetricHistoriesRequest]:
    """The calls that read some metrics of some runs, each within the server's bounds."""
    for some_runs in cut(runs, RUNS_PER_CALL):
        for some_keys in cut(keys, KEYS_PER_CALL):
            yield dataclasses.replace(like, run_ids=some_runs, keys=some_keys)


def cut(names: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """Each name once, in groups of at most a size."""
    names = tuple(dict.fromkeys(names))
    for first in range(0, len(names), size):
        yield names[first : first + size]
