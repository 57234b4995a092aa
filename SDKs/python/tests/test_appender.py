"""The writer's side of AppendMetrics, against a server that forgets nothing it committed."""

from __future__ import annotations

import dataclasses
import itertools

from hypothesis import given
from hypothesis import strategies as st
from tracking_peer import message

from needletail._runs.appender import Appender, Step
from needletail._runs.batches import MAX_BATCH_POINTS, Batch, columnar, request_bytes
from needletail.errors import Code, call_error


@dataclasses.dataclass
class Server:
    """Commits in order, once; knows each writer's highest sequence."""

    committed: list[int]
    writers: dict[str, int]

    def append(self, writer: str, sequence: int, number: int) -> int:
        acknowledged = self.writers.get(writer, 0)
        assert sequence <= acknowledged + 1, "a gap"
        if sequence == acknowledged + 1:
            self.writers[writer] = sequence
            self.committed.append(number)
        return self.writers[writer]


def make_appender(offset: int = 0) -> tuple[Appender, list[str]]:
    names = [f"writer-{index}" for index in range(100)]
    fresh = iter(names)

    def renew(_: int) -> str:
        return next(fresh)

    return Appender(next(fresh), offset, renew=renew, forget=lambda _: None), names


@given(
    st.lists(
        st.sampled_from(["log", "send", "deliver", "ack", "cut", "lose"]), min_size=10, max_size=200
    )
)
def test_every_batch_is_committed_once_in_order(actions: list[str]) -> None:
    """Messages and acknowledgements travel, or are lost with their connection."""
    appender, _ = make_appender()
    server = Server([], {})
    numbers = itertools.count(1)
    up: list[tuple[str, int, int]] = []
    down: list[int] = []
    is_open = False

    def reopen() -> None:
        nonlocal is_open
        up.clear()
        down.clear()
        appender.opening()
        down.append(server.writers.get(appender.writer_id, 0))
        is_open = True

    def take(action: str) -> None:
        nonlocal is_open
        if action == "log":
            appender.add(Batch(next(numbers), 1, b""))
        elif action == "cut":
            if is_open:
                appender.failed(call_error(Code.UNAVAILABLE, "CONNECTION_LOST", ""))
            is_open = False
        elif not is_open:
            reopen()
        elif action == "send":
            batch = appender.next_batch()
            if batch is not None:
                up.append((appender.writer_id, appender.sequence_of(batch), batch.number))
        elif action == "deliver" and up:
            down.append(server.append(*up.pop(0)))
        elif action == "ack" and down:
            assert appender.acknowledge(down.pop(0)) is Step.GO_ON
        elif action == "lose":
            # An End with an error may overtake acknowledgements.
            down.clear()
            take("cut")

    for action in actions:
        take(action)
    for _ in range(2000):
        for action in ("send", "deliver", "ack"):
            take(action)
        if not appender.pending:
            break
    last = next(numbers)
    assert server.committed == list(range(1, last))
    assert appender.acknowledged_points == last - 1


def test_a_gap_on_disk_continues_under_a_new_writer() -> None:
    appender, names = make_appender()
    for number in (1, 2, 4, 5):
        appender.add(Batch(number, 1, b""))
    appender.opening()
    assert appender.acknowledge(0) is Step.GO_ON
    sent = [appender.next_batch() for _ in range(3)]
    assert [batch.number for batch in sent if batch] == [1, 2]
    assert appender.acknowledge(2) is Step.REOPEN
    assert appender.writer_id == names[1]
    appender.opening()
    appender.acknowledge(0)
    batch = appender.next_batch()
    assert batch is not None
    assert (batch.number, appender.sequence_of(batch)) == (4, 1)


def test_a_server_that_knows_more_is_somebody_elses() -> None:
    appender, names = make_appender()
    appender.add(Batch(1, 1, b""))
    appender.opening()
    assert appender.acknowledge(7) is Step.REOPEN
    appender.add(Batch(2, 1, b""))
    appender.opening()
    appender.acknowledge(0)
    batch = appender.next_batch()
    assert batch is not None
    assert (appender.sequence_of(batch), appender.writer_id) == (1, names[1])


@given(
    st.lists(
        st.tuples(
            st.integers(-(1 << 63), (1 << 63) - 1),
            st.integers(0, 253402300799999999),
            st.dictionaries(st.sampled_from("abc"), st.floats(), max_size=3),
        ),
        max_size=50,
    )
)
def test_columns_hold_every_point_in_order(
    entries: list[tuple[int, int, dict[str, float]]],
) -> None:
    batches = list(columnar((s, t, list(values.items())) for s, t, values in entries))
    found: dict[str, list[str]] = {}
    for sequence, (points, series) in enumerate(batches, 1):
        request = message("AppendMetricsRequest", request_bytes("w", sequence, "r", series))
        assert (request.writer_id, request.sequence, len(request.runs)) == ("w", sequence, 1)
        assert request.runs[0].run_id == "r"
        assert sum(len(one.steps) for one in request.runs[0].series) == points
        for one in request.runs[0].series:
            rows = zip(one.steps, one.times_us, one.values, strict=True)
            found.setdefault(one.key, []).extend(repr(row) for row in rows)
    expected: dict[str, list[str]] = {}
    for step, time_us, values in entries:
        for key, value in values.items():
            expected.setdefault(key, []).append(repr((step, time_us, value)))
    assert found == expected


def test_batches_stay_within_the_servers_limits() -> None:
    many = [(index, 0, [("a", 1.0)]) for index in range(MAX_BATCH_POINTS + 1)]
    assert [points for points, _ in columnar(many)] == [MAX_BATCH_POINTS, 1]
    wide = [(0, 0, [(f"{index:0200}", 1.0) for index in range(5000)])]
    assert all(len(series) <= 1 << 20 for _, series in columnar(wide))
    assert sum(points for points, _ in columnar(wide)) == 5000
