"""Runs against a peer that keeps points and fails on demand."""

from __future__ import annotations

import itertools
import json
import logging
import math
import multiprocessing
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracking_peer import PROJECT, Store, TrackingScript

import needletail
from needletail._runs import uploader

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import Certificates, Peer

    MakePeer = Callable[..., Peer]
    StartRun = Callable[..., needletail.ActiveRun]


class Index:
    """An integer that isn't `int`, as NumPy's are."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


NumpyBool = type("bool_", (), {"__float__": lambda _: 1.0})


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploader, "FIRST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(uploader, "MAX_PAUSE_SECONDS", 0.05)


@pytest.fixture
def start_run(certificates: Certificates, tmp_path: Path) -> StartRun:
    def start(port: int, **options: Any) -> needletail.ActiveRun:
        options.setdefault("flush_seconds", 0.005)
        options.setdefault("spool_dir", tmp_path / "spool")
        return needletail.run(
            experiment=options.pop("experiment", "digits"),
            url=f"needletail://127.0.0.1:{port}",
            api_key="ntl_test",
            ca_file=str(certificates.ca_file),
            **options,
        )

    return start


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.segment"))


def test_points_arrive_with_step_time_and_value(
    store: Store, make_peer: MakePeer, start_run: StartRun, tmp_path: Path
) -> None:
    peer = make_peer(TrackingScript(store))
    with start_run(peer.port, project="default", name="first") as run:
        assert run.id in store.runs
        assert run.name == "first"
        run.log({"loss": 0.5, "accuracy": 1}, step=7)
        run.log({"loss": Fraction(1, 4)})
        run.log({"loss": math.nan}, step=Index(-3))
        run.log({"loss": -math.inf})
    steps = [(step, repr(value)) for step, value in store.values()]
    assert steps == [(7, "0.5"), (8, "0.25"), (-3, "nan"), (-2, "-inf")]
    assert store.values("accuracy") == [(7, 1.0)]
    assert all(time_us > 1_700_000_000_000_000 for _, _, _, time_us, _ in store.points)
    assert [(f.id, f.status) for f in store.finishes] == [(run.id, 3)]
    assert not left_in(tmp_path)
    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(
    ("metrics", "step", "error"),
    [
        ({"a": True}, 0, TypeError),
        ({"a": NumpyBool()}, 0, TypeError),
        ({"a": "1"}, 0, TypeError),
        ({"a": None}, 0, TypeError),
        ({1: 1.0}, 0, TypeError),
        ({"": 1.0}, 0, ValueError),
        ({"x" * 251: 1.0}, 0, ValueError),
        ({"a\nb": 1.0}, 0, ValueError),
        ({"a": 1.0}, 1 << 63, ValueError),
        ({"a": 1.0}, -(1 << 63) - 1, ValueError),
        ({"a": 1.0}, True, TypeError),
        ({"a": 1.0}, 1.0, TypeError),
    ],
)
def test_what_is_no_metric_is_refused_at_once(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    metrics: Any,
    step: Any,
    error: type[Exception],
) -> None:
    with start_run(make_peer(TrackingScript(store)).port) as run:
        with pytest.raises(error):
            run.log(metrics, step=step)
        run.log({"loss": 1e308, "big": 10**400}, step=(1 << 63) - 1)
        with pytest.raises(ValueError, match="64 bits"):
            run.log({"loss": 0.0})
    assert store.values() == [((1 << 63) - 1, 1e308)]
    assert store.values("big") == [((1 << 63) - 1, math.inf)]


def test_numpys_numbers_are_numbers(store: Store, make_peer: MakePeer, start_run: StartRun) -> None:
    np = pytest.importorskip("numpy")
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log({"loss": np.float32(0.5)}, step=np.int64(4))
        run.log({"loss": np.array(3)})
        with pytest.raises(TypeError):
            run.log({"loss": np.True_})
    assert store.values() == [(4, 0.5), (5, 3.0)]


def test_the_experiment_is_found_by_name_or_created_once(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    threads = [
        threading.Thread(target=lambda: start_run(peer.port, project=PROJECT).finish())
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    start_run(peer.port, experiment="DIGITS").finish()
    assert list(store.experiments) == ["digits"]
    assert len(store.runs) == len(store.finishes) == 5


def test_a_project_that_is_not_there_is_an_error_at_once(
    store: Store, make_peer: MakePeer, start_run: StartRun, tmp_path: Path
) -> None:
    peer = make_peer(TrackingScript(store))
    with pytest.raises(needletail.NotFoundError, match="default"):
        start_run(peer.port, project="nowhere")
    assert not list((tmp_path / "spool").iterdir())


def test_an_exception_fails_the_run_and_an_interrupt_cancels_it(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error), start_run(peer.port) as run:
            run.log({"loss": 1})
            raise error
    assert [finish.status for finish in store.finishes] == [4, 5]
    with pytest.raises(RuntimeError):
        run.log({"loss": 1})


def test_many_points_are_cut_into_batches(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    with start_run(make_peer(TrackingScript(store)).port, flush_seconds=0.2) as run:
        for index in range(30_000):
            run.log({"loss": index})
    assert store.values() == [(index, float(index)) for index in range(30_000)]
    assert 3 <= store.commits <= 100
    assert run.acknowledged_points == 30_000


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


def test_a_run_starts_and_ends_without_a_server_and_is_synced_later(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    certificates: Certificates,
) -> None:
    peer = make_peer(TrackingScript(store))
    peer.close()
    run = start_run(peer.port, start_timeout_seconds=0.1, name="offline")
    assert run.id is None
    for index in range(100):
        run.log({"loss": index})
    summary = run.finish("failed", timeout_seconds=0.1)
    assert (summary.unsent_points, summary.acknowledged_points) == (100, 0)
    assert summary.spool_folder in caplog.text
    assert "100 points" in caplog.text
    assert left_in(Path(summary.spool_folder))

    peer = make_peer(TrackingScript(store))
    environment = {
        **os.environ,
        "NEEDLETAIL_URL": peer.url,
        "NEEDLETAIL_API_KEY": "k",
        "NEEDLETAIL_CA_FILE": str(certificates.ca_file),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "needletail", "sync", "--spool-dir", str(tmp_path / "spool")]
    for expected in ("100 points sent, 0 left", "nothing is left"):
        done = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert expected in done.stdout
    assert store.values() == [(index, float(index)) for index in range(100)]
    (finish,) = store.finishes
    assert finish.status == 4
    assert finish.HasField("completed_at")
    assert next(iter(store.runs.values())).name == "offline"


def test_what_a_killed_process_left_is_sent_once(
    store: Store, make_peer: MakePeer, tmp_path: Path, certificates: Certificates
) -> None:
    """Half of it is already committed when the process dies; the rest follows by sync."""
    peer = make_peer(TrackingScript(store))
    stop = threading.Event()
    store.fault = lambda point: stop.is_set() and point in {"before commit", "connect"}
    program = f"""
import os, needletail, sys
run = needletail.run(experiment="digits", url={peer.url!r}, api_key="k", flush_seconds=0.005,
    ca_file={str(certificates.ca_file)!r}, spool_dir={str(tmp_path / "spool")!r})
for index in range(50): run.log({{"loss": index}})
assert run.flush()
print("half", flush=True)
sys.stdin.readline()
for index in range(50, 100): run.log({{"loss": index}})
run.flush(timeout_seconds=0.3)
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "half\n"
        stop.set()
        child.stdin.write("\n")
        child.stdin.flush()
        child.wait(30)
    stop.clear()
    assert store.values() == [(index, float(index)) for index in range(50)]
    with needletail.connect(peer.url, api_key="k", ca_file=str(certificates.ca_file)) as client:
        (report,) = needletail.sync(spool_dir=tmp_path / "spool", client=client)
        assert (report.unsent_points, report.problem) == (0, "")
        assert needletail.sync(spool_dir=tmp_path / "spool", client=client) == []
    assert store.values() == [(index, float(index)) for index in range(100)]
    assert store.finishes == []


def test_sync_leaves_alone_what_is_not_its_own(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    tmp_path: Path,
    certificates: Certificates,
) -> None:
    peer = make_peer(TrackingScript(store))
    other = tmp_path / "spool" / "other"
    other.mkdir(parents=True)
    metadata = {"writer_id": "w", "run_id": "r", "organization_id": "somebody else's"}
    (other / "writer.json").write_text(json.dumps(metadata))
    broken = tmp_path / "spool" / "broken"
    broken.mkdir()
    (broken / "writer.json").write_text("{")
    run = start_run(peer.port)
    with needletail.connect(peer.url, api_key="k", ca_file=str(certificates.ca_file)) as client:
        reports = needletail.sync(spool_dir=tmp_path / "spool", client=client)
    assert {Path(report.folder).name for report in reports} == {"other", "broken"}
    assert all(report.problem for report in reports)
    assert (other / "writer.json").exists()
    run.finish()


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


def test_a_half_written_record_does_not_hide_the_others(
    store: Store,
    make_peer: MakePeer,
    start_run: StartRun,
    tmp_path: Path,
    certificates: Certificates,
) -> None:
    peer = make_peer(TrackingScript(store))
    peer.close()
    run = start_run(peer.port, start_timeout_seconds=0.05)
    for index in range(3):
        run.log({"loss": index})
        run.flush(timeout_seconds=0.05)
    summary = run.finish(timeout_seconds=0)
    (segment,) = Path(summary.spool_folder).glob("*.segment")
    data = segment.read_bytes()
    segment.write_bytes(data[:-3])
    peer = make_peer(TrackingScript(store))
    with needletail.connect(peer.url, api_key="k", ca_file=str(certificates.ca_file)) as client:
        (report,) = needletail.sync(spool_dir=tmp_path / "spool", client=client)
    assert (report.damaged_records, report.sent_points, report.problem) == (1, 2, "")
    assert store.values() == [(0, 0.0), (1, 1.0)]


def test_a_forked_child_is_another_writer_of_the_run(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    with start_run(make_peer(TrackingScript(store)).port) as run:
        run.log({"loss": 0})
        context = multiprocessing.get_context("fork")

        def work(number: int) -> None:
            for index in range(100):
                run.log({f"child{number}": index})

        children = [context.Process(target=work, args=(number,)) for number in range(3)]
        for child in children:
            child.start()
        for index in range(1, 100):
            run.log({"loss": index})
        for child in children:
            child.join(30)
            assert child.exitcode == 0
    assert store.values() == [(index, float(index)) for index in range(100)]
    for number in range(3):
        assert [value for _, value in store.values(f"child{number}")] == list(range(100))
    assert len(store.writers) == 4
    assert len(store.runs) == len(store.finishes) == 1


def test_a_forked_child_may_use_its_parents_client(
    make_peer: MakePeer, store: Store, certificates: Certificates
) -> None:
    peer = make_peer(TrackingScript(store))
    with needletail.connect(peer.url, api_key="k", ca_file=str(certificates.ca_file)) as client:
        before = client.identity.who_am_i()

        def work() -> None:
            assert client.identity.who_am_i() == before

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert client.identity.who_am_i() == before
    assert peer.accepted == 2


def test_a_forgotten_run_is_finished_at_exit(
    store: Store, make_peer: MakePeer, tmp_path: Path, certificates: Certificates
) -> None:
    peer = make_peer(TrackingScript(store))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for ending, expected in (("", 3), ("raise ValueError", 4)):
        program = f"""
import needletail
needletail.run(experiment="digits", url={peer.url!r}, api_key="k",
    ca_file={str(certificates.ca_file)!r}, spool_dir={str(tmp_path)!r}).log({{"loss": 1}})
{ending}
"""
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", program],
            env=environment,
            check=False,
            timeout=60,
            capture_output=True,
        )
        assert store.finishes[-1].status == expected
    assert len(store.values()) == 2


def test_logging_goes_on_from_many_threads(
    store: Store, make_peer: MakePeer, start_run: StartRun, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with start_run(make_peer(TrackingScript(store)).port) as run:

        def work(number: int) -> None:
            for index in range(500):
                run.log({f"m{number}": index})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    steps = list(itertools.chain.from_iterable(store.values(f"m{n}") for n in range(8)))
    assert sorted(step for step, _ in steps) == list(range(4000))
    for number in range(8):
        assert [value for _, value in store.values(f"m{number}")] == list(range(500))
    assert not caplog.records
