"""Runs whose server is cut off, goes away, refuses or forgets."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracking_peer import Store, TrackingScript

import needletail
from needletail._runs import active, uploader
from needletail._runs import spool as spool_module
from needletail._runs.batches import Batch
from needletail._runs.spool import MAGIC, Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peer import Peer

    MakePeer = Callable[..., Peer]
    StartRun = Callable[..., needletail.ActiveRun]


FAULT_POINTS = ["connect", "before commit", "before acknowledgement", "after acknowledgement"]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(faults=st.lists(st.sampled_from([*FAULT_POINTS, ""]), max_size=12))
def test_cuts_lose_nothing_and_store_nothing_twice(
    make_peer: MakePeer, start_run: StartRun, faults: list[str]
) -> None:
    """Whatever is cut, before or after the commit or its acknowledgement."""
    store = Store()
    plan = iter(faults)
    wanted = next(plan, None)
    begun = threading.Event()

    def fault(point: str) -> bool:
        nonlocal wanted
        if not begun.is_set() or point.startswith(("before W", "after W")):
            return False
        if wanted == "":
            wanted = next(plan, None)
            return False
        if point != wanted:
            return False
        wanted = next(plan, None)
        return True

    store.fault = fault
    with start_run(make_peer(TrackingScript(store)).port) as run:
        begun.set()
        for index in range(40):
            run.log({"loss": index})
            if index % 5 == 0:
                assert run.flush(timeout_seconds=20)
    assert store.values() == [(index, float(index)) for index in range(40)]
    assert not run.unsent_points


@pytest.mark.parametrize("method", ["WhoAmI", "CreateExperiment", "CreateRun", "FinishRun"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_around_a_call_has_its_effect_once(
    store: Store, make_peer: MakePeer, start_run: StartRun, method: str, when: str
) -> None:
    cuts = iter([True, True])
    store.fault = lambda point: point == f"{when} {method}" and next(cuts, False)
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log({"loss": 1})
    assert len(store.runs) == len(store.finishes) == len(store.experiments) == 1
    assert store.values() == [(0, 1.0)]


def test_the_server_may_go_and_come_back_on_its_port(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    with start_run(peer.port) as run:
        run.log({"loss": 0})
        assert run.flush()
        peer.close()
        for index in range(1, 1000):
            run.log({"loss": index})
        assert not run.flush(timeout_seconds=0.2)
        make_peer(TrackingScript(store), port=peer.port)
    assert store.values() == [(index, float(index)) for index in range(1000)]
    assert len(store.finishes) == 1


def test_a_drain_moves_the_stream_to_the_next_connection(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    with start_run(peer.port) as run:
        for index in range(30):
            run.log({"loss": index})
            assert run.flush()
            if index % 10 == 5:
                peer.connections[-1].goaway((1 << 32) - 1)
    assert store.values() == [(index, float(index)) for index in range(30)]
    assert peer.accepted >= 4


def test_a_finished_run_refuses_its_points_and_says_how_many(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.refusal = lambda _: (9, "RUN_FINISHED") if store.points else None
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log({"loss": 0})
        assert run.flush()
        for index in range(1, 11):
            run.log({"loss": index})
        assert run.flush()
        run.log({"loss": 99})
    assert store.values() == [(0, 0.0)]
    assert isinstance(run.errors[0], needletail.FailedPreconditionError)
    summary = run.finish()
    assert (summary.refused_points, summary.acknowledged_points) == (11, 1)
    assert "points were refused and dropped" in caplog.text
    assert not summary.unsent_points


def test_a_bad_batch_is_dropped_and_the_others_are_stored(
    store: Store, make_peer: MakePeer, start_run: StartRun, caplog: pytest.LogCaptureFixture
) -> None:
    def refusal(request: Any) -> tuple[int, str] | None:
        bad = any(series.key == "bad" for run in request.runs for series in run.series)
        return (3, "FIELD_INVALID") if bad else None

    store.refusal = refusal
    hold = threading.Event()
    store.fault = lambda point: point == "connect" and hold.is_set()
    peer = make_peer(TrackingScript(store))
    with start_run(peer.port) as run:
        hold.set()
        peer.connections[-1].cut()
        for index in range(20):
            run.log({"bad" if index in {3, 11} else "loss": index})
            run._uploader.wait_until_sent(0)
            while run._uploader.entries:
                run._uploader.wake.set()
        hold.clear()
    expected = [(index, float(index)) for index in range(20) if index not in {3, 11}]
    assert store.values() == expected
    assert run.finish().refused_points == 2
    assert [type(error) for error in run.errors] == [needletail.InvalidArgumentError] * 2
    assert "refused" in caplog.text


def test_a_server_that_was_set_back_gets_the_rest_from_a_new_writer(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    with start_run(peer.port) as run:
        run.log({"loss": 0})
        assert run.flush()
        with store.lock:
            store.writers.clear()
        peer.connections[-1].cut()
        run.log({"loss": 1})
    assert store.values() == [(0, 0.0), (1, 1.0)]
    assert len(store.writers) == 2


def test_a_key_that_may_not_write_keeps_the_points(
    store: Store, make_peer: MakePeer, start_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "MAX_PAUSE_WHEN_DENIED_SECONDS", 0.01)
    denied = threading.Event()
    denied.set()
    store.refusal = lambda _: (7, "PERMISSION_MISSING") if denied.is_set() else None
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log({"loss": 0})
        assert not run.flush(timeout_seconds=0.3)
        assert isinstance(run.errors[0], needletail.PermissionDeniedError)
        denied.clear()
    assert store.values() == [(0, 0.0)]


def test_memory_is_bounded_and_the_spool_holds_the_rest(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    run = start_run(peer.port, memory_max_bytes=1000)
    peer.close()
    for index in range(5000):
        run.log({"loss": index})
    run.flush(timeout_seconds=0.1)
    assert run._uploader._memory <= 1000
    make_peer(TrackingScript(store), port=peer.port)
    run.finish()
    assert store.values() == [(index, float(index)) for index in range(5000)]


def test_beyond_the_spools_bound_points_are_dropped_and_counted(
    store: Store, make_peer: MakePeer, start_run: StartRun, caplog: pytest.LogCaptureFixture
) -> None:
    peer = make_peer(TrackingScript(store))
    run = start_run(peer.port, memory_max_bytes=0, spool_max_bytes=4000)
    peer.close()
    for index in range(1000):
        run.log({"loss": index})
        if index % 50 == 0:
            run.flush(timeout_seconds=0.02)
    make_peer(TrackingScript(store), port=peer.port)
    summary = run.finish()
    assert summary.dropped_points > 0
    assert summary.acknowledged_points + summary.dropped_points == 1000
    stored = store.values()
    assert len(stored) == len(set(stored)) == summary.acknowledged_points
    assert "are dropped" in caplog.text


def test_an_unwritable_spool_is_a_warning(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    with start_run(make_peer(TrackingScript(store)).port, spool_dir=tmp_path / "file") as run:
        run.log({"loss": 0})
    assert store.values() == [(0, 0.0)]
    assert "no spool" in caplog.text


@pytest.mark.parametrize("length", [len(MAGIC), 0], ids=["a new segment", "a record"])
def test_a_disk_that_is_full_for_a_while_costs_nothing(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    length: int,
) -> None:
    write_all = spool_module._write_all
    failed: list[int] = []

    def write_on_a_full_disk(descriptor: int, data: bytes) -> None:
        """Takes half of what is first written with this length, or with any other than MAGIC's."""
        if len(failed) < 2 and (len(data) == len(MAGIC)) == bool(length):
            failed.append(os.write(descriptor, data[: len(data) // 2]))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(descriptor, data)

    monkeypatch.setattr(spool_module, "_write_all", write_on_a_full_disk)
    with start_run(make_peer(TrackingScript(store)).port) as run:
        for step in range(5):
            run.log({"loss": float(step)}, step=step)
            assert run.flush(timeout_seconds=10)
    assert len(failed) == 2
    assert "the spool can't be written" in caplog.text
    assert run.finish().acknowledged_points == 5


def test_a_record_that_stays_half_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "writer", max_bytes=1 << 20)
    spool.append(Batch(1, 1, b"first"))
    write_all = spool_module._write_all

    def write_half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def no_truncation(descriptor: int, length: int) -> None:
        del descriptor, length
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(spool_module, "_write_all", write_half)
    monkeypatch.setattr(os, "ftruncate", no_truncation)
    with pytest.raises(OSError, match="Input/output"):
        spool.append(Batch(2, 1, b"second"))
    monkeypatch.setattr(spool_module, "_write_all", write_all)
    third = Batch(3, 1, b"third")
    spool.append(third)
    third.series = None
    assert spool.read(third) == b"third"
    spool.release()
    left = Spool(tmp_path / "writer", max_bytes=1 << 20)
    assert [batch.number for batch in left.batches()] == [1, 3]
    left.remove()


def test_who_logs_faster_than_the_thread_writes_is_held_and_loses_nothing(
    store: Store, make_peer: MakePeer, start_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active, "WAKE_AT_LOGS", 10)
    monkeypatch.setattr(active, "MAX_QUEUED_LOGS", 20)
    run = start_run(make_peer(TrackingScript(store)).port)
    longest = 0
    for index in range(20_000):
        run.log({"loss": index})
        longest = max(longest, len(run._uploader.entries))
    assert longest <= 21
    assert run.finish().dropped_points == 0
    assert store.values() == [(index, float(index)) for index in range(20_000)]


def test_a_thread_that_makes_no_way_holds_its_caller_once(
    store: Store, make_peer: MakePeer, start_run: StartRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active, "WAKE_AT_LOGS", 10)
    monkeypatch.setattr(active, "MAX_QUEUED_LOGS", 20)
    monkeypatch.setattr(uploader, "ROOM_PATIENCE_SECONDS", 0.01)
    run = start_run(make_peer(TrackingScript(store)).port)
    run.log({"loss": 0})
    assert run.flush()
    waits = []
    whole_wait = run._uploader.changed.wait_for

    def wait_for(condition: Callable[[], bool], patience: float) -> bool:
        waits.append(patience)
        return whole_wait(condition, patience)

    monkeypatch.setattr(run._uploader.changed, "wait_for", wait_for)
    is_stuck, disk = threading.Event(), threading.Event()
    spool = run._uploader.spool
    assert spool is not None
    append = spool.append

    def append_late(batch: Batch) -> None:
        is_stuck.set()
        disk.wait(10)
        append(batch)

    monkeypatch.setattr(spool, "append", append_late)
    run.log({"loss": 1})
    run._uploader.wake.set()
    assert is_stuck.wait(10)
    for index in range(2, 100):
        run.log({"loss": index})
    assert len(waits) == 1
    disk.set()
    summary = run.finish()
    assert summary.dropped_points == 78
    assert store.values() == [(index, float(index)) for index in range(22)]
