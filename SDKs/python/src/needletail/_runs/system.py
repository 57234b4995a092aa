"""What a run's machine does meanwhile, under MLflow's names: `system/cpu_utilization_percentage`.

Read from /proc and, where there is one, from `nvidia-smi`; what can't be read is left out.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("needletail")

DEFAULT_INTERVAL_SECONDS = 10.0
PREFIX = "system/"
# What a GPU may keep `nvidia-smi` waiting.
GPU_PATIENCE_SECONDS = 5.0
MEGABYTE = 1e6
_KIBIBYTE = 1024
_GPU_FIELDS = "index,memory.used,memory.total,utilization.gpu,power.draw,power.limit"
_GPU_FIELD_COUNT = 6
# As `nvidia-smi` counts memory.
_MEBIBYTE = 1 << 20
_IDLE, _WAITING = 3, 4
_RECEIVED, _TRANSMITTED = 0, 8


@dataclasses.dataclass(slots=True)
class _Counters:
    """What only grows: a metric is how much it has grown."""

    busy: int = 0
    total: int = 0
    received: int = 0
    transmitted: int = 0


class SystemSampler:
    """Measures this machine; utilization and traffic are of the time since the last sample."""

    def __init__(self, *, proc: Path = Path("/proc"), disk: str = "/") -> None:
        """Takes where to look."""
        self._proc = proc
        self._disk = disk
        self._gpu_program = shutil.which("nvidia-smi")
        self._begun = self._counters()
        self._last = self._begun

    def sample(self) -> dict[str, float]:
        """What can be measured now."""
        found: dict[str, float] = {}
        for part in (self._processors_and_network, self._memory, self._storage, self._gpus):
            try:
                found |= part()
            except (OSError, ValueError, LookupError, subprocess.SubprocessError):
                # Not every machine tells everything.
                continue
        return {PREFIX + name: value for name, value in found.items()}

    def _processors_and_network(self) -> dict[str, float]:
        now, last = self._counters(), self._last
        self._last = now
        if now.total == 0:
            return {}
        found = {
            "network_receive_megabytes": (now.received - self._begun.received) / MEGABYTE,
            "network_transmit_megabytes": (now.transmitted - self._begun.transmitted) / MEGABYTE,
        }
        if now.total > last.total:
            share = (now.busy - last.busy) / (now.total - last.total)
            found["cpu_utilization_percentage"] = 100 * min(1.0, max(0.0, share))
        return found

    def _counters(self) -> _Counters:
        counters = _Counters()
        try:
            times = [int(text) for text in self._read("stat").split("\n", 1)[0].split()[1:9]]
            counters.total = sum(times)
            counters.busy = counters.total - times[_IDLE] - times[_WAITING]
            for line in self._read("net/dev").splitlines()[2:]:
                name, _, numbers = line.partition(":")
                if name.strip() != "lo":
                    columns = numbers.split()
                    counters.received += int(columns[_RECEIVED])
                    counters.transmitted += int(columns[_TRANSMITTED])
        except (OSError, ValueError, LookupError):
            # Not every machine has a /proc.
            pass
        return counters

    def _memory(self) -> dict[str, float]:
        lines = (line.split() for line in self._read("meminfo").splitlines())
        sizes = {line[0]: int(line[1]) * _KIBIBYTE for line in lines}
        total = sizes["MemTotal:"]
        used = total - sizes["MemAvailable:"]
        return {
            "system_memory_usage_megabytes": used / MEGABYTE,
            "system_memory_usage_percentage": 100 * used / total,
        }

    def _storage(self) -> dict[str, float]:
        usage = shutil.disk_usage(self._disk)
        return {
            "disk_usage_percentage": 100 * usage.used / (usage.used + usage.free),
            "disk_usage_megabytes": usage.used / MEGABYTE,
            "disk_available_megabytes": usage.free / MEGABYTE,
        }

    def _gpus(self) -> dict[str, float]:
        if self._gpu_program is None:
            return {}
        answer = subprocess.run(  # noqa: S603 - the program that PATH names, without a shell
            [self._gpu_program, f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True,
            check=True,
            text=True,
            timeout=GPU_PATIENCE_SECONDS,
        )
        found: dict[str, float] = {}
        for line in answer.stdout.splitlines():
            found |= _gpu(line)
        return found

    def _read(self, name: str) -> str:
        return (self._proc / name).read_text(encoding="ascii")


def _gpu(line: str) -> dict[str, float]:
    """The metrics of one line of `nvidia-smi`; a field may be "[N/A]"."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != _GPU_FIELD_COUNT:
        return {}
    used, total, busy, power, most = (_number(cell) for cell in cells[1:])
    name = f"gpu_{cells[0]}"
    found: dict[str, float | None] = {
        f"{name}_memory_usage_megabytes": None if used is None else used * _MEBIBYTE / MEGABYTE,
        f"{name}_memory_usage_percentage": _percentage(used, total),
        f"{name}_utilization_percentage": busy,
        f"{name}_power_usage_watts": power,
        f"{name}_power_usage_percentage": _percentage(power, most),
    }
    return {key: value for key, value in found.items() if value is not None}


def _percentage(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class SystemMetrics:
    """Samples into a run on a thread of its own, each sample one step after the one before."""

    def __init__(
        self,
        log: Callable[[dict[str, float], int], None],
        *,
        interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
        first_step: int = 0,
        sampler: SystemSampler | None = None,
    ) -> None:
        """Starts; `log` takes the metrics of a sample and its step.

        Raises:
            ValueError: The interval is not above 0.
        """
        if not interval_seconds > 0:
            raise ValueError(f"an interval is above 0 seconds: {interval_seconds}")
        self._log = log
        self._interval_seconds = interval_seconds
        self._step = first_step
        self._sampler = sampler or SystemSampler()
        self._is_mine = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="needletail-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the sampling."""
        self._stop.set()
        if self._is_mine:
            self._thread.join(GPU_PATIENCE_SECONDS)

    def after_fork(self) -> None:
        """The child has no thread; the parent goes on."""
        self._is_mine = False
        self._stop = threading.Event()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            try:
                if metrics := self._sampler.sample():
                    self._log(metrics, self._step)
                    self._step += 1
            except RuntimeError:
                # The run is over.
                return
            except Exception:  # noqa: BLE001 - the last resort of a thread
                _log.exception("system metrics can't be measured any more")
                return
