"""Versions of registered models."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlparse

import mlflow
from mlflow.entities.model_registry.model_version_stages import (
    DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS,
    get_canonical_stage,
)
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD
from mlflow.utils.validation import (
    _validate_model_name,
    _validate_model_version_tag,
    _validate_tag_name,
)
from needletail.errors import CallError

from needletail_mlflow.aliases import check_alias
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.registered_models import ordinal_of
from needletail_mlflow.registry_searching import version_filter, version_order
from needletail_mlflow.registry_telling import (
    DESCRIBED_TAG,
    LOCATION_TAG,
    STORED_STAGES,
    as_dict,
    location,
    stored_tags,
    told_version,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from needletail.registry import ModelVersion as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.registered_models import RegisteredModels

_PAGE = 1_000
_LATEST = "latest"


class ModelVersions:
    """The versions of a project's models."""

    def __init__(
        self, connection: Connection, models: RegisteredModels, tracking_uri: str | None
    ) -> None:
        self._connection = connection
        self._models = models
        self._tracking_uri = tracking_uri

    # What MLflow calls.

    def create(self, name, source, run_id, tags, run_link, description, model_id) -> ModelVersion:
        _validate_model_name(name)
        for tag in tags or ():
            _validate_model_version_tag(tag.key, tag.value)
        wanted = as_dict(tags)
        place, run_id = self._followed(source, run_id)
        if place != source:
            wanted[LOCATION_TAG] = place
        if description == "":
            wanted[DESCRIBED_TAG] = "1"
        if not run_id and model_id:
            run_id = self._tracking_client().get_logged_model(model_id).source_run_id
        with TRANSLATED, self._models.named(name) as model:
            stored = self._registry.create_model_version(
                model=model,
                source=source or "",
                source_run=run_id or "",
                run_link=run_link or "",
                logged_model=model_id or "",
                description=description or "",
                tags=stored_tags(wanted),
            )
            return told_version(self._registry.get_model_version(id=stored.id))

    def get(self, name, version) -> ModelVersion:
        with TRANSLATED:
            return told_version(self._stored(name, version))

    def download_uri(self, name, version) -> str:
        with TRANSLATED:
            return location(self._stored(name, version))

    def by_alias(self, name, alias) -> ModelVersion:
        _validate_model_name(name)
        check_alias(alias)
        if alias.lower() == _LATEST:
            return self._latest(name)
        with TRANSLATED, self._models.named(name) as model:
            try:
                return told_version(self._registry.get_model_version(model=model, alias=alias))
            except CallError as error:
                if error.reason != "MODEL_ALIAS_NOT_FOUND":
                    raise
                raise invalid(f"Registered model alias {alias} not found.") from error

    def update(self, name, version, description) -> ModelVersion:
        ordinal = ordinal_of(version)
        with TRANSLATED, self._models.named(name, ordinal) as model:
            self._registry.update_model_version(
                model=model, ordinal=ordinal, description=description or ""
            )
            return self.get(name, ordinal)

    def delete(self, name, version) -> None:
        ordinal = ordinal_of(version)
        with TRANSLATED, self._models.named(name, ordinal) as model:
            self._registry.delete_model_version(model=model, ordinal=ordinal)

    def transition(self, name, version, stage, archive_existing_versions) -> ModelVersion:
        canonical = get_canonical_stage(stage)
        if archive_existing_versions and canonical not in DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS:
            raise MlflowException(
                "Model version transition cannot archive existing model versions "
                f"because '{stage}' is not an Active stage. Valid stages are"
                f" {DEFAULT_STAGES_FOR_GET_LATEST_VERSIONS}"
            )
        ordinal = ordinal_of(version)
        with TRANSLATED, self._models.named(name, ordinal) as model:
            self._registry.transition_model_version_stage(
                model=model,
                ordinal=ordinal,
                stage=STORED_STAGES[canonical],
                archive_existing_versions=bool(archive_existing_versions),
            )
            return self.get(name, ordinal)

    def search(self, filter_string, max_results, order_by, page_token) -> PagedList:
        _check_max_results(max_results)
        condition, order = version_filter(filter_string), version_order(order_by)
        found: list[Stored] = []
        token = page_token or ""
        with TRANSLATED:
            while True:
                page = self._registry.list_model_versions(
                    project_id=self._connection.project_id,
                    filter=condition,
                    order_by=order,
                    page_size=min(_PAGE, max_results - len(found)),
                    page_token=token,
                )
                found += page.versions
                token = page.next_page_token
                if not token or len(found) >= max_results:
                    return PagedList([told_version(one) for one in found], token or None)

    def set_tag(self, name, version, tag) -> None:
        _validate_model_name(name)
        ordinal = ordinal_of(version)
        _validate_model_version_tag(tag.key, tag.value)
        with TRANSLATED, self._models.named(name, ordinal) as model:
            self._registry.set_model_version_tags(
                model=model, ordinal=ordinal, tags=stored_tags(as_dict([tag]))
            )

    def delete_tag(self, name, version, key) -> None:
        _validate_model_name(name)
        ordinal = ordinal_of(version)
        _validate_tag_name(key)
        with TRANSLATED, self._models.named(name, ordinal) as model:
            self._registry.set_model_version_tags(model=model, ordinal=ordinal, delete_keys=[key])

    # How it is done.

    @property
    def _registry(self):
        return self._connection.client.registry

    def _stored(self, name, version) -> Stored:
        _validate_model_name(name)
        ordinal = ordinal_of(version)
        with self._models.named(name, ordinal) as model:
            return self._registry.get_model_version(model=model, ordinal=ordinal)

    def _latest(self, name) -> ModelVersion:
        versions = self._models.latest_versions(name, None)
        if not versions:
            raise missing(f"Latest version not found for model {name}.")
        return max(versions, key=lambda one: int(one.version))

    def _followed(self, source, run_id) -> tuple[str, str | None]:
        """Where the files of a source are, which may be another version or a logged model."""
        if urlparse(source).scheme != "models":
            return source, run_id
        try:
            parsed = _parse_model_uri(source)
            if parsed.model_id is None:
                return self.download_uri(parsed.name, parsed.version), run_id
            model = self._tracking_client().get_logged_model(parsed.model_id)
        except Exception as error:
            raise MlflowException(
                f"Unable to fetch model from model URI source artifact location '{source}'."
                f"Error: {error}"
            ) from error
        return model.artifact_location, run_id or model.source_run_id

    def _tracking_client(self):
        return mlflow.MlflowClient(self._tracking_uri)


def _check_max_results(max_results) -> None:
    if not isinstance(max_results, int) or max_results < 1:
        raise invalid(
            f"Invalid value for max_results. It must be a positive integer, but got {max_results}"
        )
    if max_results > SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD:
        raise invalid(
            "Invalid value for request parameter max_results. It must be at most "
            f"{SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD}, but got value {max_results}"
        )
