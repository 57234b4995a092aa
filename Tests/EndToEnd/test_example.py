"""The training example: a real classifier, every step of it stored."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import ROOT, UpServer, clean_environment

if TYPE_CHECKING:
    import needletail

STEPS = 25


def python_with_scikit_learn() -> str:
    """Find a Python that can train; skip the test where there is none."""
    for python in (sys.executable, str(ROOT / ".venv" / "bin" / "python")):
        if not Path(python).exists():
            continue
        tried = subprocess.run(
            [python, "-c", "import sklearn, google.protobuf"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return python
    pytest.skip("scikit-learn is not installed: Scripts/setup --for example")


def test_the_digits_are_learnt_and_every_step_is_stored(
    served: UpServer, client: needletail.Client, place: Path
) -> None:
    name = f"run {uuid.uuid4()}"
    result = subprocess.run(
        [
            python_with_scikit_learn(), ROOT / "Scripts" / "examples" / "train_digits.py",
            "--connection-file", served.connection_file, "--steps", str(STEPS),
            "--step-seconds", "0", "--name", name,
        ],
        capture_output=True, text=True, timeout=300, check=False, cwd="/",
        env=clean_environment(
            NEEDLETAIL_SPOOL_DIR=str(place / "spool"), PATH=os.environ["PATH"]
        ),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert f"{3 * STEPS} points acknowledged, 0 unsent" in result.stdout
    (run,) = [run for run in client.tracking.iterate_runs() if run.name == name]
    assert run.status.name == "COMPLETED"
    metrics = {m.key: m for m in client.tracking.iterate_run_metrics(run_id=run.id)}
    assert set(metrics) == {"loss", "accuracy", "learning_rate"}
    assert {metric.count for metric in metrics.values()} == {STEPS}
    history = client.tracking.get_metric_history(run_id=run.id, key="loss").series
    assert history.steps == tuple(range(STEPS))
    assert history.values[-1] < history.values[0]
