"""Experiments, and the one that MLflow knows as "0"."""

from __future__ import annotations

import dataclasses
import json
import threading
from typing import TYPE_CHECKING, Any

from mlflow.entities import Experiment, ExperimentTag, LifecycleStage, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_STATE, RESOURCE_ALREADY_EXISTS
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT
from mlflow.utils.uri import append_to_uri_path, resolve_uri_if_local
from mlflow.utils.validation import (
    _validate_experiment_artifact_location_length,
    _validate_experiment_name,
    _validate_experiment_tag,
)
from needletail.errors import CallError, Code
from needletail.tracking import LifeView, SearchInclude, Tag

from needletail_mlflow import ids, times
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import (
    DEFAULT_EXPERIMENT_TAG,
    OWN_TAGS,
    VIEWS,
    check_max_results,
    experiment_filter,
    experiment_order,
)
from needletail_mlflow.uri import logged_model_artifact_location

if TYPE_CHECKING:
    from needletail.tracking import Experiment as Stored
    from needletail.tracking import ListExperimentsResponse

    from needletail_mlflow.connection import Connection

DEFAULT_ID = "0"
_CONFIG_KEY = "mlflow"
_PAGE = 1_000
_ALL = SearchInclude(all=True)


class Experiments:
    """The experiments of a project."""

    def __init__(self, connection: Connection, artifact_root: str | None) -> None:
        self._connection = connection
        self._artifact_root = artifact_root
        self._lock = threading.Lock()
        self._default_uuid: str | None = None
        self._refusal: CallError | None = None
        # UUIDs of experiments that are not "0".
        self._others: set[str] = set()
        # Where artifacts of an experiment go, by its UUID: it never changes.
        self._locations: dict[str, str] = {}

    # What MLflow calls.

    def create(self, name, artifact_location=None, tags=None) -> str:
        _validate_experiment_name(name)
        if artifact_location:
            artifact_location = resolve_uri_if_local(artifact_location)
            _validate_experiment_artifact_location_length(artifact_location)
        for tag in tags or ():
            _validate_experiment_tag(tag.key, tag.value)
        config = {"artifact_location": artifact_location} if artifact_location else {}
        wanted = {tag.key: str(tag.value) for tag in tags or ()}
        with TRANSLATED:
            # A name that "Default" may come to need is not taken before it.
            self._default()
            # To MLflow a deleted experiment has its name as long as it can be restored.
            if self._named(name) is not None:
                raise self._taken(name, "It may be a deleted one, which can be restored.")
            try:
                stored = self._create(name, config, wanted)
            except CallError as error:
                if error.reason != "EXPERIMENT_NAME_TAKEN":
                    raise
                raise self._taken(name, str(error)) from error
        self._locations[stored.id] = self._location(stored)
        return ids.to_mlflow(stored.id)

    def get(self, experiment_id) -> Experiment:
        with TRANSLATED:
            if str(experiment_id) == DEFAULT_ID and self._is_to_come():
                return _default_to_come()
            return self._told(self._stored(experiment_id))

    def get_by_name(self, name) -> Experiment | None:
        with TRANSLATED:
            if name == Experiment.DEFAULT_EXPERIMENT_NAME and self._is_to_come():
                return _default_to_come()
            found = self._named(name)
            return None if found is None else self._told(found)

    def delete(self, experiment_id) -> None:
        with TRANSLATED:
            uuid = self.live_uuid(experiment_id)
            try:
                self._tracking.delete_experiment(id=uuid)
            except CallError as error:
                raise self._missing_or(error, experiment_id) from error

    def restore(self, experiment_id) -> None:
        with TRANSLATED:
            try:
                self._tracking.undelete_experiment(id=self.live_uuid(experiment_id))
            except CallError as error:
                if error.reason == "RECOVERY_OVER":
                    raise self.no_such(experiment_id) from error
                raise self._missing_or(error, experiment_id) from error

    def rename(self, experiment_id, new_name) -> None:
        _validate_experiment_name(new_name)
        with TRANSLATED:
            try:
                self._tracking.update_experiment(id=self.live_uuid(experiment_id), name=new_name)
            except CallError as error:
                if error.reason != "EXPERIMENT_NOT_FOUND":
                    raise
                self._stored(experiment_id)
                raise MlflowException(
                    "Cannot rename a non-active experiment.", INVALID_STATE
                ) from error

    def search(
        self,
        view_type=ViewType.ACTIVE_ONLY,
        max_results=SEARCH_MAX_RESULTS_DEFAULT,
        filter_string=None,
        order_by=None,
        page_token=None,
    ) -> PagedList[Experiment]:
        check_max_results(max_results)
        with TRANSLATED:
            is_to_come = self._is_to_come()
            order = experiment_order(order_by)
            condition = experiment_filter(filter_string, self.uuid)
            found: list[Stored] = []
            token = page_token or ""
            while True:
                page = self._listed(
                    filter=condition,
                    order_by=order,
                    page_size=min(_PAGE, max_results - len(found)),
                    page_token=token,
                    view=VIEWS[view_type],
                )
                found += page.experiments
                token = page.next_page_token
                if not token or len(found) >= max_results:
                    break
            if is_to_come:
                self._others.update(one.id for one in found)
            told = [self._told(one) for one in found]
            is_meant = not filter_string and view_type != ViewType.DELETED_ONLY
            if is_to_come and is_meant and not token and len(told) < max_results:
                told.append(_default_to_come())
            return PagedList(told, token or None)

    def set_tag(self, experiment_id, tag) -> None:
        _validate_experiment_tag(tag.key, tag.value)
        with TRANSLATED:
            uuid = self.live_uuid(experiment_id)
            try:
                self._tracking.set_experiment_tags(
                    experiment_id=uuid, tags=[Tag(key=tag.key, value=str(tag.value))]
                )
            except CallError as error:
                raise self._inactive_or(error, experiment_id) from error

    def delete_tag(self, experiment_id, key) -> None:
        with TRANSLATED:
            uuid = self.live_uuid(experiment_id)
            try:
                wanted = SearchInclude(keys=(key,))
                if not self._tracking.get_experiment(id=uuid, tags=wanted).tags:
                    raise missing(f"No tag with name: {key} in experiment with id {experiment_id}")
                self._tracking.set_experiment_tags(experiment_id=uuid, delete_keys=[key])
            except CallError as error:
                raise self._inactive_or(error, experiment_id) from error

    # What runs need to know.

    def uuid(self, experiment_id) -> str | None:
        """The UUID of an experiment; None = there can be none."""
        text = DEFAULT_ID if experiment_id in {None, ""} else str(experiment_id)
        return self._default() if text == DEFAULT_ID else ids.to_uuid(text)

    def public_id(self, uuid: str) -> str:
        """How MLflow calls an experiment."""
        if uuid not in self._others:
            if uuid == self._default():
                return DEFAULT_ID
            self._others.add(uuid)
        return ids.to_mlflow(uuid)

    def run_artifacts(self, experiment_uuid: str, run_uuid: str) -> str:
        """Where the artifacts of a run are."""
        location = self._known_location(experiment_uuid)
        if not location:
            return f"needletail:/runs/{run_uuid}/artifacts"
        return append_to_uri_path(location, ids.to_mlflow(run_uuid), "artifacts")

    def logged_model_artifacts(self, experiment_uuid: str, model_id: str) -> str:
        """Where the artifacts of a logged model are."""
        location = self._known_location(experiment_uuid)
        return logged_model_artifact_location(experiment_uuid, location, model_id)

    def trace_artifacts(self, experiment_uuid: str, trace_id: str) -> str:
        """Where attachments of a trace are: in a store of the experiment's own, if it has one."""
        location = self._known_location(experiment_uuid)
        root = location or f"needletail:/experiments/{experiment_uuid}"
        return append_to_uri_path(root, "traces", trace_id, "artifacts")

    def check_is_active(self, experiment_id) -> None:
        """Raises what MLflow says of an experiment that is deleted, or was never there."""
        if self._refusal is not None and self.uuid(experiment_id) == "":
            raise self._refusal
        experiment = self.get(experiment_id)
        if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            raise invalid(
                f"The experiment {experiment.experiment_id} must be in the 'active' state. "
                f"Current state is {experiment.lifecycle_stage}."
            )

    # How it is done.

    @property
    def _tracking(self):
        return self._connection.client.tracking

    def _create(self, name: str, config: dict[str, str], tags: dict[str, str]) -> Stored:
        return self._tracking.create_experiment(
            project_id=self._connection.project_id,
            name=name,
            config_json=json.dumps({_CONFIG_KEY: config}) if config else "",
            tags=[Tag(key=key, value=value) for key, value in tags.items()],
        )

    @staticmethod
    def _taken(name, why: str) -> MlflowException:
        text = f"Experiment(name={name}) already exists. Error: {why}"
        return MlflowException(text, RESOURCE_ALREADY_EXISTS)

    def _is_to_come(self) -> bool:
        """Whether there is no experiment "0" yet, as nobody came who may make it."""
        return not self._default()

    def _default(self) -> str | None:
        """UUID of the experiment "0", which is made when it was never there."""
        if not self._default_uuid:
            # Looked up before the lock is held: threads wait together for a server that is away.
            _ = self._connection.project_id
            with self._lock:
                if not self._default_uuid:
                    self._default_uuid = self._find_default() or self._make_default()
        return self._default_uuid

    def _find_default(self) -> str | None:
        page = self._tracking.list_experiments(
            project_id=self._connection.project_id,
            filter=f"tags.`{DEFAULT_EXPERIMENT_TAG}` = '{DEFAULT_ID}'",
            include_archived=True,
            view=LifeView.ALL,
            page_size=1,
        )
        return page.experiments[0].id if page.experiments else None

    def _make_default(self) -> str | None:
        mark = {DEFAULT_EXPERIMENT_TAG: DEFAULT_ID}
        try:
            return self._create(Experiment.DEFAULT_EXPERIMENT_NAME, {}, mark).id
        except CallError as error:
            if error.reason == "EXPERIMENT_NAME_TAKEN":
                return self._find_default() or self._adopt_default()
            if error.code is Code.PERMISSION_DENIED:
                # Whoever may only read finds the project as it is.
                self._refusal = error
                return ""
            raise

    def _adopt_default(self) -> str | None:
        """Makes an experiment that is called Default already the one that MLflow means."""
        stored = self._named(Experiment.DEFAULT_EXPERIMENT_NAME, exactly=False)
        if stored is None:
            return None
        self._tracking.set_experiment_tags(
            experiment_id=stored.id, tags=[Tag(key=DEFAULT_EXPERIMENT_TAG, value=DEFAULT_ID)]
        )
        return stored.id

    def _stored(self, experiment_id) -> Stored:
        uuid = self.live_uuid(experiment_id)
        wanted = {"id": uuid, "include_deleted": True}
        try:
            return self._tracking.get_experiment(**wanted, tags=_ALL)
        except CallError as error:
            if error.reason == "SEARCH_TOO_LARGE":
                return self._tagged(self._tracking.get_experiment(**wanted))
            raise self._missing_or(error, experiment_id) from error

    def _named(self, name: str, *, exactly: bool = True) -> Stored | None:
        """The living experiment of this name, or else the one deleted last."""
        page = self._listed(name=name, include_archived=True, view=LifeView.ALL, page_size=_PAGE)
        found = [one for one in page.experiments if one.name == name or not exactly]
        # The living one's deletion is never, which is later than any.
        return max(found, key=_deleted_at, default=None)

    def _listed(self, **listing: Any) -> ListExperimentsResponse:
        """A page of experiments with their tags."""
        listing["project_id"] = self._connection.project_id
        try:
            return self._tracking.list_experiments(**listing, tags=_ALL)
        except CallError as error:
            if error.reason != "SEARCH_TOO_LARGE":
                raise
        # The tags of one are more than an answer takes: they come by themselves.
        page = self._tracking.list_experiments(**listing)
        experiments = tuple(self._tagged(one) for one in page.experiments)
        return dataclasses.replace(page, experiments=experiments)

    def _tagged(self, stored: Stored) -> Stored:
        tags = self._tracking.iterate_experiment_tags(
            experiment_id=stored.id, page_size=_PAGE, include_deleted=True
        )
        return dataclasses.replace(stored, tags=tuple(tags))

    def _told(self, stored: Stored) -> Experiment:
        is_live = stored.deleted_at is None
        public_id = self.public_id(stored.id)
        return Experiment(
            experiment_id=public_id,
            name=stored.name,
            artifact_location=self._location(stored) or f"needletail:/experiments/{stored.id}",
            lifecycle_stage=LifecycleStage.ACTIVE if is_live else LifecycleStage.DELETED,
            tags=[
                ExperimentTag(tag.key, tag.value) for tag in stored.tags if tag.key not in OWN_TAGS
            ],
            creation_time=times.to_ms(stored.created_at),
            last_update_time=times.to_ms(stored.updated_at),
        )

    def _known_location(self, uuid: str) -> str:
        location = self._locations.get(uuid)
        if location is None:
            stored = self._tracking.get_experiment(id=uuid, include_deleted=True)
            location = self._locations[uuid] = self._location(stored)
        return location

    def _location(self, stored: Stored) -> str:
        """Where its artifacts go; empty = with Needletail."""
        own = _config(stored).get("artifact_location")
        if own:
            return own
        if not self._artifact_root:
            return ""
        return append_to_uri_path(self._artifact_root, self.public_id(stored.id))

    def live_uuid(self, experiment_id) -> str:
        uuid = self.uuid(experiment_id)
        if not uuid:
            if not str(experiment_id).lstrip("+-").isdigit():
                raise invalid(
                    f"Invalid experiment ID '{experiment_id}'. Experiment ID must be a valid"
                    " integer."
                )
            raise self.no_such(experiment_id)
        return uuid

    def _missing_or(self, error: CallError, experiment_id) -> Exception:
        return self.no_such(experiment_id) if error.reason == "EXPERIMENT_NOT_FOUND" else error

    def _inactive_or(self, error: CallError, experiment_id) -> Exception:
        if error.reason == "EXPERIMENT_NOT_FOUND":
            self.check_is_active(experiment_id)
        return error

    @staticmethod
    def no_such(experiment_id) -> MlflowException:
        return missing(f"No Experiment with id={experiment_id} exists")


def _default_to_come() -> Experiment:
    """What MLflow has from the start, for those who may only read."""
    return Experiment(DEFAULT_ID, Experiment.DEFAULT_EXPERIMENT_NAME, "", LifecycleStage.ACTIVE)


def _deleted_at(stored: Stored) -> tuple[bool, int]:
    return stored.deleted_at is None, times.to_ms(stored.deleted_at) or 0


def _config(stored: Stored) -> dict[str, str]:
    found = json.loads(stored.config_json or "{}").get(_CONFIG_KEY)
    return found if isinstance(found, dict) else {}
