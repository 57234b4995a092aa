"""Runs: their life, and finding them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities import (
    LifecycleStage,
    Run,
    RunInfo,
    RunInputs,
    RunOutputs,
    ViewType,
)
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_USER,
    _get_run_name_from_tags,
)
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchUtils
from mlflow.utils.validation import _validate_tag
from needletail.errors import CallError
from needletail.tracking import FoundRun, SearchInclude, Tag
from needletail.tracking import RunStatus as Status

from needletail_mlflow import ids, times
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import (
    LINKS_TAG,
    USER_TAG,
    check_max_results,
    run_filter,
    run_order,
)
from needletail_mlflow.telling import STORED_STATUSES, told_info, told_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.exceptions import MlflowException
    from needletail.tracking import Run as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments
    from needletail_mlflow.inputs import Inputs

_ALL = SearchInclude(all=True)
_PAGE = 1_000
_EXPERIMENTS_PER_SEARCH = 1_000
_ENDED = {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


class Runs:
    """The runs of a project."""

    def __init__(self, connection: Connection, experiments: Experiments, inputs: Inputs) -> None:
        self._connection = connection
        self._experiments = experiments
        self._inputs = inputs

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
            found = FoundRun(run=stored, tags=_tags(wanted))
            return self._told(found, RunInputs([]), RunOutputs([]))

    def get(self, run_id) -> Run:
        with TRANSLATED:
            uuid = self.uuid(run_id)
            page = self._tracking.search_runs(
                filter=f"attributes.run_id = '{uuid}'",
                page_size=1,
                parameters=_ALL,
                tags=_ALL,
                metrics=_ALL,
                include_archived=True,
            )
            if not page.runs:
                return self._told_bare(self._deleted_one(run_id, uuid))
            return self._told(page.runs[0], *self._inputs.of_run(uuid))

    def update(self, run_id, run_status, end_time, run_name) -> RunInfo:
        with TRANSLATED:
            uuid = self.uuid(run_id)
            try:
                stored = None
                if run_name:
                    stored = self._tracking.update_run(id=uuid, name=run_name)
                if run_status is not None:
                    stored = self._set_status(uuid, STORED_STATUSES[int(run_status)], end_time)
                return self._told_info(stored or self._tracking.get_run(id=uuid))
            except CallError as error:
                raise self.inactive_or(error, run_id) from error

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
        condition = run_filter(filter_string or "")
        order = run_order(tuple(order_by or ()))
        with TRANSLATED:
            uuids = [self._experiments.uuid(one) for one in experiment_ids]
            known = [one for one in uuids if one][:_EXPERIMENTS_PER_SEARCH]
            if not known:
                return [], None
            if view_type != ViewType.ACTIVE_ONLY:
                found = list(self._every(known, view_type, condition, order))
                found = SearchUtils.filter(found, filter_string)
                found = SearchUtils.sort(found, order_by)
                return SearchUtils.paginate(found, page_token, max_results)
            return self._search_live(known, condition, order, max_results, page_token)

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

    def _set_status(self, uuid: str, status: Status, end_time: int | None) -> Stored:
        if status in _ENDED:
            return self._end(uuid, status, end_time)
        stored = self._tracking.get_run(id=uuid)
        if stored.status is status:
            return stored
        if status is Status.SCHEDULED:
            raise invalid(
                f"The run {ids.to_mlflow(uuid)} has started: it cannot be SCHEDULED again."
            )
        if stored.status in _ENDED:
            return self._tracking.reopen_run(id=uuid)
        return self._tracking.update_run(id=uuid, status=status)

    def _end(self, uuid: str, status: Status, end_time: int | None) -> Stored:
        completed_at = times.from_ms(end_time) if end_time else None
        while True:
            try:
                return self._tracking.finish_run(id=uuid, status=status, completed_at=completed_at)
            except CallError as error:
                if "completed_at" in _refused(error) and completed_at is not None:
                    completed_at = None
                elif error.reason == "RUN_FINISHED":
                    self.reopen(uuid)
                else:
                    raise

    def reopen(self, uuid: str) -> None:
        """Lets an ended run go on; it may do so already."""
        try:
            self._tracking.reopen_run(id=uuid)
        except CallError as error:
            if error.reason != "RUN_NOT_FINISHED":
                raise

    def _search_live(
        self,
        experiment_uuids: Sequence[str],
        condition: str,
        order: Sequence[str],
        max_results: int,
        page_token: str | None,
    ) -> tuple[list[Run], str | None]:
        found: list[Run] = []
        token = page_token or ""
        while True:
            page = self._tracking.search_runs(
                project_id=self._connection.project_id,
                experiment_ids=experiment_uuids,
                filter=condition,
                order_by=order,
                page_size=min(_PAGE, max_results - len(found)),
                page_token=token,
                parameters=_ALL,
                tags=_ALL,
                metrics=_ALL,
            )
            found += [self._told(one, *self._linked(one)) for one in page.runs]
            token = page.next_page_token
            if not token or len(found) >= max_results:
                return found, token or None

    def _linked(self, found: FoundRun) -> tuple[RunInputs, RunOutputs]:
        assert found.run is not None  # noqa: S101 the server always sends it
        if any(tag.key == LINKS_TAG for tag in found.tags):
            return self._inputs.of_run(found.run.id)
        return RunInputs([]), RunOutputs([])

    def _every(
        self, experiment_uuids: list[str], view_type, condition: str, order: Sequence[str]
    ) -> Iterator[Run]:
        for uuid in experiment_uuids:
            for one in self._deleted(experiment_id=uuid):
                yield self._told_bare(one)
        token: str | None = None
        while view_type == ViewType.ALL:
            runs, token = self._search_live(experiment_uuids, condition, order, _PAGE, token)
            yield from runs
            if not token:
                return

    def _deleted(self, experiment_id: str = "") -> Iterator[Stored]:
        token = ""
        while True:
            page = self._tracking.list_runs(
                experiment_id=experiment_id,
                project_id=self._connection.project_id,
                deleted=True,
                page_size=_PAGE,
                page_token=token,
            )
            yield from page.runs
            token = page.next_page_token
            if not token:
                return

    def _deleted_one(self, run_id, uuid: str) -> Stored:
        for one in self._deleted():
            if one.id == uuid:
                return one
        raise self._no_such(run_id)

    def _told(self, found: FoundRun, inputs: RunInputs, outputs: RunOutputs) -> Run:
        stored = found.run
        assert stored is not None  # noqa: S101 the server always sends it
        return told_run(
            found,
            self._experiments.public_id(stored.experiment_id),
            self._experiments.run_artifacts(stored.experiment_id, stored.id),
            inputs,
            outputs,
        )

    def _told_bare(self, stored: Stored) -> Run:
        return self._told(FoundRun(run=stored), RunInputs([]), RunOutputs([]))

    def _told_info(self, stored: Stored) -> RunInfo:
        return told_info(
            stored,
            self._experiments.public_id(stored.experiment_id),
            self._experiments.run_artifacts(stored.experiment_id, stored.id),
            {},
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


def _tags(tags: dict[str, str]) -> tuple[Tag, ...]:
    return tuple(Tag(key=key, value=value) for key, value in tags.items())


def _refused(error: CallError) -> set[str]:
    return {violation.field for violation in error.field_violations}
