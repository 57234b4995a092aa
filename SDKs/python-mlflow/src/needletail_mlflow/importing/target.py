"""Where data goes: a project, and what of the source is in it."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from needletail.errors import CallError
from needletail.tracking import LifeView, SearchInclude, Tag

from needletail_mlflow import ids, times
from needletail_mlflow.assessments import Assessments
from needletail_mlflow.connection import Connection
from needletail_mlflow.evaluation_datasets import EvaluationDatasets
from needletail_mlflow.experiments import DEFAULT_ID, Experiments
from needletail_mlflow.importing import SOURCE_TAG
from needletail_mlflow.inputs import Inputs
from needletail_mlflow.keeping import Keeping
from needletail_mlflow.runs import Runs
from needletail_mlflow.traces import Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow.entities import Experiment, Run
    from needletail.client import Client
    from needletail.tracking import Experiment as StoredExperiment
    from needletail.tracking import Run as StoredRun

    from needletail_mlflow.importing.source import Source
    from needletail_mlflow.importing.troubles import Troubles
    from needletail_mlflow.uri import Place

_PAGE = 1_000
_KEY_DIGITS = 48
_MOST_NESTED = 100
Made = TypeVar("Made")


class Target:
    """A project on Needletail, and what was imported into it before."""

    def __init__(self, place: Place, source: Source, troubles: Troubles) -> None:
        self.connection = Connection(place)
        self.experiments = Experiments(self.connection, None)
        self.inputs = Inputs(self.connection)
        keeping = Keeping(self.connection)
        runs = Runs(self.connection, self.experiments, self.inputs, keeping)
        self.assessments = Assessments(self.connection)
        self.traces = Traces(self.connection, self.experiments, runs, self.assessments)
        self.evaluations = EvaluationDatasets(self.connection, self.experiments)
        self.expected: dict[str, str] = {}
        """Of the runs that this import brings, ids in the source: of each its experiment's."""
        self.deleted_experiments: set[str] = set()
        """Ids in the source of the experiments that are deleted there."""
        self.issues: dict[str, str] = {}
        """Ids in the source of issues: of each how MLflow calls it here."""
        self._source = source
        self._troubles = troubles
        self._experiments: dict[str, StoredExperiment] = {}
        self._runs: dict[str, str] = {}
        self._models: dict[str, tuple[str, str]] = {}
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def client(self) -> Client:
        """The SDK's client."""
        return self.connection.client

    @property
    def tracking(self) -> Any:
        """Experiments and runs."""
        return self.connection.client.tracking

    def look(self) -> None:
        """Finds what was imported before."""
        prefix = f"{self._source.name}/"
        for token in self._pages():
            for found in token.runs:
                name = found.tags[0].value if found.tags else ""
                if name.startswith(prefix):
                    self._runs[name[len(prefix) :]] = found.run.id
        wanted = SearchInclude(keys=(SOURCE_TAG,))
        for one in self.tracking.iterate_experiments(
            project_id=self.connection.project_id, include_archived=True, view=LifeView.ALL,
            page_size=_PAGE, tags=wanted,
        ):  # fmt: skip
            name = one.tags[0].value if one.tags else ""
            if name.startswith(prefix):
                self._experiments[name[len(prefix) :]] = one
        self._look_for_models(f"{prefix}models/")

    def _look_for_models(self, prefix: str) -> None:
        token = ""
        while True:
            page = self.tracking.search_logged_models(
                project_id=self.connection.project_id, filter=f"tags.`{SOURCE_TAG}` != ''",
                view=LifeView.ALL, page_size=_PAGE, page_token=token,
            )  # fmt: skip
            for one in page.models:
                name = next((tag.value for tag in one.tags if tag.key == SOURCE_TAG), "")
                if name.startswith(prefix):
                    self._models[name[len(prefix) :]] = (one.id, one.experiment_id)
            token = page.next_page_token
            if not token:
                return

    def _pages(self) -> Iterator[Any]:
        token = ""
        while True:
            page = self.tracking.search_runs(
                project_id=self.connection.project_id,
                filter=f"tags.`{SOURCE_TAG}` != ''",
                tags=SearchInclude(keys=(SOURCE_TAG,)),
                include_archived=True,
                view=LifeView.ALL,
                page_size=_PAGE,
                page_token=token,
            )
            yield page
            token = page.next_page_token
            if not token:
                return

    # Experiments.

    def experiment(self, wanted: Experiment) -> StoredExperiment:
        """The experiment that one of the source is here; it is made where there is none."""
        found = self._experiments.get(wanted.experiment_id)
        if found is None:
            found = self._experiment(wanted)
            self._experiments[wanted.experiment_id] = found
        return found

    def known_experiment_uuid(self, experiment_id: str) -> str:
        """UUID of an experiment that was brought over."""
        return self._experiments[experiment_id].id

    def experiment_id(self, source_id: str) -> str:
        """How MLflow calls an experiment here; its own id where it is not here."""
        found = self._experiments.get(source_id)
        return self.experiments.public_id(found.id) if found else source_id

    def has_experiment(self, experiment_id: str) -> bool:
        """Whether an experiment of the source is here, and was not deleted here."""
        found = self._experiments.get(experiment_id)
        return found is not None and (
            found.deleted_at is None or experiment_id in self.deleted_experiments
        )

    def mark(self, source_id: str) -> Tag:
        """The tag of what has this id in the source."""
        return Tag(key=SOURCE_TAG, value=f"{self._source.name}/{source_id}")

    def key(self, *parts: str) -> str:
        """An idempotency key that is the same whenever the same is made from the same source."""
        text = "\0".join((self.connection.project_id, self._source.name, *parts))
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]

    def _experiment(self, wanted: Experiment) -> StoredExperiment:
        if wanted.experiment_id == DEFAULT_ID:
            uuid = self.experiments.uuid(DEFAULT_ID)
            if not uuid:
                # Whoever may only read gets to hear so.
                return self._made(wanted, wanted.name)
            return self._marked(self.tracking.get_experiment(id=uuid, include_deleted=True), wanted)
        there = self._named(wanted.name)
        if there is None:
            return self._made(wanted, wanted.name)
        marks = {tag.value for tag in there.tags}
        if self.mark(wanted.experiment_id).value in marks:
            # Another import has just made it.
            return there
        is_ours = any(value.startswith(f"{self._source.name}/") for value in marks)
        if there.name == wanted.name and not is_ours:
            return there if marks else self._marked(there, wanted)
        # Names that differ in their case alone are one here.
        name = f"{wanted.name} ({wanted.experiment_id})"
        self._troubles.note(
            f"experiment {wanted.name}", "", f"is called {name!r} here: the name is taken"
        )
        return self._named(name) or self._made(wanted, name)

    def _named(self, name: str) -> StoredExperiment | None:
        page = self.tracking.list_experiments(
            project_id=self.connection.project_id, name=name, include_archived=True,
            page_size=1, tags=SearchInclude(keys=(SOURCE_TAG,)),
        )  # fmt: skip
        return page.experiments[0] if page.experiments else None

    def _made(self, wanted: Experiment, name: str) -> StoredExperiment:
        return self.tracking.create_experiment(
            project_id=self.connection.project_id,
            name=name,
            tags=[self.mark(wanted.experiment_id)],
            idempotency_key=self.key("experiment", wanted.experiment_id, name),
        )

    def _marked(self, there: StoredExperiment, wanted: Experiment) -> StoredExperiment:
        if there.deleted_at is None:
            self.tracking.set_experiment_tags(
                experiment_id=there.id, tags=[self.mark(wanted.experiment_id)]
            )
        return there

    def runs_of(self, experiment_id: str) -> list[str]:
        """Ids in the source of an experiment's runs that this import brings."""
        return [run for run, experiment in self.expected.items() if experiment == experiment_id]

    def goes_with(self, run: Run) -> bool:
        """Whether a run is deleted with its experiment, and not by itself."""
        return run.info.experiment_id in self.deleted_experiments

    def is_gone(self, experiment: Experiment) -> bool:
        """Whether an experiment that is deleted in the source is deleted here, too."""
        uuid = self._experiments[experiment.experiment_id].id
        return (
            experiment.experiment_id in self.deleted_experiments
            and self.tracking.get_experiment(id=uuid, include_deleted=True).deleted_at is not None
        )

    def revive(self, experiment_id: str, run_uuid: str = "") -> None:
        """Brings back an experiment that an import deleted, and a run."""
        uuid = self._experiments[experiment_id].id
        with self._lock:
            if self.tracking.get_experiment(id=uuid, include_deleted=True).deleted_at is not None:
                self.tracking.undelete_experiment(id=uuid)
        if run_uuid:
            run = self.tracking.get_run(id=run_uuid, include_deleted=True)
            if run.deleted_at is not None:
                self.tracking.undelete_run(id=run_uuid)

    # Logged models.

    def known_model(self, source_id: str) -> str | None:
        """UUID of the logged model that one of the source is here, if it is."""
        return self._models.get(source_id, (None, ""))[0]

    def remember_model(self, source_id: str, uuid: str, experiment_uuid: str) -> None:
        """Takes note of a logged model that was made."""
        self._models[source_id] = (uuid, experiment_uuid)

    def model_id(self, source_id: str) -> str:
        """How MLflow calls a logged model of the source here; its own id where it is not here."""
        uuid = self.known_model(source_id)
        return ids.model_to_mlflow(uuid) if uuid else source_id

    def model_files(self, source_id: str) -> str:
        """Where files of a logged model are here; empty = it is not here."""
        uuid, experiment_uuid = self._models.get(source_id, ("", ""))
        if not uuid:
            return ""
        return self.experiments.logged_model_artifacts(experiment_uuid, ids.model_to_mlflow(uuid))

    # Runs.

    def known_run(self, source_id: str) -> str | None:
        """UUID of the run that one of the source is here, if it is."""
        return self._runs.get(source_id)

    def run(self, wanted: Run, depth: int = 0) -> tuple[str, bool]:
        """UUID of the run that one of the source is here, and whether it was made just now.

        A run that it is nested under is made first, so that it is nested from the start.
        """
        source_id = wanted.info.run_id
        with self._lock:
            making = self._making.setdefault(source_id, threading.Lock())
        with making:
            known = self._runs.get(source_id)
            if known is not None:
                return known, False
            parent = self.parent(wanted, depth)
            made = self._run(wanted, parent)
            self._runs[source_id] = made.id
            return made.id, True

    def parent(self, wanted: Run, depth: int = 0) -> str:
        """UUID of the run that one is nested under, made if it is on its way; empty = none."""
        parent_id = wanted.data.tags.get(MLFLOW_PARENT_RUN_ID)
        if not parent_id or depth == _MOST_NESTED or parent_id == wanted.info.run_id:
            return ""
        known = self._runs.get(parent_id)
        if known is not None:
            return known
        if parent_id not in self.expected:
            return ""
        return self.run(self._source.run(parent_id), depth + 1)[0]

    def _run(self, wanted: Run, parent: str) -> StoredRun:
        info = wanted.info
        experiment = self._experiments[info.experiment_id]
        request: dict[str, Any] = {
            "experiment_id": experiment.id,
            "name": info.run_name or "",
            "started_at": times.from_ms(info.start_time) if info.start_time else None,
            "parent_run_id": parent,
            "tags": [self.mark(info.run_id)],
        }
        if info.experiment_id in self.deleted_experiments:
            self.revive(info.experiment_id)
        tries = 0
        while True:
            # What is refused was not made: another request needs another key.
            key = self.key("run", info.run_id, experiment.id, str(tries))
            try:
                return self.tracking.create_run(**request, idempotency_key=key)
            except CallError as error:
                tries += 1
                if not _lessened(request, error):
                    raise


def made(make: Callable[[str], Any], read: Callable[[str], Made], gone: str) -> Made:
    """What several imports make at once by the same key: the same one for all.

    Args:
        make: Makes it; what it is given belongs into the key.
        read: Reads it by its id.
        gone: The reason for which it is not there.
    """
    former = ""
    while True:
        new = make(former)
        try:
            return read(new.id)
        except CallError as error:
            # An answer from before: that one was deleted since.
            if error.reason != gone or new.id == former:
                raise
            former = new.id


def _lessened(request: dict[str, Any], error: CallError) -> bool:
    """Leaves out what a run can be made without; what is different then is found and told."""
    fields = {violation.field for violation in error.field_violations}
    if "name" in fields and request["name"]:
        request["name"] = ""
    elif "started_at" in fields and request["started_at"] is not None:
        request["started_at"] = None
    elif error.reason in {"RUN_NOT_FOUND", "NESTING_TOO_DEEP"} and request["parent_run_id"]:
        request["parent_run_id"] = ""
    else:
        return False
    return True
