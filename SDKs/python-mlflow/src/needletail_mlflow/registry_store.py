"""The model registry store: MLflow's interface, with one line for each of its methods."""

from __future__ import annotations

import re
from typing import Any

from mlflow.store.model_registry import (
    SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
    SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
)
from mlflow.store.model_registry.abstract_store import AbstractStore

from needletail_mlflow.connection import Connection
from needletail_mlflow.errors import invalid
from needletail_mlflow.model_versions import ModelVersions
from needletail_mlflow.registered_models import RegisteredModels
from needletail_mlflow.unkept import refusals
from needletail_mlflow.uri import parse_tracking_uri
from needletail_mlflow.webhooks import Webhooks

_EXPERIMENT = re.compile(r"experiment_id\s*=\s*(['\"])(?P<id>[^'\"]+)\1")
_EXPERIMENT_ID = re.compile(r"[0-9a-fA-F-]{1,36}")
_Refused: Any = refusals(AbstractStore)


class RegistryStore(_Refused, AbstractStore):
    """Registered models, and so prompts, on Needletail.

    As with the tracking store, nothing is connected before the first call.
    """

    def __init__(self, store_uri: str | None = None, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri, tracking_uri)
        self._connection = Connection(parse_tracking_uri(store_uri or ""))
        self._models = RegisteredModels(self._connection)
        self._versions = ModelVersions(self._connection, self._models, tracking_uri)
        self._webhooks = Webhooks(self._connection)

    # Models.

    def create_registered_model(self, name, tags=None, description=None, deployment_job_id=None):
        del deployment_job_id  # Databricks alone has these.
        return self._models.create(name, tags, description)

    def update_registered_model(self, name, description, deployment_job_id=None):
        del deployment_job_id
        return self._models.update(name, description)

    def rename_registered_model(self, name, new_name):
        return self._models.rename(name, new_name)

    def delete_registered_model(self, name):
        self._models.delete(name)

    def search_registered_models(
        self, filter_string=None, max_results=SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
        order_by=None, page_token=None,
    ):  # fmt: skip
        return self._models.search(filter_string, max_results, order_by, page_token)

    def get_registered_model(self, name):
        return self._models.get(name)

    def get_latest_versions(self, name, stages=None):
        return self._models.latest_versions(name, stages)

    def set_registered_model_tag(self, name, tag):
        self._models.set_tag(name, tag)

    def delete_registered_model_tag(self, name, key):
        self._models.delete_tag(name, key)

    def set_registered_model_alias(self, name, alias, version):
        self._models.set_alias(name, alias, version)

    def delete_registered_model_alias(self, name, alias):
        self._models.delete_alias(name, alias)

    # Versions.

    def create_model_version(
        self, name, source, run_id=None, tags=None, run_link=None, description=None,
        local_model_path=None, model_id=None,
    ):  # fmt: skip
        del local_model_path  # The files stay where they are.
        return self._versions.create(name, source, run_id, tags, run_link, description, model_id)

    def update_model_version(self, name, version, description=None):
        return self._versions.update(name, version, description)

    def transition_model_version_stage(self, name, version, stage, archive_existing_versions):
        return self._versions.transition(name, version, stage, archive_existing_versions)

    def delete_model_version(self, name, version):
        self._versions.delete(name, version)

    def get_model_version(self, name, version):
        return self._versions.get(name, version)

    def get_model_version_download_uri(self, name, version):
        return self._versions.download_uri(name, version)

    def search_model_versions(
        self, filter_string=None, max_results=SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
        order_by=None, page_token=None,
    ):  # fmt: skip
        return self._versions.search(filter_string, max_results, order_by, page_token)

    def set_model_version_tag(self, name, version, tag):
        self._versions.set_tag(name, version, tag)

    def delete_model_version_tag(self, name, version, key):
        self._versions.delete_tag(name, version, key)

    def get_model_version_by_alias(self, name, alias):
        return self._versions.by_alias(name, alias)

    def _await_model_version_creation(self, mv, await_creation_for):
        """A version is ready when it is created."""

    # Webhooks, which `mlflow server` delivers.

    def create_webhook(self, name, url, events, description=None, secret=None, status=None):
        return self._webhooks.create(name, url, events, description, secret, status)

    def get_webhook(self, webhook_id):
        return self._webhooks.get(webhook_id)

    def list_webhooks(self, max_results=None, page_token=None):
        return self._webhooks.list(max_results, page_token)

    def list_webhooks_by_event(self, event, max_results=None, page_token=None):
        return self._webhooks.list_by_event(event, max_results, page_token)

    def update_webhook(
        self, webhook_id, name=None, description=None, url=None, events=None, secret=None,
        status=None,
    ):  # fmt: skip
        return self._webhooks.update(webhook_id, name, description, url, events, secret, status)

    def delete_webhook(self, webhook_id):
        self._webhooks.delete(webhook_id)

    # Prompts are models with tags; MLflow's own methods do the rest.

    @staticmethod
    def _parse_experiment_id_filter(filter_string) -> str | None:
        """MLflow's own takes ids that are numbers only; those of Needletail are hexadecimal."""
        found = _EXPERIMENT.search(filter_string or "")
        if found is None:
            return filter_string or None
        if not _EXPERIMENT_ID.fullmatch(found["id"]):
            raise invalid(f"Invalid experiment_id: {found['id']}.")
        wanted = f"tags.`_mlflow_experiment_ids` LIKE '%,{found['id']},%'"
        return _EXPERIMENT.sub(lambda _: wanted, filter_string, count=1)
