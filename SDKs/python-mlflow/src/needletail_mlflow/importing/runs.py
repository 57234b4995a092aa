"""One run on its way: what is missing is written, then all is read back and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mlflow.entities import (
    LifecycleStage,
    LoggedModelInput,
    LoggedModelOutput,
    RunInputs,
    RunOutputs,
)
from mlflow.entities import RunStatus as MLflowStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_USER
from needletail.artifacts import Owner
from needletail.errors import CallError
from needletail.tracking import Parameter, RunStatus, Tag

from needletail_mlflow import ids, times
from needletail_mlflow.importing import digests, reading
from needletail_mlflow.importing.histories import Histories
from needletail_mlflow.inputs import told_links
from needletail_mlflow.searching import USER_TAG
from needletail_mlflow.telling import STATUSES, STORED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities import Run

    from needletail_mlflow.importing.files import Files
    from needletail_mlflow.importing.reading import There
    from needletail_mlflow.importing.work import Work

_ITEMS_PER_CALL = 1_000
_BYTES_PER_CALL = 1 << 20
_ENDED = {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}
Item = TypeVar("Item", Parameter, Tag)

_NESTING = {"PARENT_RUN_INVALID", "NESTING_TOO_DEEP", "RUN_NOT_FOUND"}


class RunCopy:
    """A run of the source, and what it is here."""

    def __init__(self, work: Work, files: Files, run: Run) -> None:
        self._work = work
        self._files = files
        self._run = run
        self._place = f"run {run.info.run_id}"
        self._is_deleted = run.info.lifecycle_stage == LifecycleStage.DELETED
        self._uuid = ""
        self._parent = ""
        self._revived = False

    def copy(self) -> None:
        """Brings the run over, as far as it is not here, and compares."""
        self._uuid, is_new = self._work.target.run(self._run)
        self._parent = self._work.target.parent(self._run)
        there = self._read()
        if there.run.deleted_at is not None and not self._is_deleted:
            self._work.troubles.note(self._place, "", "was deleted here, and stays so")
            return
        histories = Histories(self._work, self._run, self._uuid, self._writable)
        there = self._logged(there, histories, is_new=is_new)
        self._linked(there)
        manifests = None
        if there.run.deleted_at is None or self._revived:
            # What was deleted with an import was whole then; its files are not to be seen.
            manifests = self._files.copy(
                self._place, self._run.info.artifact_uri, Owner(run_id=self._uuid), self._writable
            )
        self._ended(there)
        self._compare(self._read(), histories, manifests)

    # What is written.

    def _read(self) -> There:
        target = self._work.target
        return reading.there(target.tracking, target.inputs, self._uuid)

    def _writable(self) -> None:
        """Brings back what was deleted with an import before: something of it is new."""
        if self._is_deleted and not self._revived:
            self._revived = True
            self._work.target.revive(self._run.info.experiment_id, self._uuid)

    def _logged(self, there: There, histories: Histories, *, is_new: bool) -> There:
        parameters = [
            Parameter(key=key, value=value)
            for key, value in self._parameters().items()
            if there.parameters.get(key) != value
        ]
        tags = [
            Tag(key=key, value=value)
            for key, value in self._tags().items()
            if there.tags.get(key) != value
        ]
        self._each(parameters, self._log_parameters, "parameter")
        self._each(tags, self._set_tags, "tag")
        if there.run.status is RunStatus.RUNNING:
            # Whatever another import had on its way is there before the histories are read: one
            # before, or one at the same time, which made the run by the same key.
            committed = histories.open()
            if committed or not is_new:
                there = self._read()
        histories.copy(there, is_running=there.run.status is RunStatus.RUNNING)
        return there

    def _each(self, items: list[Any], send: Any, noun: str) -> None:
        for part in _parts(items):
            self._writable()
            self._work.troubles.each(self._place, part, send, lambda one: f"{noun} {one.key}")

    def _log_parameters(self, items: Any) -> None:
        self._work.target.tracking.log_parameters(
            run_id=self._uuid, parameters=items, overwrite=True, any_status=True
        )

    def _set_tags(self, items: Any) -> None:
        self._work.target.tracking.set_run_tags(run_id=self._uuid, tags=items)

    def _linked(self, there: There) -> None:
        """Datasets and models; links that are there stay as they are."""
        read, made = told_links(there.found.inputs, there.found.models)
        inputs = self._run.inputs
        known = digests.datasets(read)
        new = digests.datasets(inputs).keys() - known.keys()
        wanted = [
            one
            for one in (inputs.dataset_inputs if inputs else ())
            if not new.isdisjoint(digests.datasets(_only(inputs, one)))
        ]
        troubles, target = self._work.troubles, self._work.target
        for one in wanted:
            self._writable()
            troubles.each(
                self._place, [one],
                lambda items: target.inputs.log_inputs(self._uuid, list(items)),
                lambda item: f"dataset {next(iter(digests.datasets(_only(inputs, item))))}",
            )  # fmt: skip
        if digests.models(*self._models()).keys() - digests.models(read, made).keys():
            self._writable()
            troubles.each(self._place, ["models"], self._log_models, str)

    def _log_models(self, _: Any) -> None:
        inputs, outputs = self._models()
        target = self._work.target.inputs
        target.log_inputs(self._uuid, models=inputs.model_inputs)
        target.log_outputs(self._uuid, outputs.model_outputs)

    def _models(self) -> tuple[RunInputs, RunOutputs]:
        """The models that it is linked to, by their ids here."""
        inputs, outputs = self._run.inputs, self._run.outputs
        named = self._work.target.model_id
        read = [
            LoggedModelInput(named(one.model_id)) for one in (inputs and inputs.model_inputs) or ()
        ]
        made = [
            LoggedModelOutput(named(one.model_id), one.step or 0)
            for one in (outputs and outputs.model_outputs) or ()
        ]
        return RunInputs([], read), RunOutputs(made)

    def _ended(self, there: There) -> None:
        """What the run is, last of all: it takes points only while it is RUNNING."""
        target = self._work.target
        change = self._change(there)
        while change:
            self._writable()
            try:
                target.tracking.update_run(id=self._uuid, any_status=True, **change)
                break
            except CallError as error:
                # What is left out is found by the comparison, and told.
                if not _lessened(change, error):
                    raise
        is_gone = there.run.deleted_at is not None and not self._revived
        # Files of what is deleted are not to be seen: the next import is to find them missing.
        is_whole = not self._work.troubles.lacks_files(self._place)
        if self._is_deleted and not is_gone and is_whole and not target.goes_with(self._run):
            target.tracking.delete_run(id=self._uuid)

    def _change(self, there: There) -> dict[str, Any]:
        wanted, here = self._facts(), self._facts_here(there)
        change: dict[str, Any] = {}
        if "name" in wanted and wanted["name"] != here["name"]:
            change["name"] = wanted["name"]
        if wanted.get("parent", here["parent"]) != here["parent"]:
            change["parent_run_id"] = wanted["parent"]
        if any(wanted.get(one) != here.get(one) for one in ("status", "start_time", "end_time")):
            change["status"] = self._status
            if wanted.get("start_time") is not None and self._status is not RunStatus.SCHEDULED:
                change["started_at"] = times.from_ms(wanted["start_time"])
            if wanted.get("end_time") is not None:
                change["completed_at"] = times.from_ms(wanted["end_time"])
            elif self._status in _ENDED:
                change["end_unknown"] = True
        return change

    # What is compared.

    @property
    def _status(self) -> RunStatus:
        return STORED_STATUSES[MLflowStatus.from_string(self._run.info.status)]

    def _parameters(self) -> dict[str, str]:
        return {key: value or "" for key, value in self._run.data.params.items()}

    def _tags(self) -> dict[str, str]:
        info = self._run.info
        tags = {key: value or "" for key, value in self._run.data.tags.items()}
        tags.pop(MLFLOW_RUN_NAME, None)
        if info.user_id and info.user_id != tags.get(MLFLOW_USER):
            tags[USER_TAG] = info.user_id
        if self._parent:
            tags[MLFLOW_PARENT_RUN_ID] = ids.to_mlflow(self._parent)
        return tags

    def _facts(self) -> dict[str, Any]:
        """What the run is in the source, as far as it is said there."""
        info = self._run.info
        facts: dict[str, Any] = {"status": info.status}
        if info.run_name:
            facts["name"] = info.run_name
        if info.start_time and self._status is not RunStatus.SCHEDULED:
            facts["start_time"] = info.start_time
        if self._status in _ENDED:
            facts["end_time"] = info.end_time or None
        if self._parent:
            facts["parent"] = self._parent
        if not self._work.target.goes_with(self._run):
            facts["deleted"] = self._is_deleted
        return facts

    @staticmethod
    def _facts_here(there: There) -> dict[str, Any]:
        run = there.run
        return {
            "status": MLflowStatus.to_string(STATUSES[run.status]),
            "name": run.name,
            "start_time": times.to_ms(run.started_at),
            "end_time": times.to_ms(run.completed_at),
            "parent": run.parent_run_id,
            "deleted": run.deleted_at is not None,
        }

    def _compare(self, there: There, histories: Histories, manifests: Any) -> None:
        run = self._run
        read, made = told_links(there.found.inputs, there.found.models)
        self._same("runs", "", self._facts(), self._facts_here(there), count=1)
        self._same("parameters", "parameter ", self._parameters(), there.parameters)
        self._same("tags", "tag ", self._tags(), there.tags)
        self._same("metrics", "metric ", histories.digests, histories.digests_here(there))
        self._work.sums.count("points", histories.count, histories.count_here)
        self._same("datasets", "dataset ", digests.datasets(run.inputs), digests.datasets(read))
        self._same(
            "links to models", "", digests.models(*self._models()),
            digests.models(read, made),
        )  # fmt: skip
        if manifests is not None:
            self._files.compare(self._place, *manifests)

    def _same(
        self,
        kind: str,
        noun: str,
        source: dict[str, Any],
        here: dict[str, Any],
        count: int | None = None,
    ) -> None:
        work, name = self._work, self._run.info.run_id
        # What was logged here since is nobody's mistake.
        ours = {key: value for key, value in here.items() if key in source}
        for key, why in digests.differences(source, ours):
            work.troubles.fail(self._place, f"{noun}{key}", why)
        if count is None:
            work.sums.count(kind, len(source), len(ours))
        else:
            work.sums.count(kind, count, count)
        work.sums.compare(kind, name, digests.digest(source), digests.digest(ours))


def _only(inputs: Any, one: Any) -> Any:
    return type(inputs)([one], [])


def _parts(items: list[Item]) -> Iterator[list[Item]]:
    """Keys and values in calls that are not too large."""
    part: list[Item] = []
    size = 0
    for one in items:
        length = len(one.key.encode(errors="replace")) + len(one.value.encode(errors="replace"))
        if part and (len(part) == _ITEMS_PER_CALL or size + length > _BYTES_PER_CALL):
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    if part:
        yield part


def _lessened(change: dict[str, Any], error: CallError) -> bool:
    """Leaves out of a change what was refused of it."""
    fields = {violation.field for violation in error.field_violations} & change.keys()
    if error.reason in _NESTING:
        fields |= {"parent_run_id"} & change.keys()
    for field in fields:
        del change[field]
    return bool(fields)
