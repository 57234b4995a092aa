"""Runs as MLflow tells them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlflow.entities import (
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
    RunTag,
)
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_USER
from needletail.tracking import RunStatus as Status

from needletail_mlflow import ids, times
from needletail_mlflow.searching import END_TAG, OWN_TAGS, UNNAMED_TAG, USER_TAG

if TYPE_CHECKING:
    from needletail.tracking import FoundRun, MetricSummary
    from needletail.tracking import Run as Stored

MAX_DOUBLE = 1.7976931348623157e308
"""What MLflow's own database says in the place of infinity."""

STATUSES = {
    Status.SCHEDULED: RunStatus.SCHEDULED,
    Status.RUNNING: RunStatus.RUNNING,
    Status.COMPLETED: RunStatus.FINISHED,
    Status.FAILED: RunStatus.FAILED,
    Status.CANCELLED: RunStatus.KILLED,
}
STORED_STATUSES = {value: key for key, value in STATUSES.items()}
_NAMES = {key: RunStatus.to_string(value) for key, value in STATUSES.items()}
_UNKNOWN_USER = "unknown"


def told_value(value: float) -> float:
    """A metric's value: MLflow's infinities are the greatest numbers there are."""
    return math.copysign(MAX_DOUBLE, value) if math.isinf(value) else value


def told_info(
    stored: Stored, experiment_id: str, artifact_uri: str, tags: dict[str, str]
) -> RunInfo:
    """What a run is."""
    return RunInfo(
        run_id=ids.to_mlflow(stored.id),
        experiment_id=experiment_id,
        user_id=tags.get(USER_TAG) or tags.get(MLFLOW_USER) or _UNKNOWN_USER,
        status=_NAMES[stored.status],
        # MLflow knows no run without a start.
        start_time=times.to_ms(stored.started_at or stored.created_at),
        end_time=_end(stored, tags),
        lifecycle_stage=(
            LifecycleStage.ACTIVE if stored.deleted_at is None else LifecycleStage.DELETED
        ),
        artifact_uri=artifact_uri,
        run_name=stored.name,
    )


def told_end(run_id: str, status: int, end_time: int | None) -> RunInfo:
    """What is known of a run whose end the server does not know yet."""
    return RunInfo(
        run_id=run_id,
        experiment_id="",
        user_id=_UNKNOWN_USER,
        status=RunStatus.to_string(status),
        start_time=0,
        end_time=end_time,
        lifecycle_stage=LifecycleStage.ACTIVE,
    )


def told_run(
    found: FoundRun,
    experiment_id: str,
    artifact_uri: str,
    inputs: RunInputs,
    outputs: RunOutputs,
) -> Run:
    """A run with all that it has."""
    stored = found.run
    assert stored is not None  # noqa: S101 the server always sends it
    tags = {tag.key: tag.value for tag in found.tags}
    info = told_info(stored, experiment_id, artifact_uri, tags)
    # The name is the run's own: its tag is made of it, unless just that was deleted.
    if tags.get(UNNAMED_TAG) != stored.name:
        tags[MLFLOW_RUN_NAME] = stored.name
    data = RunData(
        metrics=[_metric(one) for one in found.metrics],
        params=[Param(one.key, one.value) for one in found.parameters],
        tags=[RunTag(key, value) for key, value in tags.items() if key not in OWN_TAGS],
    )
    return Run(info, data, inputs, outputs)


def end_tag(stored: Stored, end_time: int | None) -> dict[str, str]:
    """What keeps an end that no run has here: while it goes on, before its start, before 1970."""
    kept = times.to_ms(stored.completed_at)
    return {} if end_time is None or kept == end_time else {END_TAG: f"{kept} {end_time}"}


def _end(stored: Stored, tags: dict[str, str]) -> int | None:
    kept = times.to_ms(stored.completed_at)
    # Once the run ends otherwise, the tag is of no more use.
    known, _, end_time = tags.get(END_TAG, "").partition(" ")
    return int(end_time) if end_time and known == str(kept) else kept


def _metric(summary: MetricSummary) -> Metric:
    return Metric(
        summary.key,
        told_value(summary.last_value),
        summary.last_time_us // 1_000,
        summary.last_step,
    )
