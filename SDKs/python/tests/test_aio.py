"""The asyncio client against a scripted peer."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from peer import echo
from tracking_peer import Store, TrackingScript

import needletail
from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from peer import Certificates, Peer, PeerConnection

    MakePeer = Callable[..., Peer]
    Run = Callable[[Peer, Callable[[needletail.aio.Client], Awaitable[Any]]], Any]

WatchResponse = message_class("needletail.tracking.v1.WatchRunResponse")


@pytest.fixture
def run(certificates: Certificates) -> Run:
    """Runs a coroutine with a client of a peer, within a limit."""

    def start(peer: Peer, body: Callable[[needletail.aio.Client], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            async with needletail.aio.connect(
                peer.url, api_key="k", ca_file=str(certificates.ca_file), timeout_seconds=10
            ) as client:
                return await asyncio.wait_for(body(client), 20)

        return asyncio.run(main())

    return start  # type: ignore[return-value]


def test_many_tasks_share_one_connection(make_peer: MakePeer, run: Run) -> None:
    async def body(client: needletail.aio.Client) -> list[bytes]:
        payloads = [str(index).encode() for index in range(500)]
        answers = await asyncio.gather(*(client.server.echo(payload=p) for p in payloads))
        assert [answer.payload for answer in answers] == payloads
        return payloads

    peer = make_peer(echo)
    run(peer, body)
    assert peer.accepted == 1


def test_calls_are_retried_with_the_same_bytes_and_key(make_peer: MakePeer, run: Run) -> None:
    calls: list[Any] = []
    answer = message_class("needletail.tracking.v1.CreateRunResponse")
    answer_bytes = answer(run={"id": "r"}).SerializeToString()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        calls.append(connection.receive_body("call"))
        if connection.index == 0:
            connection.cut()
            return
        connection.end(1, answer_bytes)
        connection.wait_for_close()

    async def body(client: needletail.aio.Client) -> needletail.tracking.Run:
        return await client.tracking.create_run(experiment_id="e")

    assert run(make_peer(script), body).id == "r"
    assert len({call.call.idempotency_key for call in calls}) == 1
    assert calls[0].call.message == calls[1].call.message


def test_cancelling_a_task_cancels_its_call(make_peer: MakePeer, run: Run) -> None:
    started, cancelled = threading.Event(), threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.receive_body("call")
        started.set()
        connection.receive_body("cancel")
        cancelled.set()
        connection.wait_for_close()

    async def body(client: needletail.aio.Client) -> None:
        task = asyncio.create_task(client.server.health())
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(cancelled.wait, 10)

    run(make_peer(script), body)


def test_a_stream_is_an_asynchronous_iterator_with_back_pressure(
    make_peer: MakePeer, run: Run
) -> None:
    block = WatchResponse(resume_token="x" * (256 << 10)).SerializeToString()
    cancelled = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        window = 1 << 20
        for _ in range(16):
            while window <= 0:
                frame = connection.receive_body("credit")
                window += frame.credit.bytes if frame.stream == call.stream else 0
            connection.data(call.stream, block)
            window -= len(block)
        connection.receive_body("cancel")
        cancelled.set()
        connection.wait_for_close()

    async def body(client: needletail.aio.Client) -> None:
        count = 0
        async with client.tracking.watch_run(run_id="r") as stream:
            async for _ in stream:
                count += 1
                if count == 16:
                    break
        assert await asyncio.to_thread(cancelled.wait, 10)

    run(make_peer(script), body)


def test_a_bidirectional_call_sends_and_receives(make_peer: MakePeer, run: Run) -> None:
    store = Store()

    async def body(client: needletail.aio.Client) -> list[int]:
        acknowledged = []
        async with client.tracking.append_metrics() as call:
            for sequence in range(5):
                request = needletail.tracking.AppendMetricsRequest(writer_id="w", sequence=sequence)
                await call.send(request)
            await call.half_close()
            async for answer in call:
                acknowledged.append(answer.acknowledged_sequence)
        return acknowledged

    assert run(make_peer(TrackingScript(store)), body) == [0, 1, 2, 3, 4]


def test_errors_are_typed(make_peer: MakePeer, run: Run) -> None:
    async def body(client: needletail.aio.Client) -> None:
        with pytest.raises(needletail.UnimplementedError):
            await client.server.health()
        with pytest.raises(needletail.UnimplementedError):
            async for _ in client.tracking.watch_run(run_id="r"):
                pass

    run(make_peer(TrackingScript(Store())), body)


def test_nobody_listening_is_unavailable_within_the_timeout(make_peer: MakePeer, run: Run) -> None:
    peer = make_peer(lambda _: None)
    peer.close()

    async def body(client: needletail.aio.Client) -> None:
        with pytest.raises(needletail.UnavailableError) as caught:
            await client.server.health(timeout_seconds=0.3)
        assert caught.value.reason == "CONNECT_FAILED"

    run(peer, body)


def test_the_deadline_is_kept(make_peer: MakePeer, run: Run) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.wait_for_close()

    async def body(client: needletail.aio.Client) -> None:
        with pytest.raises(needletail.DeadlineExceededError):
            await client.server.health(timeout_seconds=0.1)

    run(make_peer(script), body)


def test_an_untrusted_certificate_is_refused_at_once(
    make_peer: MakePeer, certificates: Certificates
) -> None:
    peer = make_peer(TrackingScript(Store()))

    async def main() -> None:
        async with needletail.aio.connect(
            peer.url, api_key="k", ca_file=str(certificates.other_ca_file)
        ) as client:
            with pytest.raises(needletail.UnavailableError) as caught:
                await client.identity.who_am_i()
            assert caught.value.reason == "TLS_FAILED"

    asyncio.run(main())
