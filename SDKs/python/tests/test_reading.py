"""Reads of several calls, of both clients, against a scripted peer."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

import needletail
from needletail._generated.descriptors import message_class
from needletail._generated.tracking import BucketAxis, DownsampleMetricHistoryRequest
from needletail._reading import following
from needletail.downsampling import bucket_requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import Certificates, Peer, PeerConnection

    MakePeer = Callable[..., Peer]
    # A method of a client that is called, awaited or walked over until its end.
    Read = Callable[..., Any]

T = "needletail.tracking.v1."
INT64_MIN = -(1 << 63)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_PAUSE_SECONDS", (0.001, 0.002))


@pytest.fixture(params=["blocking", "asyncio"])
def read(request: pytest.FixtureRequest, certificates: Certificates) -> Read:
    """Reads the same with either client: what a method gives, or the list of what it walks over."""
    options: dict[str, Any] = {"api_key": "k", "ca_file": str(certificates.ca_file)}

    def with_blocking(peer: Peer, name: str, *arguments: Any, **named: Any) -> Any:
        with needletail.connect(peer.url, **options, timeout_seconds=10) as client:
            found = getattr(client, name)(*arguments, **named)
            return list(found) if inspect.isgenerator(found) else found

    async def awaited(peer: Peer, name: str, *arguments: Any, **named: Any) -> Any:
        async with needletail.aio.connect(peer.url, **options, timeout_seconds=10) as client:
            found = getattr(client, name)(*arguments, **named)
            return [one async for one in found] if inspect.isasyncgen(found) else await found

    def with_asyncio(*arguments: Any, **named: Any) -> Any:
        return asyncio.run(asyncio.wait_for(awaited(*arguments, **named), 20))

    return with_blocking if request.param == "blocking" else with_asyncio


class Script:
    """Answers each call by a function of its name and request; keeps the requests."""

    def __init__(self, **answers: Callable[[Any], Any]) -> None:
        self.answers = answers
        self.requests: list[Any] = []

    def __call__(self, connection: PeerConnection) -> None:
        connection.welcome()
        while True:
            frame = connection.receive()
            if frame.WhichOneof("body") != "call":
                continue
            name = frame.call.method.rpartition("/")[2]
            request = message_class(f"{T}{name}Request").FromString(frame.call.message)
            self.requests.append(request)
            answer = self.answers[name](request)
            if answer is None:
                connection.cut()
                return
            messages, *last = answer if isinstance(answer, tuple) else ([], answer)
            for one in messages:
                connection.data(frame.stream, one.SerializeToString())
            if not last:
                connection.cut()
                return
            connection.end(frame.stream, last[0].SerializeToString())


def buckets(request: Any) -> Any:
    """Two buckets of each metric that is asked for, but for the key `never`."""
    answer = message_class(T + "DownsampleMetricHistoryResponse")(bucket_steps=4)
    answer.lacking_run_ids.extend(one for one in request.run_ids if one == "fork")
    for run_id in request.run_ids:
        for key in request.keys:
            if key == "never":
                continue
            answer.series.add(
                run_id=run_id, key=key, cells=[-1, 2], counts=[3, 1], nan_counts=[1, 1],
                min_values=[-math.inf, math.nan], min_steps=[-3, 0],
                max_values=[0.5, math.nan], max_steps=[-2, 0], means=[-math.inf, math.nan],
                first_steps=[-4, 9], first_values=[math.nan, math.nan],
                last_steps=[-2, 9], last_values=[0.5, math.nan],
            )  # fmt: skip
    return answer


def test_metrics_come_in_buckets(make_peer: MakePeer, read: Read) -> None:
    script = Script(DownsampleMetricHistory=buckets)
    found = read(
        make_peer(script), "downsample", ["b", "a"], ["loss", "never"], bucket_count=10,
        from_step=-4, to_step=11, skips_inherited=True,
    )  # fmt: skip
    (request,) = script.requests
    assert (list(request.run_ids), list(request.keys)) == (["b", "a"], ["loss", "never"])
    assert (request.bucket_count, request.from_step, request.to_step) == (10, -4, 11)
    assert request.skips_inherited
    assert list(found) == [(run, key) for run in "ba" for key in ("loss", "never")]
    loss = found["a", "loss"]
    assert (loss.bucket_steps, len(loss), found.lacking_run_ids) == (4, 2, ())
    first, second = loss.buckets()
    assert (first.step, first.count, first.nan_count) == (-4, 3, 1)
    assert (first.min_value, first.min_step) == (-math.inf, -3)
    assert (first.max_value, first.max_step, first.mean) == (0.5, -2, -math.inf)
    assert (first.first_step, first.last_step, first.last_value) == (-4, -2, 0.5)
    assert math.isnan(first.first_value)
    assert (second.step, second.count) == (8, 1)
    assert math.isnan(second.min_value)
    assert (len(found["a", "never"]), found["a", "never"].buckets()) == (0, [])


def test_columns_of_buckets_are_arrays_and_a_table(make_peer: MakePeer, read: Read) -> None:
    numpy = pytest.importorskip("numpy")
    found = read(make_peer(Script(DownsampleMetricHistory=buckets)), "downsample", "a", "loss")
    history = found["a", "loss"]
    columns = history.to_numpy()
    assert columns["steps"].tolist() == [-4, 8]
    assert (columns["counts"].dtype, columns["means"].dtype) == (numpy.uint64, numpy.float64)
    history.max_values[0] = 9.0
    assert columns["max_values"][0] == 9.0
    pytest.importorskip("pandas")
    table = found.to_pandas()
    assert list(table.columns[:6]) == [
        "run_id", "key", "bucket_steps", "bucket_us", "step", "count",
    ]  # fmt: skip
    assert (table["key"].tolist(), table["step"].tolist()) == (["loss", "loss"], [-4, 8])
    assert table["min_value"][0] == -math.inf


def test_buckets_of_times_know_their_times(make_peer: MakePeer, read: Read) -> None:
    def by_time(request: Any) -> Any:
        answer = buckets(request)
        answer.bucket_steps, answer.bucket_us = 0, 1 << 20
        series = answer.series[0]
        series.cells[:] = [2, 5]
        series.min_times_us[:], series.max_times_us[:] = [2_100_000, 0], [2_200_000, 0]
        series.first_times_us[:], series.last_times_us[:] = [2_100_000, 5_300_000], [2_300_000] * 2
        return answer

    script = Script(DownsampleMetricHistory=by_time)
    found = read(
        make_peer(script), "downsample", "a", "loss", axis=BucketAxis.TIME, from_time_us=0,
        to_time_us=9_000_000,
    )  # fmt: skip
    (request,) = script.requests
    assert (request.axis, request.from_time_us, request.to_time_us) == (2, 0, 9_000_000)
    loss = found["a", "loss"]
    assert (loss.bucket_steps, loss.bucket_us) == (0, 1 << 20)
    first, second = loss.buckets()
    assert (first.step, first.time_us, first.min_time_us) == (-4, 2 << 20, 2_100_000)
    assert (first.max_time_us, first.first_time_us, first.last_time_us) == (
        2_200_000, 2_100_000, 2_300_000,
    )  # fmt: skip
    assert (second.time_us, second.min_time_us, second.first_time_us) == (5 << 20, 0, 5_300_000)


def test_a_bucket_may_begin_at_the_smallest_step(make_peer: MakePeer, read: Read) -> None:
    def widest(request: Any) -> Any:
        answer = buckets(request)
        answer.bucket_steps = 1 << 63
        answer.series[0].cells[:] = [-1, 0]
        return answer

    found = read(make_peer(Script(DownsampleMetricHistory=widest)), "downsample", "a", "loss")
    assert found["a", "loss"].steps.tolist() == [INT64_MIN, 0]
    assert found["a", "loss"].bucket_steps == 1 << 63


def test_calls_for_buckets_stay_within_the_bounds_of_the_server() -> None:
    runs = [f"run {number}" for number in range(60)]
    keys = [f"key {number}" for number in range(70)]
    for count, standard in ((0, 1_000), (10_000, 10_000), (1, 1)):
        like = DownsampleMetricHistoryRequest(bucket_count=count, to_step=7)
        made = list(bucket_requests([*runs, runs[0]], [*keys, keys[0]], like))
        for one in made:
            assert 1 <= len(one.run_ids) <= 50
            assert 1 <= len(one.keys) <= 50
            assert len(one.run_ids) * len(one.keys) * standard <= 200_000
            assert (one.bucket_count, one.to_step) == (count, 7)
        asked = [(run, key) for one in made for run in one.run_ids for key in one.keys]
        assert len(asked) == len(set(asked)) == 60 * 70


def test_a_bound_that_is_broken_is_the_servers_to_refuse() -> None:
    like = DownsampleMetricHistoryRequest(bucket_count=1_000_000)
    (one,) = bucket_requests(["a"], ["loss"], like)
    assert one.bucket_count == 1_000_000


def metric_page(request: Any) -> Any:
    """Two pages of one metric each."""
    page = message_class(T + "ListRunMetricsResponse")()
    page.metrics.add(key="accuracy" if not request.page_token else "loss")
    page.next_page_token = "" if request.page_token else "second"
    return page


def test_without_keys_all_that_a_run_logged_is_read(make_peer: MakePeer, read: Read) -> None:
    script = Script(ListRunMetrics=metric_page, DownsampleMetricHistory=buckets)
    found = read(make_peer(script), "downsample", "a")
    assert list(found) == [("a", "accuracy"), ("a", "loss")]
    assert [one.DESCRIPTOR.name for one in script.requests] == [
        "ListRunMetricsRequest", "ListRunMetricsRequest", "DownsampleMetricHistoryRequest",
    ]  # fmt: skip


def parts(request: Any) -> Any:
    """One point of each metric of each run; none of a fork, which lacks them."""
    answer = message_class(T + "StreamMetricHistoriesResponse")
    found = []
    for run_id in request.run_ids:
        for key in request.keys:
            one = answer(run_id=run_id, lacks_inherited=run_id == "fork")
            one.series.key = key
            if run_id != "fork":
                one.series.steps.append(request.from_step)
                one.series.times_us.append(10)
                one.series.values.append(0.5)
            found.append(one)
    return found, answer()


def test_histories_are_read_with_all_their_metrics(make_peer: MakePeer, read: Read) -> None:
    script = Script(ListRunMetrics=metric_page, StreamMetricHistories=parts)
    found = read(make_peer(script), "history", ["a"], from_step=7, x="epoch")
    assert {place: one.points() for place, one in found.items()} == {
        ("a", "accuracy"): [(7, 10, 0.5)], ("a", "loss"): [(7, 10, 0.5)],
    }  # fmt: skip
    assert (script.requests[-1].x_key, found.lacking_run_ids) == ("epoch", ())


@pytest.mark.parametrize("name", ["history", "downsample"])
def test_a_fork_that_lacks_points_is_told_of(
    make_peer: MakePeer, read: Read, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    script = Script(StreamMetricHistories=parts, DownsampleMetricHistory=buckets)
    with caplog.at_level(logging.WARNING, "needletail"):
        found = read(make_peer(script), name, ["whole", "fork"], "never")
    assert found.lacking_run_ids == ("fork",)
    assert found["fork", "never"].lacks_inherited
    assert not found["whole", "never"].lacks_inherited
    (record,) = caplog.records
    assert "the forks are fork" in record.getMessage()


def test_a_search_is_read_with_its_pages(make_peer: MakePeer, read: Read) -> None:
    def page(request: Any) -> Any:
        answer = message_class(T + "SearchRunsResponse")()
        answer.runs.add().run.id = request.page_token or "first"
        answer.next_page_token = {"": "second", "second": "third"}.get(request.page_token, "")
        return answer

    script = Script(SearchRuns=page)
    found = read(
        make_peer(script), "iterate_search_runs", filter="metrics.loss < 1", page_size=1,
        experiment_ids=["e"],
    )  # fmt: skip
    assert [one.run.id for one in found] == ["first", "second", "third"]
    assert {(one.filter, one.page_size) for one in script.requests} == {("metrics.loss < 1", 1)}


@pytest.mark.parametrize("name", ["WatchRun", "WatchExperiment"])
def test_a_watch_goes_on_where_it_was(make_peer: MakePeer, read: Read, name: str) -> None:
    response = message_class(f"{T}{name}Response")

    def watch(request: Any) -> Any:
        if not request.resume_token:
            return ([response(resume_token="1"), response(resume_token="2")],)
        assert request.resume_token == "2"
        if len(script.requests) == 2:
            return None
        return [response(resume_token="3")], response()

    script = Script(**{name: watch})
    method = "watch_run" if name == "WatchRun" else "watch_experiment"
    changes = read(make_peer(script), method, "the id", skip_history=True)
    assert [one.resume_token for one in changes] == ["1", "2", "3"]
    assert [one.resume_token for one in script.requests] == ["", "2", "2"]
    assert all(one.skip_history for one in script.requests)


def test_an_experiment_is_watched_until_all_was_told(make_peer: MakePeer, read: Read) -> None:
    response = message_class(f"{T}WatchExperimentResponse")
    script = Script(WatchExperiment=lambda _: ([response(resume_token="1")], response()))
    changes = read(make_peer(script), "watch_experiment", "e", catch_up=True)
    assert [one.resume_token for one in changes] == ["1"]
    assert script.requests[0].catch_up


def test_a_watch_ends_when_patience_does(make_peer: MakePeer, read: Read) -> None:
    first = message_class(T + "WatchRunResponse")(resume_token="1")
    peer = make_peer(Script(WatchRun=lambda _: ([first],)))
    with pytest.raises(needletail.UnavailableError):
        read(peer, "watch_run", "the id", patience_seconds=0.0)


def test_a_watch_that_is_left_early_is_cancelled(
    make_peer: MakePeer, certificates: Certificates
) -> None:
    response = message_class(T + "WatchRunResponse")
    cancelled = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        connection.data(call.stream, response(resume_token="1").SerializeToString())
        connection.receive_body("cancel")
        cancelled.set()
        connection.wait_for_close()

    async def main() -> None:
        peer = make_peer(script)
        async with needletail.aio.connect(
            peer.url, api_key="k", ca_file=str(certificates.ca_file)
        ) as client:
            async with contextlib.aclosing(client.watch_run("r")) as changes:
                assert (await anext(changes)).resume_token == "1"
            assert await asyncio.to_thread(cancelled.wait, 10)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_run_that_is_not_created_has_no_buckets(
    start_run: Callable[..., needletail.ActiveRun], make_peer: MakePeer
) -> None:
    peer = make_peer(lambda _: None)
    peer.close()
    run = start_run(peer.port, start_timeout_seconds=0.05)
    with pytest.raises(RuntimeError):
        run.downsample("loss")
    run.finish(timeout_seconds=0.0)
