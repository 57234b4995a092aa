"""AppendMetrics by hand: sequences, refusals, and values at their edges."""

from __future__ import annotations

import math
import struct
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from appends import TIME_US, Writer, batch, series
from organizations import create_organization
from wire import Wire

if TYPE_CHECKING:
    import needletail
    from program import Connection, UpServer

INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
LAST_TIME_US = 253_402_300_799_999_999


def stored_steps(sql: Connection, run_id: str, key: str = "x") -> list[int]:
    """Every stored point's step, straight from the view; a point stored twice is there twice."""
    rows = sql.execute(
        "select sum(point_count) as points from metric_chunks where run_id = %s and key = %s",
        [run_id, key],
    ).fetchall()
    steps = sql.execute(
        "select step from run_metrics where run_id = %s and metric_name = %s order by step",
        [run_id, key],
    ).fetchall()
    assert int(rows[0]["points"] or 0) == len(steps), "points were stored more than once"
    return [row["step"] for row in steps]


def test_a_gap_says_where_to_continue(wire: Wire, sql: Connection, run_id: str) -> None:
    writer = Writer(wire)
    status = writer.refused(
        batch(1, run_id, series([1])), batch(2, run_id, series([2])), batch(4, run_id, series([4]))
    )
    assert (status.code, status.reason) == (FAILED_PRECONDITION, "SEQUENCE_GAP")
    assert status.details["expected_sequence"] == "3"
    assert writer.acknowledged == 2
    assert stored_steps(sql, run_id) == [1, 2]
    again = Writer(wire, writer.id)
    assert again.acknowledged == 2
    again.send(batch(3, run_id, series([3])))
    again.wait_for(3)
    assert stored_steps(sql, run_id) == [1, 2, 3]


def test_a_replay_is_acknowledged_and_stored_once(wire: Wire, sql: Connection, run_id: str) -> None:
    batches = [batch(number, run_id, series([number])) for number in range(1, 6)]
    first = Writer(wire)
    first.send(*batches)
    first.wait_for(5)
    second = Writer(wire, first.id)
    assert second.acknowledged == 5
    second.send(*batches, batch(6, run_id, series([6])))
    wire.half_close(second.stream)
    assert second.finish().status.code == 0
    assert second.acknowledged == 6
    assert stored_steps(sql, run_id) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("sequence", [2, 1 << 63, (1 << 64) - 1])
def test_a_writer_begins_with_its_first_batch(
    wire: Wire, sql: Connection, run_id: str, sequence: int
) -> None:
    writer = Writer(wire)
    status = writer.refused(batch(sequence, run_id, series([1])))
    assert (status.code, status.reason) == (FAILED_PRECONDITION, "SEQUENCE_GAP")
    assert status.details["expected_sequence"] == "1"
    assert (writer.acknowledged, stored_steps(sql, run_id)) == (0, [])


def test_a_replay_within_a_stream_is_stored_once_whatever_it_holds(
    wire: Wire, sql: Connection, run_id: str
) -> None:
    writer = Writer(wire)
    writer.send(batch(1, run_id, series([1])), batch(1, run_id, series([1])))
    writer.wait_for(1)
    # What is stored already is not looked at again.
    writer.send(batch(1, run_id, series([9])), batch(2, run_id, series([2])))
    writer.wait_for(2)
    assert stored_steps(sql, run_id) == [1, 2]


def test_two_streams_of_one_writer_store_each_batch_once(
    served: UpServer, sql: Connection, run_id: str
) -> None:
    with Wire.opened(served.connection) as one, Wire.opened(served.connection) as other:
        first = Writer(one)
        second = Writer(other, first.id)
        # What the second writer sends is what the first one sent already, or is about to.
        for number in range(1, 51):
            both = batch(number, run_id, series([number]))
            first.send(both)
            second.send(both)
        for wire, writer in ((one, first), (other, second)):
            wire.half_close(writer.stream)
        ends = [first.finish().status, second.finish().status]
    assert {status.reason for status in ends} <= {"", "SEQUENCE_GAP", "CONFLICT"}, ends
    assert stored_steps(sql, run_id) == list(range(1, max(first.acknowledged, 50) + 1))


def append_at_once(wire: Wire, run_ids: list[str]) -> dict[str, Any]:
    """A writer for each run, all on one connection, each with two batches; returns their ends."""
    streams = {}
    for run_id in run_ids:
        opening = batch(1, run_id, series([1]), writer=str(uuid.uuid4()))
        stream = wire.open("AppendMetrics", opening, end=False)
        wire.data(stream, batch(2, run_id, series([2])))
        wire.half_close(stream)
        streams[stream] = run_id
    ends = {}
    for frame in wire.frames():
        if frame.HasField("end"):
            ends[streams[frame.stream]] = frame.end.status
        if len(ends) == len(streams):
            return ends
    raise AssertionError("the connection was closed")


def test_small_batches_of_many_writers_share_transactions(
    wire: Wire, sql: Connection, client: needletail.Client, experiment_id: str
) -> None:
    runs = [client.tracking.create_run(experiment_id=experiment_id).id for _ in range(50)]
    ends = append_at_once(wire, runs)
    assert {status.code for status in ends.values()} == {0}
    for run_id in runs:
        assert stored_steps(sql, run_id) == [1, 2]
    rows = sql.execute(
        "select count(distinct xid) as transactions from metric_chunks where run_id = any(%s)",
        [runs],
    ).fetchall()
    assert rows[0]["transactions"] < len(runs)


def test_a_refusal_in_a_shared_transaction_is_of_its_writer_alone(
    wire: Wire, sql: Connection, client: needletail.Client, experiment_id: str
) -> None:
    runs = [client.tracking.create_run(experiment_id=experiment_id).id for _ in range(10)]
    client.tracking.finish_run(id=runs[4])
    absent = str(uuid.uuid4())
    ends = append_at_once(wire, [*runs, absent])
    refused = {run_id: status.reason for run_id, status in ends.items() if status.code}
    assert refused == {runs[4]: "RUN_FINISHED", absent: "RUN_NOT_FOUND"}
    for run_id in runs:
        assert stored_steps(sql, run_id) == ([] if run_id == runs[4] else [1, 2])


def test_what_comes_before_a_bad_batch_is_stored(wire: Wire, sql: Connection, run_id: str) -> None:
    writer = Writer(wire)
    status = writer.refused(
        *(batch(number, run_id, series([number])) for number in range(1, 30)),
        batch(30, run_id, series([30], key="")),
        *(batch(number, run_id, series([number])) for number in range(31, 40)),
    )
    assert status.code == INVALID_ARGUMENT
    assert [found.field for found in status.field_violations] == ["runs[0].series[0].key"]
    assert writer.acknowledged == 29
    assert stored_steps(sql, run_id) == list(range(1, 30))


def test_what_comes_before_a_batch_that_the_database_refuses_is_stored(
    wire: Wire, sql: Connection, client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    finished = client.tracking.create_run(experiment_id=experiment_id).id
    client.tracking.finish_run(id=finished)
    writer = Writer(wire)
    mixed = batch(3, run_id, series([3]))
    mixed.runs.add(run_id=finished).series.append(series([3]))
    status = writer.refused(
        batch(1, run_id, series([1])), batch(2, run_id, series([2])), mixed,
        batch(4, run_id, series([4])),
    )  # fmt: skip
    assert (status.code, status.reason) == (FAILED_PRECONDITION, "RUN_FINISHED")
    assert writer.acknowledged == 2
    assert stored_steps(sql, run_id) == [1, 2]
    assert stored_steps(sql, finished) == []


@pytest.mark.parametrize("is_mixed", [False, True])
def test_a_run_that_is_not_there_is_not_found(
    wire: Wire, sql: Connection, run_id: str, is_mixed: bool
) -> None:
    bad = batch(1, str(uuid.uuid4()), series([1]))
    if is_mixed:
        bad.runs.add(run_id=run_id).series.append(series([1]))
    status = Writer(wire).refused(bad)
    assert (status.code, status.reason) == (NOT_FOUND, "RUN_NOT_FOUND")
    assert stored_steps(sql, run_id) == []


def test_a_run_of_another_organization_is_not_found(
    served: UpServer, sql: Connection, run_id: str
) -> None:
    rival = create_organization(sql, "rival")
    with Wire.opened(rival.connection(served.connection)) as wire:
        status = Writer(wire).refused(batch(1, run_id, series([1])))
    assert (status.code, status.reason) == (NOT_FOUND, "RUN_NOT_FOUND")
    assert stored_steps(sql, run_id) == []


def test_a_writer_of_another_organization_is_another_writer(
    served: UpServer, wire: Wire, sql: Connection, run_id: str
) -> None:
    writer = Writer(wire)
    writer.send(batch(1, run_id, series([1])))
    writer.wait_for(1)
    rival = create_organization(sql, "rival")
    with Wire.opened(rival.connection(served.connection)) as other:
        assert Writer(other, writer.id).acknowledged == 0


def test_values_that_are_no_numbers_are_stored(
    wire: Wire, sql: Connection, client: needletail.Client, run_id: str
) -> None:
    payload = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF))[0]
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, payload]
    writer = Writer(wire)
    writer.send(batch(1, run_id, series(list(range(7)), values=values)))
    writer.wait_for(1)
    history = client.tracking.get_metric_history(run_id=run_id, key="x").series
    assert [struct.pack("<d", value) for value in history.values[1:6]] == [
        struct.pack("<d", value) for value in values[1:6]
    ]
    assert math.isnan(history.values[0])
    assert math.isnan(history.values[6])
    (summary,) = client.tracking.list_run_metrics(run_id=run_id).metrics
    assert (summary.min_value, summary.max_value) == (-math.inf, math.inf)
    assert stored_steps(sql, run_id) == list(range(7))


@pytest.mark.parametrize(
    "steps",
    [
        [INT64_MIN],
        [INT64_MAX],
        [INT64_MIN, INT64_MAX],
        [INT64_MIN, -1, 0, 1, INT64_MAX],
        [INT64_MAX - 2, INT64_MAX - 1, INT64_MAX],
        [INT64_MIN, INT64_MIN + (1 << 62), INT64_MIN + (2 << 62), INT64_MIN + (3 << 62)],
    ],
    ids=str,
)
def test_steps_at_the_edges_are_stored(
    wire: Wire, sql: Connection, client: needletail.Client, run_id: str, steps: list[int]
) -> None:
    writer = Writer(wire)
    writer.send(batch(1, run_id, series(steps)))
    writer.wait_for(1)
    assert stored_steps(sql, run_id) == steps
    history = client.tracking.get_metric_history(run_id=run_id, key="x").series
    assert list(history.steps) == steps
    (summary,) = client.tracking.list_run_metrics(run_id=run_id).metrics
    assert (summary.first_step, summary.last_step) == (steps[0], steps[-1])


def test_times_at_the_edges_are_stored(wire: Wire, sql: Connection, run_id: str) -> None:
    writer = Writer(wire)
    writer.send(batch(1, run_id, series([1, 2], times_us=[0, LAST_TIME_US])))
    writer.wait_for(1)
    rows = sql.execute(
        "select extract(epoch from timestamp) * 1000000 as us from run_metrics"
        " where run_id = %s order by step",
        [run_id],
    ).fetchall()
    assert [int(row["us"]) for row in rows] == [0, LAST_TIME_US]


LONG = list(range(10_001))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ([], "runs"),
        ([series([])], "runs[0].series[0].steps"),
        ([series(LONG)], "runs"),
        ([series(LONG[:6_000]), series(LONG[:6_000], key="y")], "runs"),
        ([series([1], key="")], "runs[0].series[0].key"),
        ([series([1], key="k" * 251)], "runs[0].series[0].key"),
        ([series([1], key="a\tb")], "runs[0].series[0].key"),
        ([series([1], key=" a")], "runs[0].series[0].key"),
        ([series([1]), series([1], key="\x7f")], "runs[0].series[1].key"),
        ([series([1, 2], values=[1.0])], "runs[0].series[0].values"),
        ([series([1, 2], times_us=[TIME_US])], "runs[0].series[0].times_us"),
        ([series([1], times_us=[-1])], "runs[0].series[0].times_us[0]"),
        ([series([1, 2], times_us=[0, LAST_TIME_US + 1])], "runs[0].series[0].times_us[1]"),
        ([series([1], times_us=[INT64_MIN])], "runs[0].series[0].times_us[0]"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_bad_batch_names_its_field(
    wire: Wire, sql: Connection, run_id: str, bad: list[Any], field: str
) -> None:
    writer = Writer(wire)
    status = writer.refused(batch(1, run_id, *bad))
    assert (status.code, status.reason) == (INVALID_ARGUMENT, "FIELD_INVALID")
    assert field in {found.field for found in status.field_violations}, status
    assert (writer.acknowledged, stored_steps(sql, run_id)) == (0, [])


def test_a_batch_that_names_no_run_is_refused(wire: Wire) -> None:
    status = Writer(wire).refused(batch(1, ""))
    assert [found.field for found in status.field_violations] == ["runs"]


def test_a_batch_of_ten_thousand_points_is_taken(wire: Wire, sql: Connection, run_id: str) -> None:
    writer = Writer(wire)
    writer.send(batch(1, run_id, series(LONG[:10_000])))
    writer.wait_for(1)
    assert stored_steps(sql, run_id) == LONG[:10_000]


def test_a_key_has_250_characters_of_any_language(
    wire: Wire, client: needletail.Client, run_id: str
) -> None:
    longest = "損" * 250
    writer = Writer(wire)
    writer.send(batch(1, run_id, series([1, 2], key=longest)))
    writer.wait_for(1)
    assert client.history(run_id, longest)[run_id, longest].steps.tolist() == [1, 2]
    found = client.tracking.search_runs(filter=f"metrics.`{longest}` > -1e300")
    assert [one.run.id for one in found.runs if one.run] == [run_id]


@pytest.mark.parametrize(("count", "is_taken"), [(10_000, True), (10_001, False)])
def test_a_batch_of_many_metrics_is_taken_up_to_its_bound(
    wire: Wire, client: needletail.Client, run_id: str, count: int, *, is_taken: bool
) -> None:
    keys = {f"{number}".zfill(50) for number in range(count)}
    writer = Writer(wire)
    many = batch(1, run_id, *(series([1], key=key) for key in sorted(keys)))
    if is_taken:
        writer.send(many)
        writer.wait_for(1)
    else:
        status = writer.refused(many)
        assert (status.code, status.reason) == (INVALID_ARGUMENT, "FIELD_INVALID")
        # Each has a point at least.
        (found,) = status.field_violations
        assert (found.field, found.description) == (
            "runs", "must hold at most 10000 points, hold 10001",
        )  # fmt: skip
    known = {one.key for one in client.tracking.iterate_run_metrics(run_id=run_id)}
    assert known == (keys if is_taken else set())


@pytest.mark.parametrize("name", ["", "no uuid"])
def test_a_stream_needs_a_writer(wire: Wire, name: str) -> None:
    stream = wire.open("AppendMetrics", batch(0, "", writer=name), end=False)
    status = wire.end(stream).status
    assert status.code == INVALID_ARGUMENT


def test_another_writer_in_a_stream_is_refused(wire: Wire, sql: Connection, run_id: str) -> None:
    writer = Writer(wire)
    status = writer.refused(
        batch(1, run_id, series([1])), batch(2, run_id, series([2]), writer=str(uuid.uuid4()))
    )
    assert (status.code, status.reason) == (INVALID_ARGUMENT, "WRITER_INVALID")
    assert stored_steps(sql, run_id) == [1]


def test_a_stream_that_ends_before_it_began_names_its_mistake(wire: Wire) -> None:
    stream = wire.open("AppendMetrics", end=True)
    status = wire.end(stream).status
    assert (status.code, status.reason) == (INVALID_ARGUMENT, "WRITER_INVALID")
