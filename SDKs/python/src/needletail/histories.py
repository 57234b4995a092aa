"""What runs measured, in columns: as lists, NumPy arrays and pandas tables."""

from __future__ import annotations

import dataclasses
import importlib
from array import array
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from needletail._generated.tracking import StreamMetricHistoriesRequest
from needletail._generated.tracking_calls import TRACKING_STREAM_METRIC_HISTORIES
from needletail._methods import Method

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy

    from needletail.client import Client

_RUNS_PER_CALL = 100
_KEYS_PER_CALL = 100
_METRICS_PER_PAGE = 1_000


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


class Histories(Mapping[tuple[str, str], MetricHistory]):
    """Histories by run and key, in the order that they were asked for."""

    def __init__(self, histories: Sequence[MetricHistory]) -> None:
        self._by_place = {(history.run_id, history.key): history for history in histories}

    def __getitem__(self, place: tuple[str, str]) -> MetricHistory:
        return self._by_place[place]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._by_place)

    def __len__(self) -> int:
        return len(self._by_place)

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
        counts = [len(history) for history in all_of]

        def joined(place: int, kind: str) -> Any:
            parts = [column[place] for column in columns]
            return np.concatenate(parts) if parts else np.empty(0, kind)

        def repeated(names: list[str]) -> Any:
            known = list(dict.fromkeys(names))
            codes = np.repeat([known.index(name) for name in names], counts)
            return pandas.Categorical.from_codes(codes.astype(np.int64), known)

        times = pandas.to_datetime(joined(1, "int64"), unit="us", utc=True)
        table = {
            "run_id": repeated([history.run_id for history in all_of]),
            "key": repeated([history.key for history in all_of]),
            "step": joined(0, "int64"),
            "time": times,
            "value": joined(2, "float64"),
        }
        if any(history.xs for history in all_of):
            table["x"] = np.concatenate([np.frombuffer(one.xs, np.float64) for one in all_of])
        return pandas.DataFrame(table)


class Collector:
    """Puts the parts of several histories together, column by column."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, str], MetricHistory] = {}

    def expect(self, run_id: str, key: str) -> None:
        """Makes room for a history, which may come to have no points."""
        self._of(run_id, key)

    def add(self, part: Any) -> None:
        """Takes a StreamMetricHistoriesResponse, as protobuf decoded it."""
        series = part.series
        history = self._of(part.run_id, series.key)
        _extend(history.steps, series.steps)
        _extend(history.times_us, series.times_us)
        _extend(history.values, series.values)
        _extend(history.xs, series.xs)

    def finish(self) -> Histories:
        """What was collected."""
        return Histories(list(self._by_place.values()))

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


def _extend(column: array[Any], more: Any) -> None:
    """Adds a column of a message, as one copy of memory where protobuf and NumPy can."""
    np = _numpy() if hasattr(more, "__array__") else None
    if np is None:
        column.fromlist(more[:])
    else:
        column.frombytes(np.asarray(more).astype(column.typecode, copy=False).data.cast("B"))


def _as_it_is(message: Any) -> Any:
    return message


COLUMNS: Method[StreamMetricHistoriesRequest, Any] = Method(
    name=TRACKING_STREAM_METRIC_HISTORIES.name,
    kind=TRACKING_STREAM_METRIC_HISTORIES.kind,
    idempotency=TRACKING_STREAM_METRIC_HISTORIES.idempotency,
    request_class=TRACKING_STREAM_METRIC_HISTORIES.request_class,
    response_class=TRACKING_STREAM_METRIC_HISTORIES.response_class,
    encode=TRACKING_STREAM_METRIC_HISTORIES.encode,
    decode=_as_it_is,
)
"""The same call, whose answers stay protobuf's messages: making others would cost more than all
the rest."""


def requests(
    runs: Sequence[str],
    keys: Sequence[str],
    from_step: int | None,
    *,
    x: str = "",
    skips_inherited: bool = False,
) -> Iterator[StreamMetricHistoriesRequest]:
    """The calls that read some metrics of some runs, each within the server's bounds."""
    runs, keys = list(dict.fromkeys(runs)), list(dict.fromkeys(keys))
    for first_run in range(0, len(runs), _RUNS_PER_CALL):
        for first_key in range(0, len(keys), _KEYS_PER_CALL):
            yield StreamMetricHistoriesRequest(
                run_ids=tuple(runs[first_run : first_run + _RUNS_PER_CALL]),
                keys=tuple(keys[first_key : first_key + _KEYS_PER_CALL]),
                from_step=from_step,
                x_key=x,
                skips_inherited=skips_inherited,
            )


def read_histories(
    client: Client,
    runs: str | Sequence[str],
    keys: str | Sequence[str] | None,
    *,
    x: str = "",
    from_step: int | None = None,
    skips_inherited: bool = False,
    timeout_seconds: float | None = None,
) -> Histories:
    """What `Client.history` does."""
    runs = [runs] if isinstance(runs, str) else list(dict.fromkeys(runs))
    collector = Collector()
    if keys is None:
        chosen = [([run_id], list(_metric_keys(client, run_id))) for run_id in runs]
    else:
        chosen = [(runs, [keys] if isinstance(keys, str) else list(dict.fromkeys(keys)))]
    caller = client.tracking._caller
    for run_ids, of_keys in chosen:
        for run_id in run_ids:
            for key in of_keys:
                collector.expect(run_id, key)
        for request in requests(run_ids, of_keys, from_step, x=x, skips_inherited=skips_inherited):
            with caller.server_streaming(COLUMNS, request, timeout_seconds) as parts:
                for part in parts:
                    collector.add(part)
    return collector.finish()


def _metric_keys(client: Client, run_id: str) -> Iterator[str]:
    page_token = ""
    while True:
        page = client.tracking.list_run_metrics(
            run_id=run_id, page_size=_METRICS_PER_PAGE, page_token=page_token
        )
        yield from (metric.key for metric in page.metrics)
        page_token = page.next_page_token
        if not page_token:
            return
