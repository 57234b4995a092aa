"""Runs: their life, and finding them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from mlflow.entities import (
    LifecycleStage,
    Run,
    RunInfo,
)
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_USER,
    _get_run_name_from_tags,
)
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.validation import _validate_tag
from needletail.errors import CallError
from needletail.searches import search_runs
from needletail.tracking import FoundRun, LifeView, SearchInclude, SearchRunsRequest, Tag
from needletail.tracking import RunStatus as Status

from needletail_mlflow import ids, times
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import (
    UNNAMED_TAG,
    USER_TAG,
    VIEWS,
    check_max_results,
    place_filter,
    run_filter,
    run_order,
)
from needletail_mlflow.telling import STORED_STATUSES, end_tag, told_end, told_info, told_run

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException
    from needletail.tracking import Run as Stored
    from needletail.tracking import SearchRunsResponse

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments
    from needletail_mlflow.inputs import Inputs
    from needletail_mlflow.keeping import Keeping

_ALL = SearchInclude(all=True)
_LOGGED: dict[str, Any] = {"parameters": _ALL, "tags": _ALL, "metrics": _ALL}
_LINKED: dict[str, Any] = {"inputs": _ALL, "models": _ALL}
_PAGE = 1_000
_EXPERIMENTS_PER_SEARCH = 1_000
_ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


class Runs:
    """The runs of a project."""

    def __init__(
        self,
        connection: Connection,
        experiments: Experiments,
        inputs: Inputs,
        keeping: Keeping,
    ) -> None:
        self._connection = connection
        self._experiments = experiments
        self._inputs = inputs
        self._keeping = keeping

    # What MLflow calls.

    def create(self, experiment_id, user_id, start_time, tags, run_name) -> Run:
        tags = [_validate_tag(tag.key, tag.value) for tag in tags or ()]
        name = _name(tags, run_name)
        wanted = {tag.key: str(tag.value) for tag in tags if tag.key != MLFLOW_RUN_NAME}
        if user_id and user_id != wanted.get(MLFLOW_USER):
            wanted[USER_TAG] = user_id
        with TRANSLATED:
            uuid = self._experiments.uuid(experiment_id)
            if not uuid:
                self._experiments.check_is_active(experiment_id)
            try:
                stored = self._create(uuid or "", name, start_time, wanted)
            except CallError as error:
                if error.reason == "EXPERIMENT_NOT_FOUND":
                    self._experiments.check_is_active(experiment_id)
                raise
            return self._told(FoundRun(run=stored, tags=_tags(wanted)))

    def get(self, run_id) -> Run:
        with TRANSLATED:
            page = self._found(
                filter=f"attributes.run_id = '{self.uuid(run_id)}'",
                page_size=1,
                include_archived=True,
                view=LifeView.ALL,
            )
            if not page.runs:
                raise self._no_such(run_id)
            return self._told(page.runs[0])

    def update(self, run_id, run_status, end_time, run_name) -> RunInfo:
        with TRANSLATED:
            uuid = self.uuid(run_id)
            try:
                wanted = _life(run_status, end_time)
                if wanted.get("status") in _ENDED and not run_name:
                    stored = self._keeping.end(uuid, end_ms=end_time, **wanted)
                    if stored is None:
                        return told_end(run_id, run_status, end_time)
                else:
                    stored = self._update(uuid, wanted, end_time, run_name)
                end = end_tag(stored, end_time)
                if end:
                    self._tracking.set_run_tags(run_id=uuid, tags=_tags(end))
            except CallError as error:
                raise self.inactive_or(error, run_id) from error
            return told_info(
                stored,
                self._experiments.public_id(stored.experiment_id),
                self._experiments.run_artifacts(stored.experiment_id, stored.id),
                end,
            )

    def name(self, uuid: str, name: str, **life: Any) -> Stored:
        """Gives a run its name, and MLflow's tag of it."""
        stored = self._tracking.update_run(id=uuid, name=name, **life)
        self._tracking.set_run_tags(run_id=uuid, delete_keys=[UNNAMED_TAG])
        return stored

    def unname(self, run_id) -> None:
        """Takes away MLflow's tag of the name, which the run keeps."""
        stored = self._tracking.get_run(id=self.uuid(run_id))
        self._tracking.set_run_tags(run_id=stored.id, tags=_tags({UNNAMED_TAG: stored.name}))

    def delete(self, run_id) -> None:
        with TRANSLATED:
            uuid = self.uuid(run_id)
            try:
                self._tracking.delete_run(id=uuid)
            except CallError as error:
                if error.reason != "RUN_NOT_FOUND":
                    raise
                # What is deleted already stays so.
                self._deleted_one(run_id, uuid)

    def restore(self, run_id) -> None:
        with TRANSLATED:
            try:
                self._tracking.undelete_run(id=self.uuid(run_id))
            except CallError as error:
                if error.reason == "RUN_NOT_FOUND":
                    raise self._no_such(run_id) from error
                # A run that is not deleted is as it should be.
                if error.reason != "RECOVERY_OVER":
                    raise

    def search(
        self, experiment_ids, filter_string, view_type, max_results, order_by, page_token
    ) -> tuple[list[Run], str | None]:
        if max_results is None:
            max_results = SEARCH_MAX_RESULTS_THRESHOLD
        check_max_results(max_results)
        condition, is_placed = run_filter(filter_string or ""), place_filter(filter_string or "")
        size = _PAGE
        order = run_order(tuple(order_by or ()))
        with TRANSLATED:
            uuids = [self._experiments.uuid(one) for one in experiment_ids]
            known = [one for one in uuids if one][:_EXPERIMENTS_PER_SEARCH]
            if not known:
                return [], None
            found: list[Run] = []
            token = page_token or ""
            while True:
                left = max_results - len(found)
                page = self._found(
                    project_id=self._connection.project_id,
                    experiment_ids=known,
                    filter=condition,
                    order_by=order,
                    page_size=size if is_placed else min(_PAGE, left),
                    page_token=token,
                    view=VIEWS[view_type],
                )
                told = [self._told(one) for one in page.runs]
                if is_placed:
                    places = [place for place, run in enumerate(told) if is_placed(run)]
                    if len(places) > left:
                        # Its token is of no use: once more, up to the last one that is wanted.
                        size = places[left - 1] + 1
                        continue
                    told = [told[place] for place in places]
                found += told
                token = page.next_page_token
                if not token or len(found) >= max_results:
                    return found, token or None

    # What others need.

    def uuid(self, run_id) -> str:
        """The UUID of a run."""
        uuid = ids.to_uuid(run_id)
        if uuid is None:
            raise self._no_such(run_id)
        return uuid

    def inactive_or(self, error: CallError, run_id) -> Exception:
        """What MLflow says of a run that is not there, or deleted; else the error itself."""
        if error.reason != "RUN_NOT_FOUND":
            return error
        self._deleted_one(run_id, self.uuid(run_id))
        return invalid(
            f"The run {run_id} must be in the 'active' state. "
            f"Current state is {LifecycleStage.DELETED}."
        )

    # How it is done.

    @property
    def _tracking(self):
        return self._connection.client.tracking

    def _create(
        self, experiment_uuid: str, name: str, start_time: int | None, tags: dict[str, str]
    ) -> Stored:
        wanted = {
            "started_at": times.from_ms(start_time) if start_time else None,
            "parent_run_id": ids.to_uuid(tags.get(MLFLOW_PARENT_RUN_ID, "")) or "",
        }
        while True:
            try:
                return self._tracking.create_run(
                    experiment_id=experiment_uuid, name=name, tags=_tags(tags), **wanted
                )
            except CallError as error:
                refused = _refused(error)
                if "started_at" in refused and wanted["started_at"] is not None:
                    # This machine's clock is ahead of the server's.
                    wanted["started_at"] = None
                elif error.reason in {"RUN_NOT_FOUND", "NESTING_TOO_DEEP"}:
                    # To MLflow a parent is a tag, whatever it says.
                    wanted["parent_run_id"] = ""
                else:
                    raise

    def _update(self, uuid: str, wanted: dict[str, Any], end_time, run_name: str | None) -> Stored:
        """Changes a run that goes on, or its name, or only its end."""
        if run_name:
            stored = self.name(uuid, run_name, **wanted)
        elif wanted:
            stored = self._tracking.update_run(id=uuid, **wanted)
        else:
            stored = self._tracking.get_run(id=uuid)
        if "status" not in wanted and end_time is not None and stored.status in _ENDED:
            return self._tracking.update_run(id=uuid, **_end(end_time))
        return stored

    def _found(self, **search: Any) -> SearchRunsResponse:
        """What a search finds, with all that the runs have."""
        client = self._connection.client
        try:
            return search_runs(client, SearchRunsRequest(**search, **_LOGGED, **_LINKED))
        except CallError as error:
            if error.reason != "SEARCH_TOO_LARGE":
                raise
        # One run has more than an answer takes: what it is linked to comes by itself.
        page = search_runs(client, SearchRunsRequest(**search, **_LOGGED))
        runs = tuple(self._inputs.linked(one) for one in page.runs)
        return dataclasses.replace(page, runs=runs)

    def _deleted_one(self, run_id, uuid: str) -> Stored:
        try:
            return self._tracking.get_run(id=uuid, include_deleted=True)
        except CallError as error:
            if error.reason != "RUN_NOT_FOUND":
                raise
            raise self._no_such(run_id) from error

    def _told(self, found: FoundRun) -> Run:
        stored = found.run
        assert stored is not None  # noqa: S101 the server always sends it
        return told_run(
            found,
            self._experiments.public_id(stored.experiment_id),
            self._experiments.run_artifacts(stored.experiment_id, stored.id),
            *self._inputs.told(found),
        )

    @staticmethod
    def _no_such(run_id) -> MlflowException:
        return missing(f"Run with id={run_id} not found")


def _name(tags, run_name: str | None) -> str:
    tagged = _get_run_name_from_tags(tags)
    if run_name and tagged and run_name != tagged:
        raise invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with "
            f"different values (run_name='{run_name}', mlflow.runName='{tagged}')."
        )
    return run_name or tagged or _generate_random_name()


def _life(run_status, end_time: int | None) -> dict[str, Any]:
    """Status and end as an update asks for them."""
    if run_status is None:
        return {}
    status = STORED_STATUSES[int(run_status)]
    wanted: dict[str, Any] = {"status": status, "any_status": True}
    if status in _ENDED:
        wanted |= {"end_unknown": True} if end_time is None else _end(end_time)
    return wanted


def _end(end_time: int) -> dict[str, Any]:
    return {"completed_at": times.from_ms(max(end_time, 0)), "any_status": True}


def _tags(tags: dict[str, str]) -> tuple[Tag, ...]:
    return tuple(Tag(key=key, value=value) for key, value in tags.items())


def _refused(error: CallError) -> set[str]:
    return {violation.field for violation in error.field_violations}
