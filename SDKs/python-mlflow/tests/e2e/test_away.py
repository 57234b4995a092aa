"""What is logged while the server is away is kept, and sent once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading

import needletail
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from needletail_mlflow import ids
from needletail_mlflow.tracking_store import TrackingStore

PATIENCE_SECONDS = 60.0
# Taken at import: no test sees the environment of whoever runs it.
CONNECTION_FILE = os.environ.get("NEEDLETAIL_CONNECTION_FILE", "")


@pytest.fixture
def gated(gated_uri: str) -> TrackingStore:
    return TrackingStore(gated_uri)


@pytest.fixture
def run(gated: TrackingStore) -> str:
    return gated.create_run("0", "somebody", 1_000, [], "away").info.run_id


def settled(store: TrackingStore, run: str) -> None:
    """Waits until nothing of the run is kept."""
    kept = store._connection.spools._runs.get(ids.to_uuid(run) or "")
    if kept is not None and kept._thread is not None:
        kept._thread.join(PATIENCE_SECONDS)
        assert kept.is_over


def synced(uri: str) -> list[needletail.SyncReport]:
    with needletail.connect(uri.rpartition("/")[0]) as client:
        return needletail.sync(client=client, timeout_seconds=PATIENCE_SECONDS)


def told(gate, store: TrackingStore, run: str) -> None:
    gate.close()
    with pytest.raises(MlflowException, match="CONNECT_FAILED") as caught:
        log(store, run, 0)
    assert caught.value.error_code == "TEMPORARILY_UNAVAILABLE"


def log(store: TrackingStore, run: str, step: int, key: str = "loss") -> None:
    store.log_metric(run, Metric(key, step / 2, 1_000 + step, step))


def logged(store: TrackingStore, run: str, key: str = "loss") -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in store.get_metric_history(run, key)]


def test_points_are_kept_and_sent_when_the_server_is_back(
    gate, gated, run, store, tmp_path, caplog
) -> None:
    log(gated, run, 0)
    gate.close()
    for step in range(1, 40):
        log(gated, run, step)
    assert "the server is away" in caplog.text
    assert list(tmp_path.glob("spool/*/writer.json"))
    gate.open()
    settled(gated, run)
    log(gated, run, 40)
    assert logged(store, run) == [(step, step / 2) for step in range(41)]
    assert not list(tmp_path.glob("spool/*"))


def test_a_call_whose_answer_was_lost_has_its_effect_once(gate, gated, run, store) -> None:
    gate.mute()
    log(gated, run, 0)
    log(gated, run, 1)
    assert logged(store, run) == [(0, 0.0)], "it came through, only its answer did not"
    gate.close()
    gate.open()
    settled(gated, run)
    assert logged(store, run) == [(0, 0.0), (1, 0.5)]


def test_batches_parameters_and_tags_are_kept_too(gate, gated, run, store) -> None:
    gate.close()
    metrics = [Metric("loss", 0.5, step, step) for step in range(100)]
    gated.log_batch(run, metrics, [Param("lr", "0.1")], [RunTag("kind", "first")])
    gated.log_param(run, Param("layers", "3"))
    gated.set_tag(run, RunTag("kind", "second"))
    gated.log_batch(
        run, [Metric("loss", 0.25, 100, 100), Metric("nan", float("nan"), 1, 1)], [], []
    )
    gate.open()
    settled(gated, run)
    found = store.get_run(run).data
    assert found.params == {"lr": "0.1", "layers": "3"}
    assert found.tags["kind"] == "second"
    assert len(logged(store, run)) == 101
    assert found.metrics["nan"] != found.metrics["nan"]


def test_what_the_server_refuses_later_is_told_and_the_rest_goes_on(
    gate, gated, run, store, caplog
) -> None:
    store.log_param(run, Param("lr", "0.1"))
    gate.close()
    log(gated, run, 0)
    gated.log_param(run, Param("lr", "0.2"))
    log(gated, run, 1)
    gate.open()
    settled(gated, run)
    assert "PARAMETER_DIFFERS" in caplog.text
    assert logged(store, run) == [(0, 0.0), (1, 0.5)]
    assert store.get_run(run).data.params == {"lr": "0.1"}


def test_what_the_server_answers_is_never_kept(gated, run, tmp_path) -> None:
    gated.delete_run(run)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        log(gated, run, 0)
    with pytest.raises(MlflowException, match="not found"):
        log(gated, "f" * 32, 0)
    assert not list(tmp_path.glob("spool/*"))


def test_the_end_of_a_run_comes_behind_what_is_kept(gate, gated, run, store) -> None:
    gate.close()
    for step in range(10):
        log(gated, run, step)
    told = gated.update_run_info(run, 3, 5_000_000_000_000, None)
    assert told.status == "FINISHED"
    assert store.get_run(run).info.status == "RUNNING"
    gate.open()
    settled(gated, run)
    found = store.get_run(run)
    assert found.info.status == "FINISHED"
    assert len(logged(store, run)) == 10


def test_a_run_ends_as_it_would_once_the_server_is_back(gate, gated, run, store) -> None:
    gate.close()
    log(gated, run, 0)
    gate.open()
    gated.update_run_info(run, 4, None, None)
    settled(gated, run)
    assert store.get_run(run).info.status == "FAILED"
    assert logged(store, run) == [(0, 0.0)]


def test_many_threads_lose_nothing_while_the_way_is_cut(gate, gated, run, store) -> None:
    def work(number: int) -> None:
        for step in range(60):
            log(gated, run, step, f"key {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    gate.close()
    for thread in threads:
        thread.join()
    gate.open()
    settled(gated, run)
    expected = [(step, step / 2) for step in range(60)]
    assert [logged(store, run, f"key {number}") for number in range(4)] == [expected] * 4


def test_a_forked_child_keeps_its_own(gate, gated, run, store, gated_uri) -> None:
    gate.close()
    log(gated, run, 0)

    def work() -> None:
        for step in range(1, 20):
            log(gated, run, step)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(PATIENCE_SECONDS)
    assert child.exitcode == 0
    gate.open()
    settled(gated, run)
    synced(gated_uri)
    assert logged(store, run) == [(step, step / 2) for step in range(20)]


def test_a_process_that_ends_leaves_it_to_sync(gate, gated_uri, store, tmp_path) -> None:
    program = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run(run_name="away") as run:
    mlflow.log_metric("loss", 0.0, step=0)
    print(run.info.run_id, flush=True)
    sys.stdin.readline()
    for step in range(1, 30):
        mlflow.log_metric("loss", step / 2, step=step)
"""
    environment = {**os.environ, "NEEDLETAIL_CONNECTION_FILE": CONNECTION_FILE}
    process = subprocess.Popen(
        [sys.executable, "-c", program, gated_uri],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    run = process.stdout.readline().strip()
    gate.close()
    _, errors = process.communicate("\n", timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors
    assert "sends them" in errors
    assert store.get_run(run).info.status == "RUNNING"
    gate.open()
    reports = synced(gated_uri)
    assert [(one.sent_points, one.unsent_points, one.problem) for one in reports] == [(29, 0, "")]
    assert logged(store, run) == [(step, step / 2) for step in range(30)]
    assert store.get_run(run).info.status == "FINISHED"
    assert not list(tmp_path.glob("spool/*"))
    assert synced(gated_uri) == []


def test_without_a_spool_the_caller_is_told(gate, gated_uri, run, monkeypatch) -> None:
    monkeypatch.setattr(needletail.settings, "DEFAULT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setenv("NEEDLETAIL_MLFLOW_SPOOL", "0")
    told(gate, TrackingStore(gated_uri), run)


def test_the_clients_of_a_server_of_mlflow_are_told(gate, gated_uri, run, monkeypatch) -> None:
    monkeypatch.setattr(needletail.settings, "DEFAULT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", gated_uri)
    told(gate, TrackingStore(gated_uri), run)
