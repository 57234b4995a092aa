"""The synchronous client against a scripted peer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from peer import echo

import needletail
from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import Certificates, Peer, PeerConnection

    MakePeer = Callable[..., Peer]
    Connect = Callable[..., needletail.Client]

Echo = message_class("needletail.rpc.v1.EchoResponse")
RunResponse = message_class("needletail.tracking.v1.CreateRunResponse")


def test_hello_names_the_key_and_the_client(make_peer: MakePeer, connect: Connect) -> None:
    seen = []

    def script(connection: PeerConnection) -> None:
        seen.append(connection.welcome())
        call = connection.receive_body("call")
        assert call.stream == 1
        assert call.call.method == "needletail.rpc.v1.Server/Echo"
        assert call.call.end_of_requests
        assert 0 < call.call.timeout_ms <= 10_000
        assert not call.call.idempotency_key
        connection.end(1, call.call.message)
        connection.wait_for_close()

    answer = connect(make_peer(script)).server.echo(payload=b"hi")
    assert answer.payload == b"hi"
    assert seen[0].api_key == "ntl_test"
    assert seen[0].client.startswith("needletail-python/")


def test_many_threads_share_one_connection(make_peer: MakePeer, connect: Connect) -> None:
    peer = make_peer(echo)
    client = connect(peer)
    wrong: list[object] = []

    def work(number: int) -> None:
        for index in range(20):
            payload = f"{number}/{index}".encode()
            if client.server.echo(payload=payload).payload != payload:
                wrong.append(payload)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert peer.accepted == 1


def test_a_refused_key_is_unauthenticated(make_peer: MakePeer, connect: Connect) -> None:
    def script(connection: PeerConnection) -> None:
        connection.receive_body("hello")
        connection.goaway(0, 16, "INVALID_API_KEY", message="no such key")

    with pytest.raises(needletail.UnauthenticatedError) as caught:
        connect(make_peer(script)).identity.who_am_i()
    assert caught.value.reason == "INVALID_API_KEY"
    assert not caught.value.is_retryable


def test_errors_carry_everything_the_server_said(make_peer: MakePeer, connect: Connect) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        connection.fail(
            call.stream,
            3,
            "FIELD_INVALID",
            message="two fields are wrong",
            field_violations=[("name", "is empty"), ("runs[0].id", "is no UUID")],
            retry_after_ms=1500,
            details={"limit": "4"},
            request_id="r-1",
        )
        connection.wait_for_close()

    with pytest.raises(needletail.InvalidArgumentError) as caught:
        connect(make_peer(script)).tracking.create_run(experiment_id="x")
    error = caught.value
    assert (error.code, error.reason) == (needletail.Code.INVALID_ARGUMENT, "FIELD_INVALID")
    assert error.field_violations[1] == needletail.FieldViolation("runs[0].id", "is no UUID")
    assert (error.retry_after, error.request_id, error.details["limit"]) == (1.5, "r-1", "4")


def test_a_mutation_is_repeated_with_the_same_key_and_bytes(
    make_peer: MakePeer, connect: Connect
) -> None:
    calls = []

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        calls.append(connection.receive_body("call"))
        if connection.index == 0:
            connection.cut()
            return
        if connection.index == 1:
            connection.fail(1, 14, "DATABASE_AWAY", message="later")
            calls.append(connection.receive_body("call"))
        response = RunResponse()
        response.run.id = "run-1"
        connection.end(calls[-1].stream, response.SerializeToString())
        connection.wait_for_close()

    run = connect(make_peer(script)).tracking.create_run(experiment_id="e", name="n")
    assert run.id == "run-1"
    assert len(calls) == 3
    assert len({call.call.idempotency_key for call in calls}) == 1
    assert len(calls[0].call.idempotency_key) == 32
    assert len({call.call.message for call in calls}) == 1


def test_a_read_gives_up_within_its_timeout(connect: Connect, make_peer: MakePeer) -> None:
    peer = make_peer(lambda _: None)
    with pytest.raises(needletail.UnavailableError) as caught:
        connect(peer).server.health(timeout_seconds=0.3)
    assert caught.value.reason in {"CONNECT_FAILED", "CONNECTION_LOST"}
    assert peer.accepted > 1


def test_no_answer_in_time_is_deadline_exceeded_and_cancels(
    make_peer: MakePeer, connect: Connect
) -> None:
    cancelled = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.receive_body("call")
        connection.receive_body("cancel")
        cancelled.set()
        connection.wait_for_close()

    with pytest.raises(needletail.DeadlineExceededError):
        connect(make_peer(script)).server.health(timeout_seconds=0.2)
    assert cancelled.wait(10)


def test_a_two_step_drain_loses_no_call(make_peer: MakePeer, connect: Connect) -> None:
    first_call, go_on = threading.Event(), threading.Event()

    def script(connection: PeerConnection) -> None:
        if connection.index > 0:
            echo(connection)
        connection.welcome()
        one = connection.receive_body("call")
        first_call.set()
        two = connection.receive_body("call")
        connection.goaway((1 << 32) - 1)
        connection.goaway(one.stream)
        go_on.wait(10)
        connection.end(one.stream, one.call.message)
        assert two.stream == 2
        connection.wait_for_close()

    peer = make_peer(script)
    client = connect(peer)
    answers = {}

    def call(name: str) -> None:
        answers[name] = client.server.echo(payload=name.encode()).payload

    threads = [threading.Thread(target=call, args=("one",))]
    threads[0].start()
    assert first_call.wait(10)
    threads.append(threading.Thread(target=call, args=("two",)))
    threads[1].start()
    threads[1].join(10)
    assert answers == {"two": b"two"}
    go_on.set()
    threads[0].join(10)
    assert answers == {"one": b"one", "two": b"two"}
    assert peer.accepted == 2


def test_a_goaway_with_a_status_ends_every_open_call_with_it(
    make_peer: MakePeer, connect: Connect
) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.receive_body("call")
        connection.goaway(0, 16, "KEY_REVOKED", message="revoked")

    with pytest.raises(needletail.UnauthenticatedError) as caught:
        connect(make_peer(script)).server.health()
    assert caught.value.reason == "KEY_REVOKED"


def test_an_untrusted_certificate_is_refused_at_once(
    make_peer: MakePeer, certificates: Certificates
) -> None:
    peer = make_peer(echo)
    with (
        needletail.connect(
            peer.url, api_key="k", ca_file=str(certificates.other_ca_file)
        ) as client,
        pytest.raises(needletail.UnavailableError) as caught,
    ):
        client.server.health()
    assert caught.value.reason == "TLS_FAILED"


def test_a_certificate_of_another_name_is_refused(
    make_peer: MakePeer, certificates: Certificates
) -> None:
    peer = make_peer(echo, host="0.0.0.0")  # noqa: S104
    with (
        needletail.connect(
            f"needletail://127.0.0.2:{peer.port}", api_key="k", ca_file=str(certificates.ca_file)
        ) as client,
        pytest.raises(needletail.UnavailableError) as caught,
    ):
        client.server.health()
    assert caught.value.reason == "TLS_FAILED"


def test_a_name_is_looked_up(make_peer: MakePeer, certificates: Certificates) -> None:
    peer = make_peer(echo)
    with needletail.connect(
        f"needletail://localhost:{peer.port}", api_key="k", ca_file=str(certificates.ca_file)
    ) as client:
        assert client.server.echo(payload=b"x").payload == b"x"


def test_another_protocol_is_refused(make_peer: MakePeer, connect: Connect) -> None:
    with pytest.raises(needletail.UnavailableError) as caught:
        connect(make_peer(echo, alpn="h2")).server.health()
    assert caught.value.reason == "TLS_FAILED"


def test_closing_a_client_ends_its_calls(make_peer: MakePeer, connect: Connect) -> None:
    said_goodbye = threading.Event()

    def script(connection: PeerConnection) -> None:
        connection.welcome()
        connection.receive_body("call")
        client.close()
        connection.receive_body("goaway")
        said_goodbye.set()

    client = connect(make_peer(script))
    with pytest.raises(needletail.CallCancelledError) as caught:
        client.server.health()
    assert caught.value.reason == "CLIENT_CLOSED"
    with pytest.raises(needletail.CallCancelledError):
        client.server.health()
    assert said_goodbye.wait(10)


def test_a_server_that_breaks_the_protocol_is_left(make_peer: MakePeer, connect: Connect) -> None:
    def script(connection: PeerConnection) -> None:
        connection.welcome()
        call = connection.receive_body("call")
        if connection.index == 0:
            connection.send_bytes(b"\0\0\0\0")
            connection.wait_for_close()
        else:
            connection.end(call.stream, call.call.message)
            connection.wait_for_close()

    assert connect(make_peer(script)).server.echo(payload=b"again").payload == b"again"
