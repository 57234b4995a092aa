"""Streams, windows and limits of the synchronous client, against a scripted peer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import needletail
from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import Peer, PeerConnection

    MakePeer = Callable[..., Peer]
    Connect = Callable[..., needletail.Client]

WatchResponse = message_class("needletail.tracking.v1.WatchRunResponse")
AppendResponse = message_class("needletail.tracking.v1.AppendMetricsResponse")


def watch_messages(count: int) -> list[bytes]:
    return [
        WatchResponse(resume_token=f"token-{index:06}").SerializeToString()
        for index in range(count)
    ]


def test_a_stream_is_an_iterator(make_peer: MakePeer, connect: Connect) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        assert call.call.timeout_ms == 0
        for message in watch_messages(100):
            connection.data(call.stream, message)
        connection.end(call.stream)
        connection.wait_for_close()

    stream = connect(make_peer(script)).tracking.watch_run(run_id="r")
    tokens = [message.resume_token for message in stream]
    assert tokens == [f"token-{index:06}" for index in range(100)]


def test_closing_an_iterator_cancels_the_stream(make_peer: MakePeer, connect: Connect) -> None:
    cancelled = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        for message in watch_messages(3):
            connection.data(call.stream, message)
        connection.receive_body("cancel")
        cancelled.set()
        connection.fail(call.stream, 1, "CANCELLED")
        connection.wait_for_close()

    client = connect(make_peer(script))
    with client.tracking.watch_run(run_id="r") as stream:
        assert next(stream).resume_token == "token-000000"
    assert cancelled.wait(10)
    with pytest.raises(needletail.CallCancelledError):
        next(stream)


def test_forgetting_an_iterator_cancels_the_stream(make_peer: MakePeer, connect: Connect) -> None:
    cancelled = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.data(connection.receive_body("call").stream, watch_messages(1)[0])
        connection.receive_body("cancel")
        cancelled.set()
        connection.wait_for_close()

    for _ in connect(make_peer(script)).tracking.watch_run(run_id="r"):
        break
    assert cancelled.wait(10)


def test_credit_comes_only_for_what_was_taken(make_peer: MakePeer, connect: Connect) -> None:
    """The peer fills the window, stops, and goes on as credit comes."""
    block = WatchResponse(resume_token="x" * (256 << 10)).SerializeToString()
    returned: list[int] = []
    filled = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        window = 1 << 20
        for _ in range(32):
            while window <= 0:
                filled.set()
                frame = connection.receive_body("credit")
                if frame.stream == call.stream:
                    returned.append(frame.credit.bytes)
                    window += frame.credit.bytes
            connection.data(call.stream, block)
            window -= len(block)
        connection.end(call.stream)
        connection.wait_for_close()

    stream = connect(make_peer(script)).tracking.watch_run(run_id="r")
    assert filled.wait(10)
    assert returned == []
    assert sum(1 for _ in stream) == 32
    assert returned


def test_sending_waits_for_the_servers_window(make_peer: MakePeer, connect: Connect) -> None:
    received: list[int] = []
    opened = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome(stream_window_bytes=1000)
        call = connection.receive_body("call")
        assert call.call.no_message
        for _ in range(2):
            received.append(len(connection.receive_body("data").data.message))
        assert opened.wait(10)
        connection.credit(call.stream, 10_000)
        for _ in range(2):
            received.append(len(connection.receive_body("data").data.message))
        assert connection.receive_body("data").data.end_of_requests
        connection.data(call.stream, AppendResponse(acknowledged_sequence=4).SerializeToString())
        connection.end(call.stream)
        connection.wait_for_close()

    client = connect(make_peer(script))
    message = needletail.tracking.AppendMetricsRequest(writer_id="w" * 498)
    with client.tracking.append_metrics() as call:
        for _ in range(2):
            call.send(message)

        def send_two() -> None:
            call.send(message)
            call.send(message)

        sender = threading.Thread(target=send_two)
        sender.start()
        opened.set()
        sender.join(10)
        call.half_close()
        assert [answer.acknowledged_sequence for answer in call] == [4]
    assert received == [501] * 4


def test_receive_can_time_out(make_peer: MakePeer, connect: Connect) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.wait_for_close()

    with connect(make_peer(script)).tracking.append_metrics() as call, pytest.raises(TimeoutError):
        call.receive(timeout_seconds=0.05)


def test_a_message_larger_than_a_frame_is_refused_here(
    make_peer: MakePeer, connect: Connect
) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome(max_frame_bytes=10_000)
        connection.wait_for_close()

    with pytest.raises(needletail.ResourceExhaustedError) as caught:
        connect(make_peer(script)).server.echo(payload=b"x" * 10_000)
    assert caught.value.reason == "REQUEST_TOO_LARGE"


def test_calls_beyond_the_stream_limit_wait(make_peer: MakePeer, connect: Connect) -> None:
    open_at_once: list[int] = []

    def script(connection: PeerConnection) -> None:
        connection.welcome(max_open_streams=2)
        for _ in range(3):
            calls = [connection.receive_body("call") for _ in range(2)]
            open_at_once.append(len(calls))
            for call in calls:
                connection.end(call.stream, call.call.message)
        connection.wait_for_close()

    client = connect(make_peer(script))
    threads = [threading.Thread(target=client.server.echo) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert open_at_once == [2, 2, 2]


def test_pages_are_walked(make_peer: MakePeer, connect: Connect) -> None:
    page = message_class("needletail.tracking.v1.ListRunsResponse")
    request = message_class("needletail.tracking.v1.ListRunsRequest")

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        for expected, following in (("", "t1"), ("t1", "t2"), ("t2", "")):
            call = connection.receive_body("call")
            assert request.FromString(call.call.message).page_token == expected
            answer = page(next_page_token=following)
            answer.runs.add(id=f"run-{expected}")
            connection.end(call.stream, answer.SerializeToString())
        connection.wait_for_close()

    runs = connect(make_peer(script)).tracking.iterate_runs(page_size=1)
    assert [run.id for run in runs] == ["run-", "run-t1", "run-t2"]
