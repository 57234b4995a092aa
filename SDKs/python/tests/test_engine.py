"""The engine, with a clock and a network that the test holds in its hand."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
from test_connection import frame

from needletail._core.actions import Dial, Hangup
from needletail._core.call import PendingCall
from needletail._core.engine import MAX_REFUSALS, Engine
from needletail._core.frames import FrameDecoder
from needletail.errors import Code, call_error

if TYPE_CHECKING:
    from needletail.errors import CallError

WELCOME = frame(welcome={})


class Outcome:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ends: list[tuple[str, bytes]] = []
        self.texts: list[str] = []

    def message(self, message: bytes) -> None:
        self.messages.append(message)

    def ended(self, error: CallError | None, message: bytes) -> None:
        self.ends.append((error.reason or error.code.name if error else "", message))
        self.texts.append(str(error or ""))

    def writable(self) -> None:
        pass

    def draining(self) -> None:
        self.messages.append(b"draining")


class World:
    """An engine and its links."""

    def __init__(self) -> None:
        self.engine = Engine("key", "test", jitter=lambda _, most: most)
        self.now = 100.0

    def call(self, *, timeout: float | None = 10.0, **options: Any) -> tuple[PendingCall, Outcome]:
        outcome = Outcome()
        call = PendingCall(
            method="s/M",
            request=b"r",
            sink=outcome,
            is_repeatable=options.get("is_repeatable", True),
            end_of_requests=options.get("end_of_requests", True),
            deadline=None if timeout is None else self.now + timeout,
            open_by=self.now + 10 if timeout is None else None,
            connect_seconds=options.get("connect_seconds", math.inf),
        )
        self.engine.start(call, self.now)
        return call, outcome

    def dialled(self) -> list[int]:
        return [a.link for a in self.engine.take_actions() if isinstance(a, Dial)]

    def connect(self) -> int:
        (link,) = self.dialled()
        self.engine.connected(link, self.now)
        self.engine.take_output(link)
        self.receive(link, WELCOME)
        return link

    def receive(self, link: int, *data: bytes) -> None:
        self.engine.received(link, b"".join(data), self.now)

    def sent(self, link: int) -> list[str]:
        decoder = FrameDecoder()
        decoder.max_frame_bytes = 1 << 26
        decoder.feed(self.engine.take_output(link))
        return [f"{f.stream} {f.WhichOneof('body')}" for f in decoder.frames()]

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while (wakeup := self.engine.next_wakeup()) is not None and wakeup <= until:
            assert wakeup >= self.now - 1e-9
            self.now = max(self.now, wakeup)
            self.engine.tick(self.now)
        self.now = until


def test_nothing_is_dialled_before_the_first_call() -> None:
    world = World()
    assert world.engine.next_wakeup() is None
    assert world.dialled() == []
    world.call()
    assert world.dialled() == [1]


def test_a_broken_dial_is_tried_again_with_growing_pauses() -> None:
    world = World()
    _, outcome = world.call(timeout=2.0)
    times = []
    for _ in range(20):
        links = world.dialled()
        if links:
            times.append(world.now - 100)
            world.engine.disconnected(links[0], "refused", world.now)
        world.pass_time(0.1)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses == sorted(pauses)
    assert len(times) >= 4
    world.pass_time(1)
    assert outcome.ends == [("CONNECT_FAILED", b"")]


@pytest.mark.parametrize(
    ("is_repeatable", "expected"), [(True, "1 call"), (False, "CONNECTION_LOST")]
)
def test_only_what_may_be_repeated_is_sent_again(*, is_repeatable: bool, expected: str) -> None:
    world = World()
    _, outcome = world.call(is_repeatable=is_repeatable)
    link = world.connect()
    assert world.sent(link) == ["1 call"]
    world.engine.disconnected(link, "reset", world.now)
    world.pass_time(1.0)
    if is_repeatable:
        assert world.sent(world.connect()) == [expected]
        assert outcome.ends == []
    else:
        assert outcome.ends == [(expected, b"")]


def test_a_call_that_was_never_sent_waits_for_the_next_connection() -> None:
    world = World()
    _, outcome = world.call(is_repeatable=False)
    (link,) = world.dialled()
    world.engine.disconnected(link, "refused", world.now)
    world.pass_time(1.0)
    link = world.connect()
    assert world.sent(link) == ["1 call"]
    world.receive(link, frame(1, end={"message": b"a"}))
    assert outcome.ends == [("", b"a")]


def test_advice_to_wait_is_taken() -> None:
    world = World()
    world.call()
    link = world.connect()
    world.sent(link)
    status = {"code": 14, "reason": "BUSY", "retry_after_ms": 3000}
    world.receive(link, frame(1, end={"status": status}))
    world.pass_time(2.9)
    assert world.sent(link) == []
    world.pass_time(0.2)
    assert world.sent(link) == ["2 call"]


def test_a_refused_call_is_sent_again_after_the_advice_whatever_it_changes() -> None:
    world = World()
    _, outcome = world.call(is_repeatable=False)
    link = world.connect()
    world.sent(link)
    for stream in (1, 2):
        status = {"code": 8, "reason": "RATE_LIMITED", "retry_after_ms": 500}
        world.receive(link, frame(stream, end={"status": status}))
        world.pass_time(0.49)
        assert world.sent(link) == []
        world.pass_time(0.3)
        assert world.sent(link) == [f"{stream + 1} call"]
    world.receive(link, frame(3, end={"message": b"a"}))
    assert outcome.ends == [("", b"a")]


def test_a_call_is_refused_only_so_often() -> None:
    world = World()
    _, outcome = world.call(timeout=600.0)
    link = world.connect()
    for stream in range(1, MAX_REFUSALS + 2):
        assert outcome.ends == []
        world.receive(link, frame(stream, end={"status": {"code": 8, "reason": "RATE_LIMITED"}}))
        world.pass_time(5.1)
    assert outcome.ends == [("RATE_LIMITED", b"")]


@pytest.mark.parametrize(("milliseconds", "ends"), [(60_000, 0), (60_001, 1)])
def test_advice_beyond_its_bound_is_the_callers(milliseconds: int, ends: int) -> None:
    world = World()
    _, outcome = world.call(timeout=600.0)
    status = {"code": 8, "reason": "RATE_LIMITED", "retry_after_ms": milliseconds}
    world.receive(world.connect(), frame(1, end={"status": status}))
    assert len(outcome.ends) == ends


def test_other_exhaustion_is_final() -> None:
    world = World()
    _, outcome = world.call()
    status = {"code": 8, "reason": "PLAN_LIMIT", "retry_after_ms": 1}
    world.receive(world.connect(), frame(1, end={"status": status}))
    assert outcome.ends == [("PLAN_LIMIT", b"")]


def test_advice_beyond_the_timeout_is_the_callers() -> None:
    world = World()
    _, outcome = world.call(timeout=2.0)
    link = world.connect()
    status = {"code": 14, "reason": "BUSY", "retry_after_ms": 3000}
    world.receive(link, frame(1, end={"status": status}))
    assert outcome.ends == [("BUSY", b"")]


@pytest.mark.parametrize("code", [3, 5, 7, 10, 13])
def test_other_errors_are_final(code: int) -> None:
    world = World()
    _, outcome = world.call()
    world.receive(world.connect(), frame(1, end={"status": {"code": code, "reason": "NO"}}))
    assert outcome.ends == [("NO", b"")]


def test_a_stream_that_brought_something_is_not_started_again() -> None:
    world = World()
    _, outcome = world.call(timeout=None)
    link = world.connect()
    world.receive(link, frame(1, data={"message": b"m"}))
    world.engine.disconnected(link, "reset", world.now)
    assert (outcome.messages, outcome.ends) == ([b"m"], [("CONNECTION_LOST", b"")])


def test_the_deadline_cancels() -> None:
    world = World()
    _, outcome = world.call(timeout=1.0)
    link = world.connect()
    world.sent(link)
    world.pass_time(0.9)
    assert outcome.ends == []
    world.pass_time(0.2)
    assert outcome.ends == [("DEADLINE_EXCEEDED", b"")]
    assert world.sent(link) == ["1 cancel"]
    world.receive(link, frame(1, end={"message": b"late"}))
    assert len(outcome.ends) == 1


def test_a_call_that_never_had_a_connection_says_so_at_its_deadline() -> None:
    world = World()
    _, outcome = world.call(timeout=1.0)
    world.pass_time(1.1)
    assert outcome.ends == [("CONNECT_FAILED", b"")]


def test_a_call_in_a_pause_of_dialling_tells_why_there_is_one() -> None:
    world = World()
    world.call()
    world.engine.disconnected(world.dialled()[0], "no route to host", world.now)
    _, outcome = world.call(timeout=0.01)
    world.pass_time(0.02)
    assert outcome.ends == [("CONNECT_FAILED", b"")]
    assert "no route to host" in outcome.texts[0]


@pytest.mark.parametrize("timeout", [None, 8.0])
def test_the_patience_for_a_connection_ends_before_the_deadline(timeout: float | None) -> None:
    world = World()
    _, outcome = world.call(timeout=timeout, connect_seconds=2.0)
    world.pass_time(1.9)
    assert outcome.ends == []
    world.pass_time(0.2)
    assert outcome.ends == [("CONNECT_FAILED", b"")]


def test_pauses_of_dialling_are_shorter_than_the_patience_for_a_connection() -> None:
    world = World()
    for _ in range(20):
        _, outcome = world.call(connect_seconds=0.5)
        world.pass_time(0.3)
        world.engine.disconnected(world.dialled()[0], "refused", world.now)
        world.pass_time(0.3)
        assert outcome.ends == [("CONNECT_FAILED", b"")]


def test_an_answer_is_waited_for_longer_than_a_connection() -> None:
    world = World()
    _, outcome = world.call(connect_seconds=2.0)
    link = world.connect()
    world.pass_time(9.0)
    world.receive(link, frame(1, end={"message": b"late"}))
    assert outcome.ends == [("", b"late")]


def test_the_patience_begins_anew_when_a_connection_is_lost() -> None:
    world = World()
    _, under_way = world.call(connect_seconds=2.0)
    link = world.connect()
    world.pass_time(4.0)
    _, waiting = world.call(connect_seconds=2.0)
    world.receive(link, frame(2, end={"status": {"code": 8, "reason": "RATE_LIMITED"}}))
    world.engine.disconnected(link, "reset", world.now)
    world.pass_time(1.9)
    assert (under_way.ends, waiting.ends) == ([], [])
    world.pass_time(0.2)
    assert under_way.ends == [("CONNECTION_LOST", b"")]
    assert waiting.ends == [("RATE_LIMITED", b"")]


def test_a_drain_sends_the_unstarted_elsewhere_and_then_hangs_up() -> None:
    world = World()
    (_, one), (_, two) = world.call(), world.call(is_repeatable=False)
    old = world.connect()
    world.receive(old, frame(goaway={"last_stream": 9}), frame(goaway={"last_stream": 1}))
    assert one.messages == [b"draining"]
    world.pass_time(0.2)
    new = world.connect()
    assert world.sent(new) == ["1 call"]
    world.receive(new, frame(1, end={"message": b"2"}))
    world.receive(old, frame(1, end={"message": b"1"}))
    assert (one.ends, two.ends) == ([("", b"1")], [("", b"2")])
    assert [a.link for a in world.engine.take_actions() if isinstance(a, Hangup)] == [old]


def test_a_refused_key_ends_every_waiting_call() -> None:
    world = World()
    outcomes = [world.call()[1] for _ in range(3)]
    (link,) = world.dialled()
    world.engine.connected(link, world.now)
    status = {"code": 16, "reason": "INVALID_API_KEY"}
    world.receive(link, frame(goaway={"status": status}))
    assert [outcome.ends for outcome in outcomes] == [[("INVALID_API_KEY", b"")]] * 3


def test_a_full_server_is_tried_again() -> None:
    world = World()
    _, outcome = world.call()
    (link,) = world.dialled()
    world.engine.connected(link, world.now)
    status = {"code": 8, "reason": "TOO_MANY_CONNECTIONS", "retry_after_ms": 1000}
    world.receive(link, frame(goaway={"status": status}))
    world.pass_time(1.1)
    world.receive(world.connect(), frame(1, end={}))
    assert outcome.ends == [("", b"")]


def test_a_lasting_refusal_is_not_tried_again() -> None:
    world = World()
    _, outcome = world.call()
    (link,) = world.dialled()
    world.engine.refused(link, call_error(Code.UNAVAILABLE, "TLS_FAILED", "no"), world.now)
    assert outcome.ends == [("TLS_FAILED", b"")]


def test_a_silent_server_is_pinged_and_then_left() -> None:
    world = World()
    _, outcome = world.call(timeout=None, is_repeatable=False)
    link = world.connect()
    world.sent(link)
    world.pass_time(31)
    assert world.sent(link) == ["0 ping"]
    world.receive(link, frame(pong={"token": 1}))
    world.pass_time(25)
    assert world.sent(link) == []
    world.pass_time(6)
    assert world.sent(link) == ["0 ping"]
    world.pass_time(20)
    assert outcome.ends == [("CONNECTION_LOST", b"")]


def test_a_greeting_that_never_comes_is_given_up() -> None:
    world = World()
    _, outcome = world.call(timeout=None)
    (link,) = world.dialled()
    world.engine.connected(link, world.now)
    world.pass_time(10.5)
    assert outcome.ends == [("CONNECT_FAILED", b"")]


def test_closing_ends_every_call_with_one_outcome() -> None:
    world = World()
    (_, one), (_, two) = world.call(), world.call()
    world.connect()
    world.engine.close()
    (_, three) = world.call()
    assert one.ends == two.ends == three.ends == [("CLIENT_CLOSED", b"")]
    assert world.engine.next_wakeup() is None
