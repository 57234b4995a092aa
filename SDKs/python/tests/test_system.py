"""What a machine tells of itself, and when a run is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tracking_peer import Store, TrackingScript

from needletail._runs.system import SystemMetrics, SystemSampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peer import Peer

    import needletail

    MakePeer = Callable[..., Peer]
    StartRun = Callable[..., needletail.ActiveRun]

GPU = """#!/bin/sh
[ "${1%%=*}" = --query-gpu ] || exit 1
echo "0, 1000, 4000, 37, 75.5, 300.0"
echo "1, 0, 4000, 0, [N/A], [N/A]"
"""


def write(proc: Path, busy: int, idle: int, received: int) -> None:
    (proc / "net").mkdir(parents=True, exist_ok=True)
    (proc / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 9 9\ncpu0 1\n")
    (proc / "net/dev").write_text(
        "Inter-|   Receive  |  Transmit\n face |bytes\n"
        "    lo: 999999999 0 0 0 0 0 0 0 999999999 0 0 0 0 0 0 0\n"
        f"  eth0:{received} 0 0 0 0 0 0 0 {received * 2} 0 0 0 0 0 0 0\n"
    )
    (proc / "meminfo").write_text("MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: 250000 kB\n")


def test_a_sample_has_the_names_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(GPU)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    write(tmp_path / "proc", 100, 100, 1_000_000)
    sampler = SystemSampler(proc=tmp_path / "proc", disk=str(tmp_path))
    write(tmp_path / "proc", 130, 110, 6_000_000)
    found = sampler.sample()
    disk = {name: found.pop(name) for name in list(found) if "disk" in name}
    assert found == pytest.approx({
        "system/cpu_utilization_percentage": 75.0,
        "system/system_memory_usage_megabytes": 768.0,
        "system/system_memory_usage_percentage": 75.0,
        "system/network_receive_megabytes": 5.0,
        "system/network_transmit_megabytes": 10.0,
        "system/gpu_0_memory_usage_megabytes": 1048.576,
        "system/gpu_0_memory_usage_percentage": 25.0,
        "system/gpu_0_utilization_percentage": 37.0,
        "system/gpu_0_power_usage_watts": 75.5,
        "system/gpu_0_power_usage_percentage": 75.5 / 3,
        "system/gpu_1_memory_usage_megabytes": 0.0,
        "system/gpu_1_memory_usage_percentage": 0.0,
        "system/gpu_1_utilization_percentage": 0.0,
    })  # fmt: skip
    assert sorted(disk) == [
        "system/disk_available_megabytes",
        "system/disk_usage_megabytes",
        "system/disk_usage_percentage",
    ]
    assert 0 <= disk["system/disk_usage_percentage"] <= 100


def test_what_a_machine_does_not_tell_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sampler = SystemSampler(proc=tmp_path / "none", disk=str(tmp_path / "none"))
    assert sampler.sample() == {}


def test_each_sample_is_one_step_on_from_where_it_begins() -> None:
    steps: list[int] = []
    enough = threading.Event()

    def log(metrics: dict[str, float], step: int) -> None:
        assert metrics
        steps.append(step)
        if len(steps) == 3:
            enough.set()
            raise RuntimeError("the run is over")

    sampling = SystemMetrics(log, interval_seconds=0.001, first_step=41)
    assert enough.wait(30)
    sampling.stop()
    assert steps == [41, 42, 43]


def test_an_interval_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="interval"):
        SystemMetrics(lambda _metrics, _step: None, interval_seconds=0)


def test_a_run_samples_beside_its_own_steps(
    store: Store, make_peer: MakePeer, start_run: StartRun
) -> None:
    peer = make_peer(TrackingScript(store))
    key = "system/system_memory_usage_percentage"
    with start_run(
        peer.port, system_metrics=True, system_metrics_seconds=0.01, flush_seconds=0.01
    ) as run:
        run.log({"loss": 1.0}, step=1_000)
        with store.changed:
            assert store.changed.wait_for(lambda: len(store.values(key)) >= 3, 30)
        run.log({"loss": 2.0})
    assert [step for step, _ in store.values()] == [1_000, 1_001]
    assert [step for step, _ in store.values(key)] == list(range(len(store.values(key))))
