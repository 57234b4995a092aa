"""Runs across processes: forks, exits, kills, and what they leave in the spool."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tracking_peer import Store, TrackingScript

import needletail

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from peer import Certificates, Peer

    MakePeer = Callable[..., Peer]
    StartRun = Callable[..., needletail.ActiveRun]


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.segment"))


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
