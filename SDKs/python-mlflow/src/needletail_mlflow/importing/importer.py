"""An import, from the first look at the source to the comparison."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from typing import TYPE_CHECKING

from mlflow.entities import LifecycleStage
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from needletail.errors import CallError

from needletail_mlflow.importing import crew, experiments, logged_models, models, others, traces
from needletail_mlflow.importing.files import Files
from needletail_mlflow.importing.runs import RunCopy
from needletail_mlflow.importing.source import SourceAwayError, SourceError
from needletail_mlflow.importing.troubles import StoppedError, refuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities import Experiment

    from needletail_mlflow.importing.work import Work

_FAILURES_IN_A_ROW = 3


@dataclasses.dataclass(slots=True)
class Found:
    """What there is in the source, as the listing found it."""

    experiments: list[Experiment]
    runs: dict[str, str]
    """Ids, each with that of its experiment."""
    counts: dict[str, int]


class Importer:
    """Brings everything over that is not there yet."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._in_a_row = 0

    def look(self) -> Found:
        """Lists the source's runs, and finds what is here already.

        Raises:
            SourceError: An experiment that was asked for is not there.
        """
        work = self._work
        work.progress.stage("looking at what is here")
        work.target.look()
        chosen = self._chosen()
        work.progress.stage("listing runs")
        found = Found(chosen, {}, {"experiments": len(chosen)})
        counts = found.counts
        for experiment in chosen:
            is_deleted = experiment.lifecycle_stage == LifecycleStage.DELETED
            if is_deleted:
                work.target.deleted_experiments.add(experiment.experiment_id)
            for run in work.source.runs(
                experiment.experiment_id, deleted=work.options.deleted or is_deleted
            ):
                work.troubles.check()
                work.progress.step()
                found.runs[run.info.run_id] = experiment.experiment_id
                for noun, count in (
                    ("runs", 1),
                    ("runs here before", int(bool(work.target.known_run(run.info.run_id)))),
                    ("parameters", len(run.data.params)),
                    ("tags", len(run.data.tags.keys() - {MLFLOW_RUN_NAME})),
                    ("metrics", len(run.data.metrics)),
                    ("datasets", len(run.inputs.dataset_inputs if run.inputs else ())),
                ):
                    counts[noun] = counts.get(noun, 0) + count
        return found

    def copy(self, found: Found) -> None:
        """Brings over what was found."""
        work = self._work
        work.progress.stage("experiments", len(found.experiments))
        gone: set[str] = set()
        for experiment in found.experiments:
            work.troubles.check()
            if not experiments.copy(work, experiment):
                gone.add(experiment.experiment_id)
            work.progress.step()
        work.target.expected = {
            run: experiment for run, experiment in found.runs.items() if experiment not in gone
        }
        living = [one for one in found.experiments if one.experiment_id not in gone]
        files = Files(work)
        try:
            logged_models.copy(work, living, files)
            self._copy_runs(found, gone, files)
        finally:
            files.close()
        if "models" not in work.options.without:
            models.copy(work)
        if "traces" not in work.options.without:
            traces.copy(work, living)
        others.tell(work, living)
        for experiment in living:
            if experiment.experiment_id in work.target.deleted_experiments:
                experiments.delete(work, experiment)

    def _chosen(self) -> list[Experiment]:
        options = self._work.options
        found = list(self._work.source.experiments(deleted=options.deleted))
        if not options.experiments:
            return found
        wanted = set(options.experiments)
        chosen = [one for one in found if wanted & {one.name, one.experiment_id}]
        unknown = wanted - {text for one in chosen for text in (one.name, one.experiment_id)}
        if unknown:
            raise SourceError(f"the source has no experiment {', '.join(sorted(unknown))}")
        return chosen

    def _copy_runs(self, found: Found, gone: set[str], files: Files) -> None:
        work = self._work
        work.progress.stage("runs", len(found.runs))

        def copy(run_id: str) -> None:
            with self._patience(run_id):
                run = work.source.run(run_id)
                if run.info.experiment_id not in gone:
                    RunCopy(work, files, run).copy()
            work.progress.step()

        crew.each(found.runs, copy, work.options.threads, work.troubles)

    @contextlib.contextmanager
    def _patience(self, run_id: str) -> Iterator[None]:
        """Within it, what is wrong with one run ends that run alone."""
        try:
            yield
        except (StoppedError, SourceError):
            raise
        except Exception as error:
            ours = error if isinstance(error, CallError) else error.__cause__
            if isinstance(ours, CallError):
                if not refuses(ours):
                    raise
            elif self._is_over():
                text = " ".join(str(error).split())
                raise SourceAwayError(f"the source fails, run after run: {text}") from error
            self._work.troubles.fail(f"run {run_id}", "", error)
        else:
            with self._lock:
                self._in_a_row = 0

    def _is_over(self) -> bool:
        """Whether several runs in a row could not be read: that is the source's end."""
        with self._lock:
            self._in_a_row += 1
            return self._in_a_row >= _FAILURES_IN_A_ROW
