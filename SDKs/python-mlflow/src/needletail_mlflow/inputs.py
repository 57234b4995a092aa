"""What runs read and made: datasets, and models by their ids."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    RunInputs,
    RunOutputs,
)
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT
from mlflow.utils.validation import _validate_dataset_inputs
from needletail.datasets import log_inputs, read_profile
from needletail.tracking import InputDataset, ModelRole, NewRunInput, NewRunModel, Tag

from needletail_mlflow.errors import TRANSLATED, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail.tracking import ExperimentDataset, FoundRun, RunInput, RunModel

    from needletail_mlflow.connection import Connection

_PAGE = 1_000
_PROFILES_KEPT = 4


class Inputs:
    """Links of runs to datasets and models."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Profiles that were too long to come along, the last used last. They never change.
        self._profiles: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def log_inputs(self, run_uuid: str, datasets=None, models=None) -> None:
        if datasets is not None:
            if not isinstance(datasets, list):
                raise TypeError(f"Argument 'datasets' should be a list, got '{type(datasets)}'")
            _validate_dataset_inputs(datasets)
        if any(one.dataset is None for one in datasets or ()):
            raise invalid("Dataset input must have a dataset associated with it.")
        with TRANSLATED:
            if datasets:
                inputs = _new_inputs(datasets)
                for start in range(0, len(inputs), _PAGE):
                    log_inputs(self._connection.client, run_uuid, inputs[start : start + _PAGE])
            if models:
                self._log_models(run_uuid, ModelRole.INPUT, [(one.model_id, 0) for one in models])

    def log_outputs(self, run_uuid: str, models) -> None:
        if not models:
            return
        with TRANSLATED:
            self._log_models(
                run_uuid, ModelRole.OUTPUT, [(one.model_id, one.step or 0) for one in models]
            )

    def linked(self, found: FoundRun) -> FoundRun:
        """A run with all that it is linked to, however much that is."""
        assert found.run is not None  # noqa: S101 the server always sends it
        tracking, page = self._tracking, {"page_size": _PAGE, "include_deleted": True}
        return dataclasses.replace(
            found,
            inputs=tuple(tracking.iterate_run_inputs(run_id=found.run.id, **page)),
            models=tuple(tracking.iterate_run_models(run_id=found.run.id, **page)),
        )

    def told(self, found: FoundRun) -> tuple[RunInputs, RunOutputs]:
        """What a run is linked to, as MLflow tells it, with the whole profiles of datasets."""
        assert found.run is not None  # noqa: S101 the server always sends it
        inputs = [self._whole(found.run.id, one) for one in found.inputs]
        return told_links(inputs, found.models)

    def _whole(self, run_uuid: str, one: RunInput) -> RunInput:
        dataset = one.dataset
        assert dataset is not None  # noqa: S101 the server always sends it
        if dataset.profile or not dataset.profile_bytes:
            return one
        key = (dataset.name, dataset.digest)
        with self._lock:
            profile = self._profiles.pop(key, None)
        if profile is None:
            profile = read_profile(self._connection.client, run_uuid, dataset, include_deleted=True)
        with self._lock:
            self._profiles[key] = profile
            while len(self._profiles) > _PROFILES_KEPT:
                del self._profiles[next(iter(self._profiles))]
        return dataclasses.replace(one, dataset=dataclasses.replace(dataset, profile=profile))

    def summaries(self, experiment_uuids: Sequence[str]) -> list[ExperimentDataset]:
        """Which datasets runs of experiments read; as many as MLflow tells."""
        if not experiment_uuids:
            return []
        with TRANSLATED:
            page = self._tracking.list_datasets(experiment_ids=experiment_uuids, page_size=_PAGE)
            return list(page.datasets)

    @property
    def _tracking(self):
        return self._connection.client.tracking

    def _log_models(self, run_uuid: str, role: ModelRole, models: list[tuple[str, int]]) -> None:
        self._tracking.log_models(
            run_id=run_uuid,
            models=[
                NewRunModel(role=role, name=model_id, step=step)
                for model_id, step in dict.fromkeys(models)
            ],
        )


def _new_inputs(datasets: list[DatasetInput]) -> list[NewRunInput]:
    # A dataset may come once for each context; MLflow takes the first of equal ones.
    found: dict[tuple[str, str, str], NewRunInput] = {}
    for one in datasets:
        tags = {tag.key: tag.value for tag in one.tags}
        context = tags.get(MLFLOW_DATASET_CONTEXT, "")
        dataset = one.dataset
        found.setdefault(
            (dataset.name, dataset.digest, context),
            NewRunInput(
                dataset=InputDataset(
                    name=dataset.name,
                    digest=dataset.digest,
                    source_type=dataset.source_type or "",
                    source=dataset.source or "",
                    schema=dataset.schema or "",
                    profile=dataset.profile or "",
                ),
                context=context,
                tags=tuple(Tag(key=key, value=value) for key, value in tags.items()),
            ),
        )
    return list(found.values())


def told_links(
    inputs: Sequence[RunInput], models: Sequence[RunModel]
) -> tuple[RunInputs, RunOutputs]:
    """What a run is linked to, the newest link first; MLflow tells it as it was logged."""
    inputs, models = inputs[::-1], models[::-1]
    # A model that MLflow made has an id and no place of its own among the run's files.
    named = [one for one in models if not one.artifact_path]
    read = [LoggedModelInput(one.name) for one in named if one.role is ModelRole.INPUT]
    made = [LoggedModelOutput(one.name, one.step) for one in named if one.role is ModelRole.OUTPUT]
    return RunInputs([_told_input(one) for one in inputs], read), RunOutputs(made)


def _told_input(one: RunInput) -> DatasetInput:
    stored = one.dataset
    assert stored is not None  # noqa: S101 the server always sends it
    tags = {tag.key: tag.value for tag in one.tags}
    if one.context:
        tags.setdefault(MLFLOW_DATASET_CONTEXT, one.context)
    dataset = Dataset(
        name=stored.name,
        digest=stored.digest,
        source_type=stored.source_type,
        source=stored.source,
        schema=stored.schema or None,
        profile=stored.profile or None,
    )
    return DatasetInput(dataset, [InputTag(key, value) for key, value in tags.items()])
