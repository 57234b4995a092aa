"""Which calls a read takes, without I/O: a plan yields calls, and is sent what they answered."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from needletail._generated.tracking import ListRunMetricsRequest
from needletail._generated.tracking_calls import TRACKING_LIST_RUN_METRICS
from needletail._methods import Method, Request, Response
from needletail.downsampling import BUCKETS, BucketCollector, bucket_requests
from needletail.histories import COLUMNS, Collector, requests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from needletail._calls import AsyncCaller, Caller
    from needletail._generated.tracking import (
        DownsampleMetricHistoryRequest,
        SearchRunsRequest,
        SearchRunsResponse,
        StreamMetricHistoriesRequest,
    )
    from needletail.downsampling import DownsampledHistories
    from needletail.histories import ByRunAndKey, Histories

_log = logging.getLogger("needletail")
_METRICS_PER_PAGE = 1_000

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Ask(Generic[Request, Response]):
    """A unary call; the plan is sent its answer."""

    method: Method[Request, Response]
    request: Request


@dataclasses.dataclass(frozen=True)
class Listen(Generic[Request, Response]):
    """A stream of the server, of which every message is taken."""

    method: Method[Request, Response]
    request: Request
    take: Callable[[Response], None]


Plan = Generator[Ask[Any, Any] | Listen[Any, Any], Any, Result]


def carry_out(caller: Caller, plan: Plan[Result], timeout_seconds: float | None) -> Result:
    """Makes the calls of a plan, one after another."""
    answer: Any = None
    while True:
        try:
            step = plan.send(answer)
        except StopIteration as done:
            result: Result = done.value
            return result
        answer = None
        if isinstance(step, Ask):
            answer = caller.unary(step.method, step.request, timeout_seconds, None)
            continue
        with caller.server_streaming(step.method, step.request, timeout_seconds) as messages:
            for message in messages:
                step.take(message)


async def carry_out_async(
    caller: AsyncCaller, plan: Plan[Result], timeout_seconds: float | None
) -> Result:
    """Makes the calls of a plan, one after another."""
    answer: Any = None
    while True:
        try:
            step = plan.send(answer)
        except StopIteration as done:
            result: Result = done.value
            return result
        answer = None
        if isinstance(step, Ask):
            answer = await caller.unary(step.method, step.request, timeout_seconds, None)
            continue
        async with caller.server_streaming(step.method, step.request, timeout_seconds) as messages:
            async for message in messages:
                step.take(message)


def read_histories(
    runs: str | Sequence[str],
    keys: str | Sequence[str] | None,
    like: StreamMetricHistoriesRequest,
) -> Plan[Histories]:
    """All points of metrics of runs."""
    collector = Collector()
    for some_runs, some_keys in (yield from _chosen(runs, keys, like)):
        for run_id in some_runs:
            for key in some_keys:
                collector.expect(run_id, key)
        for request in requests(some_runs, some_keys, like):
            yield Listen(COLUMNS, request, collector.add)
    found = collector.finish()
    _warn(found)
    return found


def read_buckets(
    runs: str | Sequence[str],
    keys: str | Sequence[str] | None,
    like: DownsampleMetricHistoryRequest,
) -> Plan[DownsampledHistories]:
    """Metrics of runs in buckets."""
    collector = BucketCollector()
    places: list[tuple[str, str]] = []
    for some_runs, some_keys in (yield from _chosen(runs, keys, like)):
        places += [(run_id, key) for run_id in some_runs for key in some_keys]
        for request in bucket_requests(some_runs, some_keys, like):
            collector.add(request, (yield Ask(BUCKETS, request)))
    found = collector.finish(places)
    _warn(found)
    return found


def next_page(request: SearchRunsRequest, page: SearchRunsResponse) -> SearchRunsRequest | None:
    """What asks for the page after one; None after the last."""
    if not page.next_page_token:
        return None
    return dataclasses.replace(request, page_token=page.next_page_token)


def _chosen(
    runs: str | Sequence[str],
    keys: str | Sequence[str] | None,
    like: StreamMetricHistoriesRequest | DownsampleMetricHistoryRequest,
) -> Plan[list[tuple[list[str], list[str]]]]:
    """Which keys of which runs, each once; without keys all that each run logged itself."""
    runs = [runs] if isinstance(runs, str) else list(dict.fromkeys(runs))
    if keys is not None:
        return [(runs, [keys] if isinstance(keys, str) else list(dict.fromkeys(keys)))]
    chosen: list[tuple[list[str], list[str]]] = []
    for run_id in runs:
        own_keys = yield from _metric_keys(run_id, include_deleted=like.include_deleted)
        chosen.append(([run_id], own_keys))
    return chosen


def _metric_keys(run_id: str, *, include_deleted: bool) -> Plan[list[str]]:
    keys: list[str] = []
    request = ListRunMetricsRequest(
        run_id=run_id, page_size=_METRICS_PER_PAGE, include_deleted=include_deleted
    )
    while True:
        page = yield Ask(TRACKING_LIST_RUN_METRICS, request)
        keys += [metric.key for metric in page.metrics]
        if not page.next_page_token:
            return keys
        request = dataclasses.replace(request, page_token=page.next_page_token)


def _warn(found: ByRunAndKey[Any]) -> None:
    lacking = found.lacking_run_ids
    if lacking:
        _log.warning(
            "histories lack points, because a run that was forked from is deleted or not for you "
            "to see; the forks are %s",
            ", ".join(lacking),
        )
