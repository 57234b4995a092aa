"""Traces as MLflow tells them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mlflow.entities import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from needletail.tracing import TraceState as State

from needletail_mlflow import assessments, spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from needletail.tracing import Trace as Stored

    from needletail_mlflow.experiments import Experiments

((SPANS_LOCATION, HERE),) = spans.HERE.items()
TOLD_TAGS = {MLFLOW_ARTIFACT_LOCATION, SPANS_LOCATION}
"""Tags that are told of traces without being theirs."""

SPANLESS = "needletail.mlflow.started_without_spans"
"""Tag of a trace that had no spans when its client told of it: they may be among its artifacts."""

UNLOCATED = "needletail.mlflow.without_location"
"""Tag of a trace whose tag with the place of its artifacts was deleted."""

_OWN_TAGS = {SPANLESS, UNLOCATED}
_STATES = {
    State.UNSPECIFIED: TraceState.STATE_UNSPECIFIED,
    State.OK: TraceState.OK,
    State.ERROR: TraceState.ERROR,
    State.IN_PROGRESS: TraceState.IN_PROGRESS,
}
STORED_STATES = {value: key for key, value in _STATES.items()}


class Telling:
    """Tells traces, which need to know of their experiments."""

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments

    def just_started(self, info: TraceInfo, tags: dict[str, str]) -> TraceInfo:
        """A trace that nothing was known of before; it need not be read."""
        uuid = self._experiments.uuid(info.experiment_id) or ""
        return dataclasses.replace(
            info,
            request_preview=spans.storable(info.request_preview),
            response_preview=spans.storable(info.response_preview),
            trace_metadata=dict(info.trace_metadata),
            tags={**self._told_tags(uuid, info.trace_id, {SPANLESS}), **tags},
        )

    def told(self, stored: Stored) -> TraceInfo:
        """A trace."""
        tags = {one.key: one.value for one in stored.tags}
        told = self._told_tags(stored.experiment_id, stored.trace_id, tags)
        return TraceInfo(
            trace_id=stored.trace_id,
            trace_location=TraceLocation.from_experiment_id(
                self._experiments.public_id(stored.experiment_id)
            ),
            request_time=stored.request_time_ms,
            execution_duration=stored.execution_ms,
            state=_STATES[stored.state],
            request_preview=stored.request_preview,
            response_preview=stored.response_preview,
            client_request_id=stored.client_request_id,
            trace_metadata={one.key: one.value for one in stored.metadata},
            tags={
                **told,
                **{key: value for key, value in tags.items() if key not in _OWN_TAGS},
            },
            assessments=[assessments.told(one, stored.trace_id) for one in stored.assessments],
        )

    def _told_tags(self, experiment_uuid: str, trace_id: str, own: Iterable[str]) -> dict[str, str]:
        """Tags that MLflow's clients go by, and that are much the same of every trace."""
        told = {} if SPANLESS in own else {SPANS_LOCATION: HERE}
        if UNLOCATED not in own:
            location = self._experiments.trace_artifacts(experiment_uuid, trace_id)
            told[MLFLOW_ARTIFACT_LOCATION] = location
        return told
