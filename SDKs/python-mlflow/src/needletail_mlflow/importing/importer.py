"""An import, from the first look at the source to the comparison."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mlflow.entities import LifecycleStage
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from needletail_mlflow.importing import (
    crew,
    evaluations,
    experiments,
    issues,
    logged_models,
    models,
    scorers,
    traces,
)
from needletail_mlflow.importing.files import Files
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.runs import RunCopy
from needletail_mlflow.importing.source import SourceError

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

    from needletail_mlflow.importing.work import Work


@dataclasses.dataclass(slots=True)
class Found:
    """What there is in the source, as the listing found it."""

    experiments: list[Experiment]
    runs: dict[str, str]
    """Ids, each with that of its experiment."""
    counts: dict[str, int]
    models: set[str] = dataclasses.field(default_factory=set)
    """Ids of logged models that the runs name."""


class Importer:
    """Brings everything over that is not there yet."""

    def __init__(self, work: Work) -> None:
        self._work = work

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
                found.models |= _models(run)
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

    def count(self, found: Found) -> None:
        """Counts what copying would find by itself."""
        work, counts = self._work, found.counts
        work.progress.stage("counting")
        counts["logged models"] = sum(
            sum(1 for _ in logged_models.listed(work.source, one)) for one in found.experiments
        )
        if "models" not in work.options.without:
            counts["models and prompts"] = models.count(work)
        if "traces" not in work.options.without:
            counts["issues"] = sum(
                sum(1 for _ in issues.listed(work.source, one)) for one in found.experiments
            )
            counts["traces"] = sum(traces.count(work.source, one) for one in found.experiments)
        if "evaluations" not in work.options.without:
            listed = evaluations.listed(work, found.experiments)
            counts["evaluation datasets"] = sum(1 for _ in listed)
            counts["scorers"] = sum(1 for _ in scorers.listed(work.source, found.experiments))

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
            logged_models.copy(work, living, files, sorted(found.models))
            self._copy_runs(found, gone, files)
            if "models" not in work.options.without:
                models.copy(work)
            if "traces" not in work.options.without:
                issues.copy(work, living)
                traces.copy(work, living, files)
        finally:
            files.close()
        if "evaluations" not in work.options.without:
            evaluations.copy(work, living)
            scorers.copy(work, living)
        for experiment in living:
            if experiment.experiment_id in work.target.deleted_experiments:
                runs = work.target.runs_of(experiment.experiment_id)
                if any(work.troubles.lacks_files(f"run {run}") for run in runs):
                    work.troubles.fail(
                        f"experiment {experiment.name}", "",
                        "is not deleted here yet: files of its runs are missing; import again",
                    )  # fmt: skip
                else:
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
            run = work.source.run(run_id)
            if run.info.experiment_id not in gone:
                RunCopy(work, files, run).copy()

        def one(run_id: str) -> None:
            patiently(work, f"run {run_id}", lambda: copy(run_id))
            work.progress.step()

        crew.each(found.runs, one, work.options.threads, work.troubles)


def _models(run: Run) -> set[str]:
    """Ids of the logged models that a run began from or made."""
    read = run.inputs.model_inputs if run.inputs else ()
    made = run.outputs.model_outputs if run.outputs else ()
    return {one.model_id for one in (*(read or ()), *(made or ()))}
