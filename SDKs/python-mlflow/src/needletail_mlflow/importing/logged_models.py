"""Logged models: with their parameters, tags, metrics and files.

They come before what runs logged: points of theirs are points of runs, too, and those are then not
written again.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from needletail.artifacts import Owner
from needletail.errors import CallError
from needletail.tracking import LoggedModelSeries, MetricSeries, Parameter, Tag
from needletail.tracking import LoggedModelStatus as Status

from needletail_mlflow.importing import SOURCE_TAG, crew, digests
from needletail_mlflow.importing.troubles import refuses
from needletail_mlflow.logged_models import STORED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.entities import Experiment, LoggedModel, Metric
    from needletail.tracking import LoggedModel as Stored

    from needletail_mlflow.importing.files import Files
    from needletail_mlflow.importing.work import Work

_PAGE = 50
_METRICS_PAGE = 1_000
_ITEMS_PER_CALL = 100
_OLDEST_FIRST = [{"field_name": "creation_timestamp", "ascending": True}]


def copy(work: Work, experiments: Sequence[Experiment], files: Files) -> None:
    """Brings the logged models of experiments over."""
    work.progress.stage("logged models")

    def one(model: LoggedModel) -> None:
        try:
            ModelCopy(work, files, model).copy()
        except (CallError, MlflowException) as error:
            ours = error if isinstance(error, CallError) else error.__cause__
            if isinstance(ours, CallError) and not refuses(ours):
                raise
            work.troubles.fail(f"logged model {model.model_id}", "", error)
        work.progress.step()

    for experiment in experiments:
        if not work.target.is_gone(experiment):
            crew.each(
                _all(work, experiment), one, work.options.threads, work.troubles
            )  # fmt: skip


def _all(work: Work, experiment: Experiment) -> Iterator[LoggedModel]:
    token = None
    while True:
        try:
            page = work.source.store.search_logged_models(
                experiment_ids=[experiment.experiment_id], max_results=_PAGE,
                order_by=_OLDEST_FIRST, page_token=token,
            )  # fmt: skip
        except (MlflowException, NotImplementedError):
            # Servers and stores of before know none.
            return
        yield from page
        token = page.token
        if not token:
            return


class ModelCopy:
    """A logged model of the source, and what it is here."""

    def __init__(self, work: Work, files: Files, model: LoggedModel) -> None:
        self._work = work
        self._files = files
        self._model = model
        self._place = f"logged model {model.model_id}"
        self._run_uuid = self._run(model.source_run_id)
        self._uuid = ""

    def copy(self) -> None:
        """Brings the model over, as far as it is not here, and compares."""
        target = self._work.target
        self._uuid = target.known_model(self._model.model_id) or self._make()
        stored = self._tracking.get_logged_model(id=self._uuid, include_deleted=True)
        if stored.deleted_at is not None:
            self._work.troubles.note(self._place, "", "was deleted here, and stays so")
            return
        self._describe(stored)
        self._measure(self._metrics_here(stored))
        manifests = self._files.copy(
            self._place, self._model.artifact_location, Owner(logged_model_id=self._uuid),
            lambda: None,
        )  # fmt: skip
        stored = self._tracking.get_logged_model(id=self._uuid)
        self._compare(stored, manifests)

    @property
    def _tracking(self) -> Any:
        return self._work.target.tracking

    def _run(self, run_id: str | None) -> str:
        """UUID of a run here, which is made where it is on its way; empty = it is not here."""
        target = self._work.target
        if run_id in target.expected:
            return target.run(self._work.source.run(run_id))[0]
        return target.known_run(run_id or "") or ""

    def _make(self) -> str:
        model, target = self._model, self._work.target
        uuid = target.known_experiment_uuid(model.experiment_id)
        made = self._tracking.create_logged_model(
            experiment_id=uuid,
            name=model.name,
            model_type=model.model_type or "",
            source_run_id=self._run_uuid,
            tags=[target.mark(f"models/{model.model_id}")],
            status=self._status,
            idempotency_key=target.key("logged model", model.model_id, uuid),
        )
        target.remember_model(model.model_id, made.id, uuid)
        return made.id

    @property
    def _status(self) -> Any:
        return STORED_STATUSES.get(LoggedModelStatus(self._model.status), Status.PENDING)

    def _describe(self, stored: Stored) -> None:
        """Status, parameters and tags."""
        model, message = self._model, self._model.status_message or ""
        if stored.status is not self._status or stored.status_message != message:
            self._work.troubles.each(
                self._place, ["status"],
                lambda _: self._tracking.update_logged_model(
                    id=stored.id, status=self._status, status_message=message
                ),
                str,
            )  # fmt: skip
        here = {one.key: one.value for one in stored.parameters}
        parameters = [
            Parameter(key=key, value=str(value))
            for key, value in model.params.items()
            if here.get(key) != str(value)
        ]
        here = {one.key: one.value for one in stored.tags}
        tags = [
            Tag(key=key, value=str(value))
            for key, value in model.tags.items()
            if here.get(key) != str(value)
        ]

        def log(items: Sequence[Parameter]) -> None:
            self._tracking.log_logged_model_parameters(logged_model_id=stored.id, parameters=items)

        def set_tags(items: Sequence[Tag]) -> None:
            self._tracking.set_logged_model_tags(logged_model_id=stored.id, tags=items)

        for start in range(0, len(parameters), _ITEMS_PER_CALL):
            part = parameters[start : start + _ITEMS_PER_CALL]
            self._work.troubles.each(self._place, part, log, lambda one: f"parameter {one.key}")
        for start in range(0, len(tags), _ITEMS_PER_CALL):
            part_of_tags = tags[start : start + _ITEMS_PER_CALL]
            self._work.troubles.each(
                self._place, part_of_tags, set_tags, lambda one: f"tag {one.key}"
            )

    # What it was measured by.

    def _measure(self, here: dict[str, str]) -> None:
        grouped: dict[tuple[str, str, str, str], list[Metric]] = {}
        for one in self._model.metrics or ():
            name = self._name(one)
            if name not in here:
                run = self._run(one.run_id)
                if not run:
                    self._work.troubles.note(self._place, name, "its run was not brought over")
                    continue
                where = (run, one.dataset_name or "", one.dataset_digest or "", one.key)
                grouped.setdefault(where, []).append(one)
        for (run, dataset, digest, key), metrics in grouped.items():
            for start in range(0, len(metrics), _METRICS_PAGE):
                series = LoggedModelSeries(
                    logged_model_id=self._uuid,
                    dataset_name=dataset,
                    dataset_digest=digest if dataset else "",
                    series=_series(key, metrics[start : start + _METRICS_PAGE]),
                )
                self._work.troubles.each(
                    self._place, [series], functools.partial(self._log, run), _named
                )

    def _log(self, run: str, series: Sequence[LoggedModelSeries]) -> None:
        digest = hashlib.sha256(repr((run, list(series))).encode()).hexdigest()
        self._tracking.log_batch(
            run_id=run, model_series=series, any_status=True, idempotency_key=digest[: 2 * 16]
        )

    def _metrics_here(self, stored: Stored) -> dict[str, str]:
        metrics = stored.metrics
        if stored.has_more_metrics:
            metrics = tuple(
                self._tracking.iterate_logged_model_metrics(
                    logged_model_id=stored.id, page_size=_METRICS_PAGE
                )
            )
        return {
            _told(
                one.key, one.step, one.time_us // 1_000, one.run_id, one.dataset_name,
                one.dataset_digest,
            ): repr(one.value)
            for one in metrics
        }  # fmt: skip

    def _name(self, one: Metric) -> str:
        dataset = one.dataset_name or ""
        digest = (one.dataset_digest or "") if dataset else ""
        run = self._work.target.known_run(one.run_id or "") or one.run_id or ""
        return _told(one.key, one.step, one.timestamp, run, dataset, digest)

    def _compare(self, stored: Stored, manifests: Any) -> None:
        model = self._model
        wanted = {
            "name": model.name,
            "type": model.model_type or "",
            "status": str(self._status),
            "status message": model.status_message or "",
            **{f"parameter {key}": str(value) for key, value in model.params.items()},
            **{f"tag {key}": str(value) for key, value in model.tags.items()},
            **{
                self._name(one): repr(one.value)
                for one in model.metrics or ()
                if self._run(one.run_id)
            },
        }
        if self._run_uuid and stored.source_run_id:
            wanted["run"] = self._run_uuid
        elif self._run_uuid:
            self._work.troubles.note(self._place, "run", "it came over after the model")
        here = {
            "name": stored.name,
            "type": stored.model_type,
            "status": str(stored.status),
            "status message": stored.status_message,
            **{f"parameter {one.key}": one.value for one in stored.parameters},
            **{f"tag {one.key}": one.value for one in stored.tags if one.key != SOURCE_TAG},
            **self._metrics_here(stored),
            "run": stored.source_run_id,
        }
        work, ours = self._work, {key: value for key, value in here.items() if key in wanted}
        for key, why in digests.differences(wanted, ours):
            work.troubles.fail(self._place, key, why)
        work.sums.count("logged models", 1, 1)
        work.sums.compare(
            "logged models", model.model_id, digests.digest(wanted), digests.digest(ours)
        )
        if manifests is not None:
            self._files.compare(self._place, *manifests)


def _named(one: LoggedModelSeries) -> str:
    return f"metric {one.series.key if one.series else ''}"


def _series(key: str, metrics: Sequence[Metric]) -> MetricSeries:
    return MetricSeries(
        key=key,
        steps=tuple(one.step for one in metrics),
        times_us=tuple(one.timestamp * 1_000 for one in metrics),
        values=tuple(one.value for one in metrics),
    )


def _told(key: str, step: int, time: int, run: str, dataset: str, digest: str) -> str:
    on = f" on {dataset} {digest}".rstrip() if dataset else ""
    return f"metric {key} at {step}, {time} of {run}{on}"
