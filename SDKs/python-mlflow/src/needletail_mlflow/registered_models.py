"""Registered models: their life, tags and aliases."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlflow.entities.model_registry.model_version_stages import ALL_STAGES, get_canonical_stage
from mlflow.exceptions import MlflowException
from mlflow.prompt.registry_utils import handle_resource_already_exist_error, has_prompt_tag
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD
from mlflow.utils.validation import (
    _validate_model_name,
    _validate_model_renaming,
    _validate_model_version,
    _validate_registered_model_tag,
    _validate_tag_name,
)
from needletail.errors import CallError
from needletail.registry import ModelName

from needletail_mlflow.aliases import check_alias, check_alias_is_free
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.registry_searching import model_filter, model_order
from needletail_mlflow.registry_telling import as_dict, stored_tags, told_model
from needletail_mlflow.searching import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from needletail.registry import Model
    from needletail.registry import ModelVersion as StoredVersion

    from needletail_mlflow.connection import Connection

_PAGE = 1_000
_VERSIONS_PER_SEARCH = 20


class RegisteredModels:
    """The models of a project."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # What MLflow calls.

    def create(self, name, tags, description) -> RegisteredModel:
        _validate_model_name(name)
        for tag in tags or ():
            _validate_registered_model_tag(tag.key, tag.value)
        wanted = stored_tags(as_dict(tags))
        with TRANSLATED:
            try:
                stored = self._registry.create_model(
                    project_id=self._connection.project_id,
                    name=name,
                    description=description or "",
                    tags=wanted,
                )
            except CallError as error:
                if error.reason != "MODEL_NAME_TAKEN":
                    raise
                there = {tag.key: tag.value for tag in self._stored(name).tags}
                handle_resource_already_exist_error(
                    name, has_prompt_tag(there), has_prompt_tag(tags)
                )
                raise
        return told_model(dataclasses.replace(stored, tags=wanted))

    def get(self, name) -> RegisteredModel:
        with TRANSLATED:
            stored = self._stored(name)
            return self._told([stored])[0]

    def update(self, name, description) -> RegisteredModel:
        with TRANSLATED, self.named(name) as model:
            self._registry.update_model(model=model, description=description or "")
            return told_model(self._registry.get_model(model=model))

    def rename(self, name, new_name) -> RegisteredModel:
        _validate_model_renaming(new_name)
        with TRANSLATED, self.named(name) as model:
            try:
                renamed = self._registry.update_model(model=model, name=new_name)
            except CallError as error:
                if error.reason != "MODEL_NAME_TAKEN":
                    raise
                raise MlflowException(
                    f"Registered Model (name={new_name}) already exists. Error: {error}",
                    RESOURCE_ALREADY_EXISTS,
                ) from error
            return told_model(self._registry.get_model(id=renamed.id))

    def delete(self, name) -> None:
        with TRANSLATED, self.named(name) as model:
            self._registry.delete_model(model=model)

    def search(self, filter_string, max_results, order_by, page_token) -> PagedList:
        if max_results < 1:
            raise invalid(
                "Invalid value for max_results. It must be a positive integer,"
                f" but got {max_results}"
            )
        if max_results > SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD:
            raise invalid(
                "Invalid value for request parameter max_results. It must be at most "
                f"{SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD}, but got value {max_results}"
            )
        condition, order = model_filter(filter_string), model_order(order_by)
        found: list[Model] = []
        token = page_token or ""
        with TRANSLATED:
            while True:
                page = self._registry.list_models(
                    project_id=self._connection.project_id,
                    filter=condition,
                    order_by=order,
                    page_size=min(_PAGE, max_results - len(found)),
                    page_token=token,
                )
                found += page.models
                token = page.next_page_token
                if not token or len(found) >= max_results:
                    return PagedList(self._told(found), token or None)

    def latest_versions(self, name, stages) -> list[ModelVersion]:
        wanted = {get_canonical_stage(stage) for stage in stages or ALL_STAGES}
        with TRANSLATED:
            told = self._told([self._stored(name)])[0].latest_versions
            return [one for one in told if one.current_stage in wanted]

    def set_tag(self, name, tag) -> None:
        _validate_model_name(name)
        _validate_registered_model_tag(tag.key, tag.value)
        with TRANSLATED, self.named(name) as model:
            self._registry.set_model_tags(model=model, tags=stored_tags(as_dict([tag])))

    def delete_tag(self, name, key) -> None:
        _validate_model_name(name)
        _validate_tag_name(key)
        with TRANSLATED, self.named(name) as model:
            self._registry.set_model_tags(model=model, delete_keys=[key])

    def set_alias(self, name, alias, version) -> None:
        _validate_model_name(name)
        check_alias(alias)
        check_alias_is_free(alias)
        ordinal = ordinal_of(version)
        with TRANSLATED, self.named(name, ordinal) as model:
            self._registry.set_model_alias(model=model, alias=alias, ordinal=ordinal)

    def delete_alias(self, name, alias) -> None:
        _validate_model_name(name)
        check_alias(alias)
        with TRANSLATED, self.named(name) as model:
            self._registry.delete_model_alias(model=model, alias=alias)

    # What versions need.

    @contextmanager
    def named(self, name, ordinal: int | None = None) -> Iterator[ModelName]:
        """The model of this name, and MLflow's words where it, or its version, is not there."""
        _validate_model_name(name)
        try:
            yield ModelName(project_id=self._connection.project_id, name=name)
        except CallError as error:
            if error.reason not in {"MODEL_NOT_FOUND", "MODEL_VERSION_NOT_FOUND"}:
                raise
            if ordinal is None:
                raise missing(f"Registered Model with name={name} not found") from error
            raise missing(f"Model Version (name={name}, version={ordinal}) not found") from error

    # How it is done.

    @property
    def _registry(self):
        return self._connection.client.registry

    def _stored(self, name) -> Model:
        with self.named(name) as model:
            return self._registry.get_model(model=model)

    def _told(self, models: list[Model]) -> list[RegisteredModel]:
        """Models with the newest version in each stage, with its tags and aliases, oldest first."""
        latest: dict[str, list[StoredVersion]] = {one.id: [] for one in models}
        wanted = [(one, version.ordinal) for one in models for version in one.latest_versions]
        for start in range(0, len(wanted), _VERSIONS_PER_SEARCH):
            part = wanted[start : start + _VERSIONS_PER_SEARCH]
            page = self._registry.list_model_versions(
                project_id=self._connection.project_id,
                filter=" OR ".join(
                    f"(name = {quoted(model.name)} AND version_number = {ordinal})"
                    for model, ordinal in part
                ),
                order_by=["version_number ASC"],
                page_size=_PAGE,
            )
            for version in page.versions:
                latest[version.model_id].append(version)
        return [told_model(one, latest[one.id]) for one in models]


def ordinal_of(version) -> int:
    """The ordinal that a version's text means."""
    # Earlier versions of MLflow check it only.
    _validate_model_version(version)
    return int(version)
