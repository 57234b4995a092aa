"""A group of batches is stored once and whole, or not at all."""

from __future__ import annotations

import json
import math
import random
import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from chunks import INT64, Point, chunk_parameters, summary_parameters
from statements import call
from tenants import START, Tenant, acting, create_run, create_tenant, uuid7

if TYPE_CHECKING:
    from cluster import Cluster, Connection

LATER = START + timedelta(seconds=1)
Series = list[tuple[Any, str, list[Point]]]


def open_writer(connection: Connection, tenant: Tenant, writer: uuid.UUID) -> int:
    with acting(connection, tenant):
        [row] = call(connection, "openWriter", writer_id=writer,
                     organization_id=tenant.organization_id)  # fmt: skip
    return int(row["last_sequence"])


def store(
    connection: Connection, tenant: Tenant, writer: uuid.UUID, sequences: range, series: Series,
    epoch: int = 0, from_step: int | None = None,
) -> None:  # fmt: skip
    """Send the statements of a group, in the transaction that is open."""
    organization = {"organization_id": tenant.organization_id}
    call(connection, "advanceWriter", writer_id=writer, first_sequence=sequences[0],
         last_sequence=sequences[-1], **organization)  # fmt: skip
    runs = sorted({run_id for run_id, _, _ in series})
    if from_step is not None:
        call(connection, "openEpochs", **tenant.caller, run_ids=runs, writer_id=writer,
             epochs=[epoch] * len(runs), from_steps=[from_step] * len(runs))  # fmt: skip
    call(connection, "requireRunningRuns", **tenant.caller, run_ids=runs,
         epochs=[epoch] * len(runs))  # fmt: skip
    call(connection, "insertMetricChunks", **organization, **chunk_parameters(series, epoch))
    call(connection, "upsertMetricSummaries", **organization, **summary_parameters(series))


def append(
    connection: Connection, tenant: Tenant, writer: uuid.UUID, sequences: range, series: Series,
    epoch: int = 0, from_step: int | None = None,
) -> None:  # fmt: skip
    with acting(connection, tenant):
        store(connection, tenant, writer, sequences, series, epoch, from_step)


def refusal(error: psycopg.Error) -> tuple[str | None, dict[str, Any]]:
    assert error.sqlstate == "NT001"
    return error.diag.constraint_name, json.loads(error.diag.message_detail or "null")


def stored(connection: Connection) -> list[tuple[int, float]]:
    rows = connection.execute("select step, value from run_metrics order by 1, 2").fetchall()
    return [(row["step"], row["value"]) for row in rows]


def point(step: int) -> Point:
    return (step, 1_000_000 * step, float(step))


def test_consecutive_groups_are_stored(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer = uuid7()
    assert open_writer(connection, tenant, writer) == 0
    append(connection, tenant, writer, range(1, 4), [(run_id, "loss", [point(1), point(2)])])
    append(connection, tenant, writer, range(4, 5), [(run_id, "loss", [point(3)])])
    assert open_writer(connection, tenant, writer) == 4
    assert stored(connection) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    with acting(connection, tenant):
        [row] = call(connection, "getWriter", writer_id=writer,
                     organization_id=tenant.organization_id)  # fmt: skip
    assert row["last_sequence"] == 4


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        (range(5, 6), ("SEQUENCE_GAP", {"expected_sequence": 4})),
        (range(3, 4), ("SEQUENCE_REPLAYED", {"acknowledged_sequence": 3})),
        (range(1, 4), ("SEQUENCE_REPLAYED", {"acknowledged_sequence": 3})),
        (range(2, 9), ("SEQUENCE_REPLAYED", {"acknowledged_sequence": 3})),
        (range(INT64 - 1, INT64), ("SEQUENCE_GAP", {"expected_sequence": 4})),
    ],
)
def test_a_gap_or_a_replay_stores_nothing_and_says_where_to_go_on(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, sequences: range, expected: Any
) -> None:
    writer = uuid7()
    open_writer(connection, tenant, writer)
    append(connection, tenant, writer, range(1, 4), [(run_id, "loss", [point(1)])])
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, writer, sequences, [(run_id, "loss", [point(2)])])
    assert refusal(caught.value) == expected
    assert stored(connection) == [(1, 1.0)]
    append(connection, tenant, writer, range(4, 5), [(run_id, "loss", [point(2)])])


def test_a_writer_nobody_opened_is_refused(
    connection: Connection, tenant: Tenant, rival: Tenant, run_id: uuid.UUID
) -> None:
    writer = uuid7()
    open_writer(connection, rival, writer)
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, writer, range(1, 2), [(run_id, "loss", [point(1)])])
    assert refusal(caught.value)[0] == "WRITER_UNKNOWN"


def test_two_streams_of_one_writer_store_a_batch_once(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer, outcome = uuid7(), []
    open_writer(connection, tenant, writer)

    def second() -> None:
        try:
            append(other, tenant, writer, range(1, 3), [(run_id, "loss", [point(1)])])
        except psycopg.Error as error:
            outcome.append(refusal(error))

    with acting(connection, tenant):
        store(connection, tenant, writer, range(1, 3), [(run_id, "loss", [point(1)])])
        thread = threading.Thread(target=second)
        thread.start()
        wait_until_blocked(connection)
    thread.join(timeout=10)
    assert outcome == [("SEQUENCE_REPLAYED", {"acknowledged_sequence": 2})]
    assert stored(connection) == [(1, 1.0)]


def test_the_second_stream_goes_first_when_the_first_one_rolls_back(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer = uuid7()
    open_writer(connection, tenant, writer)
    thread = threading.Thread(
        target=append,
        args=(other, tenant, writer, range(1, 2), [(run_id, "loss", [point(7)])]),
    )
    with acting(connection, tenant):
        store(connection, tenant, writer, range(1, 2), [(run_id, "loss", [point(1)])])
        thread.start()
        wait_until_blocked(connection)
        raise psycopg.Rollback
    thread.join(timeout=10)
    assert stored(connection) == [(7, 7.0)]


def test_opening_a_writer_waits_for_what_it_is_still_committing(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer, seen = uuid7(), []
    open_writer(connection, tenant, writer)
    thread = threading.Thread(target=lambda: seen.append(open_writer(other, tenant, writer)))
    with acting(connection, tenant):
        store(connection, tenant, writer, range(1, 6), [(run_id, "loss", [point(1)])])
        thread.start()
        wait_until_blocked(connection)
    thread.join(timeout=10)
    assert seen == [5]


def wait_until_blocked(connection: Connection) -> None:
    """Wait until another session waits for a lock of this one."""
    for _ in range(10_000):
        row = connection.execute(
            "select count(*) as n from pg_locks where not granted "
            "and pg_backend_pid() = any(pg_blocking_pids(pid))"
        ).fetchone()
        if row != {"n": 0}:
            return
    pytest.fail("nobody waits")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", "RUN_FINISHED"),
        ("cancelled", "RUN_FINISHED"),
        ("scheduled", "RUN_NOT_STARTED"),
    ],
)
def test_only_a_running_run_takes_points(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, status: str, reason: str
) -> None:
    writer = uuid7()
    open_writer(connection, tenant, writer)
    bad = create_run(connection, tenant, "scheduled")
    if status != "scheduled":
        finish(connection, tenant, bad, status)
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, writer, range(1, 2),
               [(run_id, "loss", [point(1)]), (bad, "loss", [point(1)])])  # fmt: skip
    assert refusal(caught.value) == (reason, {"run_id": str(bad)})
    assert stored(connection) == []
    assert open_writer(connection, tenant, writer) == 0


def test_a_run_of_another_organization_is_not_found(
    connection: Connection, tenant: Tenant, rival: Tenant
) -> None:
    writer, foreign = uuid7(), create_run(connection, rival)
    open_writer(connection, tenant, writer)
    with pytest.raises(psycopg.Error) as caught:
        append(connection, tenant, writer, range(1, 2), [(foreign, "loss", [point(1)])])
    assert refusal(caught.value) == ("RUN_NOT_FOUND", {"run_id": str(foreign)})


def finish(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID, status: str = "completed"
) -> None:
    with acting(connection, tenant):
        assert call(connection, "lockRun", id=run_id, **tenant.caller)
        call(connection, "finishRun", id=run_id, organization_id=tenant.organization_id,
             status=status, completed_at=LATER, updated_at=LATER)  # fmt: skip


def test_finishing_a_run_waits_for_the_points_on_their_way(
    connection: Connection, other: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer = uuid7()
    open_writer(connection, tenant, writer)
    thread = threading.Thread(target=finish, args=(other, tenant, run_id))
    with acting(connection, tenant):
        store(connection, tenant, writer, range(1, 2), [(run_id, "loss", [point(1)])])
        thread.start()
        wait_until_blocked(connection)
    thread.join(timeout=10)
    with acting(connection, tenant):
        [row] = call(connection, "getRun", id=run_id, include_deleted=True, **tenant.caller)
    assert (row["status"], row["revision"], row["updated_at"]) == ("completed", 2, LATER)
    with pytest.raises(psycopg.Error) as caught:
        finish(connection, tenant, run_id)
    assert refusal(caught.value)[0] == "RUN_FINISHED"


def test_a_server_of_before_knows_writers_by_the_old_name(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer = uuid7()
    opened = (
        "insert into metric_writers as writer (organization_id, writer_id) values (%s, %s) "
        "on conflict (organization_id, writer_id) do update set updated_at = now() "
        "returning writer.last_sequence"
    )
    advanced = (
        "update metric_writers as writer set last_sequence = %s, updated_at = now() "
        "where writer.organization_id = %s and writer.writer_id = %s "
        "returning writer.last_sequence"
    )
    own = (tenant.organization_id, writer)
    with acting(connection, tenant):
        assert connection.execute(opened, own).fetchall() == [{"last_sequence": 0}]
        assert connection.execute(advanced, (1, *own)).fetchall() == [{"last_sequence": 1}]
        assert connection.execute(opened, own).fetchall() == [{"last_sequence": 1}]
    assert open_writer(connection, tenant, writer) == 1
    append(connection, tenant, writer, range(2, 3), [(run_id, "loss", [point(1)])])
    rival = create_tenant(connection, "rival")
    with acting(connection, rival), pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(opened, own)


def test_writers_of_one_run_never_deadlock(
    cluster: Cluster, connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    errors: list[Exception] = []

    def write(seed: int) -> None:
        chance, writer = random.Random(seed), uuid7()
        keys = [f"metric/{index}" for index in range(8)]
        try:
            with cluster.connect(connection.info.dbname) as own:
                open_writer(own, tenant, writer)
                for sequence in range(1, 21):
                    chance.shuffle(keys)
                    append(own, tenant, writer, range(sequence, sequence + 1),
                           [(run_id, key, [point(sequence)]) for key in keys])  # fmt: skip
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    with acting(connection, tenant):
        rows = call(connection, "listMetricSummaries", run_id=run_id, after_key="",
                    organization_id=tenant.organization_id, page_size=100)  # fmt: skip
    assert [row["key"] for row in rows] == [f"metric/{index}" for index in range(8)]
    assert {(row["point_count"], row["last_step"]) for row in rows} == {(80, 20)}


def test_a_summary_is_of_all_batches(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer, nan = uuid7(), math.nan
    open_writer(connection, tenant, writer)
    batches: list[tuple[list[Point], tuple[Any, ...]]] = [
        ([(5, 10, nan)], (1, 5, 5, 10, nan, nan, nan, 0, 0.0, None, None)),
        ([(5, 10, 3.0)], (2, 5, 5, 10, nan, 3.0, 3.0, 1, 3.0, 5, 5)),
        ([(6, 1, 1.5e308)], (3, 5, 6, 1, 1.5e308, 3.0, 1.5e308, 2, 1.5e308, 5, 6)),
        ([(7, 1, 1.5e308)], (4, 5, 7, 1, 1.5e308, 3.0, 1.5e308, 3, math.inf, 5, 6)),
        (
            [(9, 1, -math.inf), (9, 0, 8.0)],
            (6, 5, 9, 1, -math.inf, -math.inf, 1.5e308, 5, nan, 9, 6),
        ),
        (
            [(-INT64, 0, nan), (2, 0, math.inf)],
            (8, -INT64, 9, 1, -math.inf, -math.inf, math.inf, 6, nan, 9, 2),
        ),
        (
            [(INT64 - 1, 0, 0.5)],
            (9, -INT64, INT64 - 1, 0, 0.5, -math.inf, math.inf, 7, nan, 9, 2),
        ),
    ]
    for sequence, (points, expected) in enumerate(batches, start=1):
        append(connection, tenant, writer, range(sequence, sequence + 1),
               [(run_id, "loss", points)])  # fmt: skip
        with acting(connection, tenant):
            [row] = call(connection, "listMetricSummaries", run_id=run_id, after_key="",
                         organization_id=tenant.organization_id, page_size=9)  # fmt: skip
        assert repr(tuple(row.values())[1:]) == repr(expected)


def test_a_series_named_twice_in_a_group_is_refused(
    connection: Connection, tenant: Tenant, run_id: uuid.UUID
) -> None:
    writer = uuid7()
    open_writer(connection, tenant, writer)
    with pytest.raises(psycopg.errors.CardinalityViolation):
        append(connection, tenant, writer, range(1, 2), [(run_id, "loss", [point(1)])] * 2)
    assert stored(connection) == []
