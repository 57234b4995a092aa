"""Logged models: what code logged as a model within an experiment."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mlflow.entities import LoggedModel, LoggedModelStatus, Metric
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchLoggedModelsPaginationToken
from mlflow.utils.validation import _validate_logged_model_name
from needletail.errors import CallError
from needletail.tracking import LoggedModelDataset, Parameter, Tag
from needletail.tracking import LoggedModelStatus as Status

from needletail_mlflow import ids, times
from needletail_mlflow.errors import TRANSLATED, invalid, missing, no_such_model
from needletail_mlflow.logged_model_searching import logged_model_filter, logged_model_order
from needletail_mlflow.searching import OWN_TAGS, SOURCE_RUN_TAG
from needletail_mlflow.telling import told_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from needletail.tracking import LoggedModel as Stored
    from needletail.tracking import LoggedModelMetric

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_PAGE = 1_000
_STATUSES = {
    Status.PENDING: LoggedModelStatus.PENDING,
    Status.READY: LoggedModelStatus.READY,
    Status.FAILED: LoggedModelStatus.FAILED,
}
STORED_STATUSES = {value: key for key, value in _STATUSES.items()}


class LoggedModels:
    """Logged models of a project's experiments."""

    def __init__(self, connection: Connection, experiments: Experiments) -> None:
        self._connection = connection
        self._experiments = experiments

    # What MLflow calls.

    def create(self, experiment_id, name, source_run_id, tags, params, model_type) -> LoggedModel:
        _validate_logged_model_name(name)
        wanted, parameters = _tags(tags), _parameters(params)
        source = ids.to_uuid(source_run_id) or ""
        if source_run_id and not source:
            # MLflow takes any text.
            wanted.append(Tag(key=SOURCE_RUN_TAG, value=str(source_run_id)))
        with TRANSLATED:
            uuid = self._experiments.uuid(experiment_id)
            if not uuid:
                self._experiments.check_is_active(experiment_id)
            try:
                stored = self._tracking.create_logged_model(
                    experiment_id=uuid or "",
                    name=name or _generate_random_name(),
                    model_type=model_type or "",
                    source_run_id=source,
                    tags=wanted,
                    parameters=parameters,
                )
            except CallError as error:
                if error.reason == "EXPERIMENT_NOT_FOUND":
                    self._experiments.check_is_active(experiment_id)
                raise
        # MLflow's own store tells them at once, too.
        return self._told(
            dataclasses.replace(stored, tags=tuple(wanted), parameters=tuple(parameters))
        )

    def get(self, model_id, allow_deleted) -> LoggedModel:
        with TRANSLATED:
            return self._told(self._stored(model_id, include_deleted=allow_deleted))

    def finalize(self, model_id, status) -> LoggedModel:
        wanted = STORED_STATUSES.get(LoggedModelStatus(status), Status.PENDING)
        with TRANSLATED:
            uuid = _uuid(model_id)
            try:
                self._tracking.update_logged_model(id=uuid, status=wanted)
            except CallError as error:
                raise _missing_or(error, model_id) from error
            return self._told(self._stored(model_id))

    def delete(self, model_id) -> None:
        with TRANSLATED:
            try:
                self._tracking.delete_logged_model(id=_uuid(model_id))
            except CallError as error:
                raise _missing_or(error, model_id) from error

    def set_tags(self, model_id, tags) -> None:
        wanted = _tags(tags)
        with TRANSLATED:
            uuid = _uuid(model_id)
            try:
                for start in range(0, len(wanted), _PAGE):
                    self._tracking.set_logged_model_tags(
                        logged_model_id=uuid, tags=wanted[start : start + _PAGE]
                    )
            except CallError as error:
                raise _missing_or(error, model_id) from error

    def delete_tag(self, model_id, key) -> None:
        with TRANSLATED:
            stored = self._stored(model_id)
            if not any(tag.key == key for tag in stored.tags):
                raise missing(f"No tag with key {key!r} found for model with ID {model_id!r}.")
            try:
                self._tracking.set_logged_model_tags(logged_model_id=stored.id, delete_keys=[key])
            except CallError as error:
                raise _missing_or(error, model_id) from error

    def log_params(self, model_id, params) -> None:
        wanted = _parameters(params)
        with TRANSLATED:
            uuid = _uuid(model_id)
            try:
                for start in range(0, len(wanted), _PAGE):
                    self._tracking.log_logged_model_parameters(
                        logged_model_id=uuid, parameters=wanted[start : start + _PAGE]
                    )
            except CallError as error:
                raise _missing_or(error, model_id) from error

    def search(
        self, experiment_ids, filter_string, datasets, max_results, order_by, page_token
    ) -> PagedList[LoggedModel]:
        if any(not one.get("dataset_name") for one in datasets or ()):
            raise invalid("`dataset_name` in the `datasets` clause must be specified.")
        # What stands for a place is MLflow's own token, with the server's in it.
        start = ""
        if page_token:
            token = SearchLoggedModelsPaginationToken.decode(page_token)
            token.validate(experiment_ids, filter_string or None, order_by or None)
            start = str(token.offset or "")
        wanted = max_results or SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT
        request = {
            "filter": logged_model_filter(filter_string, self._experiments.uuid),
            "order_by": logged_model_order(order_by, datasets),
            "datasets": [
                LoggedModelDataset(name=one["dataset_name"], digest=one.get("dataset_digest") or "")
                for one in datasets or ()
            ],
        }
        with TRANSLATED:
            uuids = [self._experiments.uuid(one) for one in experiment_ids]
            request["experiment_ids"] = [uuid for uuid in uuids if uuid]
            if not request["experiment_ids"]:
                return PagedList([], None)
            found: list[LoggedModel] = []
            while True:
                page = self._tracking.search_logged_models(
                    page_size=min(wanted - len(found), _PAGE), page_token=start, **request
                )
                found += map(self._told, page.models)
                start = page.next_page_token
                if not start or len(found) >= wanted:
                    break
        token = SearchLoggedModelsPaginationToken(
            experiment_ids=experiment_ids,
            filter_string=filter_string or None,
            order_by=order_by or None,
            offset=start,
        )
        return PagedList(found, token.encode() if start else None)

    # How it is done.

    @property
    def _tracking(self):
        return self._connection.client.tracking

    def _stored(self, model_id, include_deleted: bool = False) -> Stored:
        try:
            return self._tracking.get_logged_model(
                id=_uuid(model_id), include_deleted=include_deleted
            )
        except CallError as error:
            raise _missing_or(error, model_id) from error

    def _told(self, stored: Stored) -> LoggedModel:
        model_id = ids.model_to_mlflow(stored.id)
        tags = {tag.key: tag.value for tag in stored.tags}
        source = tags.get(SOURCE_RUN_TAG)
        metrics: Iterable[LoggedModelMetric] = stored.metrics
        if stored.has_more_metrics:
            metrics = self._tracking.iterate_logged_model_metrics(
                logged_model_id=stored.id, page_size=_PAGE, include_deleted=True
            )
        return LoggedModel(
            experiment_id=self._experiments.public_id(stored.experiment_id),
            model_id=model_id,
            name=stored.name,
            artifact_location=self._experiments.logged_model_artifacts(
                stored.experiment_id, model_id
            ),
            creation_timestamp=times.to_ms(stored.created_at),
            last_updated_timestamp=times.to_ms(stored.updated_at),
            model_type=stored.model_type or None,
            source_run_id=ids.to_mlflow(stored.source_run_id) or source,
            status=_STATUSES[stored.status],
            status_message=stored.status_message or None,
            tags={key: value for key, value in tags.items() if key not in OWN_TAGS},
            params={one.key: one.value for one in stored.parameters},
            # MLflow has none in the place of no metrics.
            metrics=[_told_metric(one, model_id) for one in metrics] or None,
        )


def _told_metric(stored: LoggedModelMetric, model_id: str) -> Metric:
    return Metric(
        stored.key,
        told_value(stored.value),
        stored.time_us // 1_000,
        stored.step,
        model_id=model_id,
        dataset_name=stored.dataset_name or None,
        dataset_digest=stored.dataset_digest or None,
        run_id=ids.to_mlflow(stored.run_id),
    )


def _uuid(model_id) -> str:
    uuid = ids.model_to_uuid(model_id)
    if uuid is None:
        raise no_such_model(model_id)
    return uuid


def _missing_or(error: CallError, model_id) -> Exception:
    return no_such_model(model_id) if error.reason == "LOGGED_MODEL_NOT_FOUND" else error


def _tags(tags) -> list[Tag]:
    # Of a key that comes twice, MLflow takes the last.
    wanted = {tag.key: "" if tag.value is None else str(tag.value) for tag in tags or ()}
    return [Tag(key=key, value=value) for key, value in wanted.items()]


def _parameters(params) -> list[Parameter]:
    return [Parameter(key=one.key, value=str(one.value)) for one in params or ()]
