"""Registered models and their versions as MLflow tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
    RegisteredModelTag,
)
from mlflow.entities.model_registry.model_version_stages import (
    STAGE_ARCHIVED,
    STAGE_NONE,
    STAGE_PRODUCTION,
    STAGE_STAGING,
)
from mlflow.entities.model_registry.model_version_status import ModelVersionStatus as Status
from needletail.registry import ModelStage, ModelTag, ModelVersionStatus

from needletail_mlflow import times
from needletail_mlflow.importing import SOURCE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from needletail.registry import Model
    from needletail.registry import ModelVersion as Stored

LOCATION_TAG = "needletail.mlflow.storage_location"
"""Tag of a version with where its files are, where its source is another version."""

STAGES = {
    ModelStage.NONE: STAGE_NONE,
    ModelStage.STAGING: STAGE_STAGING,
    ModelStage.PRODUCTION: STAGE_PRODUCTION,
    ModelStage.ARCHIVED: STAGE_ARCHIVED,
}
STORED_STAGES = {value: key for key, value in STAGES.items()}
STATUSES = {
    ModelVersionStatus.PENDING: Status.to_string(Status.PENDING_REGISTRATION),
    ModelVersionStatus.READY: Status.to_string(Status.READY),
    ModelVersionStatus.FAILED: Status.to_string(Status.FAILED_REGISTRATION),
}
STORED_STATUSES = {value: key for key, value in STATUSES.items()}
DESCRIBED_TAG = "needletail.mlflow.described"
"""Tag of a version whose description is empty, and not none."""

_OWN_TAGS = {LOCATION_TAG, SOURCE_TAG, DESCRIBED_TAG}


def told_model(stored: Model, latest: Iterable[Stored] | None = None) -> RegisteredModel:
    """A model; `latest` are its latest versions where more is known of them than it tells."""
    versions = stored.latest_versions if latest is None else latest
    return RegisteredModel(
        name=stored.name,
        creation_timestamp=times.to_ms(stored.created_at),
        last_updated_timestamp=times.to_ms(stored.updated_at),
        description=stored.description or None,
        latest_versions=[told_version(one) for one in versions],
        tags=[
            RegisteredModelTag(tag.key, tag.value)
            for tag in stored.tags
            if tag.key not in _OWN_TAGS
        ],
        aliases=[RegisteredModelAlias(one.alias, one.ordinal) for one in stored.aliases],
    )


def told_version(stored: Stored) -> ModelVersion:
    """A version."""
    return ModelVersion(
        name=stored.model_name,
        version=stored.ordinal,
        creation_timestamp=times.to_ms(stored.created_at),
        last_updated_timestamp=times.to_ms(stored.updated_at),
        description=stored.description or ("" if _is_described(stored) else None),
        user_id=stored.user or None,
        current_stage=STAGES[stored.stage],
        source=stored.source,
        run_id=stored.source_run or None,
        status=STATUSES[stored.status],
        status_message=stored.status_message or None,
        tags=[
            ModelVersionTag(tag.key, tag.value) for tag in stored.tags if tag.key not in _OWN_TAGS
        ],
        run_link=stored.run_link or None,
        aliases=list(stored.aliases),
        model_id=stored.logged_model or None,
    )


def _is_described(stored: Stored) -> bool:
    return any(tag.key == DESCRIBED_TAG for tag in stored.tags)


def location(stored: Stored) -> str:
    """Where the files of a version are."""
    tags = {tag.key: tag.value for tag in stored.tags}
    return tags.get(LOCATION_TAG) or stored.source


def stored_tags(tags: dict[str, str]) -> tuple[ModelTag, ...]:
    """Tags as the server takes them."""
    return tuple(ModelTag(key=key, value=value) for key, value in tags.items())


def as_dict(tags) -> dict[str, str]:
    """MLflow's tags by key; the last of a key counts."""
    return {tag.key: "" if tag.value is None else str(tag.value) for tag in tags or ()}
