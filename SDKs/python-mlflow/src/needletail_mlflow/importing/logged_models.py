"""Logged models: with their parameters, tags, metrics and files.

They come before what runs logged: points of theirs are points of runs, too, and those are then not
written again.
"""

from __future__ import annotations

import copy as copying
import functools
import hashlib
import math
from typing import TYPE_CHECKING, Any

from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException
from needletail.artifacts import Owner
from needletail.tracking import LoggedModelSeries, MetricSeries, Parameter, Tag
from needletail.tracking import LoggedModelStatus as Status

from needletail_mlflow.importing import SOURCE_TAG, crew, digests, points
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.source import is_unknown, pages
from needletail_mlflow.logged_models import STORED_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlflow.entities import Experiment, LoggedModel, Metric
    from needletail.tracking import LoggedModel as Stored

    from needletail_mlflow.importing.files import Files
    from needletail_mlflow.importing.source import Source
    from needletail_mlflow.importing.work import Work

_PAGE = 50
_METRICS_PAGE = 1_000
_ITEMS_PER_CALL = 100
_OLDEST_FIRST = [{"field_name": "creation_timestamp", "ascending": True}]


def copy(
    work: Work, experiments: Sequence[Experiment], files: Files, linked: Iterable[str]
) -> None:
    """Brings the logged models of experiments over.

    Args:
        work: From where to where.
        experiments: Those that come over.
        files: What copies files.
        linked: Ids of models that runs name: servers list no deleted ones.
    """
    work.progress.stage("logged models")
    seen: set[str] = set()

    def living(model: LoggedModel) -> None:
        seen.add(model.model_id)
        one(model, is_deleted=False)

    def deleted(model: LoggedModel) -> None:
        one(model, is_deleted=True)

    def one(model: LoggedModel, *, is_deleted: bool) -> None:
        patiently(
            work, f"logged model {model.model_id}",
            lambda: ModelCopy(work, files, model, is_deleted=is_deleted).copy(),
        )  # fmt: skip
        work.progress.step()

    there = [one for one in experiments if not work.target.is_gone(one)]
    for experiment in there:
        crew.each(listed(work.source, experiment), living, work.options.threads, work.troubles)
    if work.options.deleted:
        found = _deleted(work, {one.experiment_id for one in there}, linked, seen)
        crew.each(found, deleted, work.options.threads, work.troubles)


def _deleted(
    work: Work, experiments: set[str], linked: Iterable[str], seen: set[str]
) -> Iterator[LoggedModel]:
    store = work.source.store
    # MLflow's own garbage collection asks a store so; a server is asked for each that is known of.
    listed = getattr(store, "_get_deleted_logged_models", None)
    for model_id in dict.fromkeys(listed() if listed else linked):
        if model_id in seen:
            continue
        try:
            model = store.get_logged_model(model_id, allow_deleted=True)
        except (MlflowException, NotImplementedError) as error:
            if is_unknown(error) or _is_missing(error):
                continue
            raise
        if model.experiment_id in experiments:
            yield model


def listed(source: Source, experiment: Experiment) -> Iterator[LoggedModel]:
    """The logged models of an experiment of the source that are not deleted, oldest first."""
    return pages(
        lambda token: source.store.search_logged_models(
            experiment_ids=[experiment.experiment_id], max_results=_PAGE,
            order_by=_OLDEST_FIRST, page_token=token,
        )
    )  # fmt: skip


class ModelCopy:
    """A logged model of the source, and what it is here."""

    def __init__(self, work: Work, files: Files, model: LoggedModel, *, is_deleted: bool) -> None:
        self._work = work
        self._files = files
        self._model = model
        self._place = f"logged model {model.model_id}"
        self._run_uuid = self._run(model.source_run_id)
        self._uuid = ""
        self._metrics = [self._measured(one) for one in model.metrics or ()]
        self._is_deleted = is_deleted
        self._revived = False

    def copy(self) -> None:
        """Brings the model over, as far as it is not here, and compares."""
        target = self._work.target
        self._uuid = target.known_model(self._model.model_id) or self._make()
        stored = self._read()
        if stored.deleted_at is not None and not self._is_deleted:
            self._work.troubles.note(self._place, "", "was deleted here, and stays so")
            return
        self._describe(stored)
        self._measure(self._metrics_here(stored))
        manifests = None
        if stored.deleted_at is None or self._revived:
            # What was deleted with an import was whole then; its files are not to be seen.
            manifests = self._files.copy(
                self._place, self._model.artifact_location, Owner(logged_model_id=self._uuid),
                self._writable,
            )  # fmt: skip
            if self._is_deleted and not self._work.troubles.lacks_files(self._place):
                self._tracking.delete_logged_model(id=self._uuid)
        self._compare(self._read(), manifests)

    def _read(self) -> Stored:
        return self._tracking.get_logged_model(id=self._uuid, include_deleted=True)

    def _writable(self) -> None:
        """Brings back what was deleted with an import before: something of it is new."""
        if self._is_deleted and not self._revived:
            self._revived = True
            if self._read().deleted_at is not None:
                self._tracking.undelete_logged_model(id=self._uuid)

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
            self._writable()
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
            self._writable()
            self._work.troubles.each(self._place, part, log, lambda one: f"parameter {one.key}")
        for start in range(0, len(tags), _ITEMS_PER_CALL):
            part_of_tags = tags[start : start + _ITEMS_PER_CALL]
            self._writable()
            self._work.troubles.each(
                self._place, part_of_tags, set_tags, lambda one: f"tag {one.key}"
            )

    # What it was measured by.

    def _measured(self, one: Metric) -> Metric:
        """What was logged: in MLflow's databases NaN of a model is 0, while its run's is NaN."""
        if one.value != 0 or not one.run_id:
            return one
        wanted = (one.step, one.timestamp * 1_000)
        try:
            same = {
                point
                for page in self._work.source.history(one.run_id, one.key)
                for point in page
                if point[:2] == wanted
            }
        except MlflowException as error:
            self._work.source.check(error)
            return one
        if same == {points.point(*wanted, math.nan)}:
            one = copying.copy(one)
            one._value = math.nan
        return one

    def _measure(self, here: set[str]) -> None:
        grouped: dict[tuple[str, str, str, str], list[Metric]] = {}
        for one in self._metrics:
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
                self._writable()
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

    def _metrics_here(self, stored: Stored) -> set[str]:
        metrics = stored.metrics
        if stored.has_more_metrics:
            metrics = tuple(
                self._tracking.iterate_logged_model_metrics(
                    logged_model_id=stored.id, page_size=_METRICS_PAGE, include_deleted=True
                )
            )
        return {
            _told(
                one.key, one.value, one.step, one.time_us // 1_000, one.run_id, one.dataset_name,
                one.dataset_digest,
            )
            for one in metrics
        }  # fmt: skip

    def _name(self, one: Metric) -> str:
        dataset = one.dataset_name or ""
        digest = (one.dataset_digest or "") if dataset else ""
        run = self._work.target.known_run(one.run_id or "") or one.run_id or ""
        return _told(one.key, one.value, one.step, one.timestamp, run, dataset, digest)

    def _compare(self, stored: Stored, manifests: Any) -> None:
        model = self._model
        wanted: dict[str, Any] = {
            "name": model.name,
            "type": model.model_type or "",
            "status": str(self._status),
            "status message": model.status_message or "",
            "deleted": self._is_deleted,
            **{f"parameter {key}": str(value) for key, value in model.params.items()},
            **{f"tag {key}": str(value) for key, value in model.tags.items()},
            **{self._name(one): True for one in self._metrics if self._run(one.run_id)},
        }
        if self._run_uuid and stored.source_run_id:
            wanted["run"] = self._run_uuid
        elif self._run_uuid:
            self._work.troubles.note(self._place, "run", "it came over after the model")
        here: dict[str, Any] = {
            "name": stored.name,
            "type": stored.model_type,
            "status": str(stored.status),
            "status message": stored.status_message,
            "deleted": stored.deleted_at is not None,
            **{f"parameter {one.key}": one.value for one in stored.parameters},
            **{f"tag {one.key}": one.value for one in stored.tags if one.key != SOURCE_TAG},
            **dict.fromkeys(self._metrics_here(stored), True),
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


def _is_missing(error: Exception) -> bool:
    return isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST"


def _named(one: LoggedModelSeries) -> str:
    return f"metric {one.series.key if one.series else ''}"


def _series(key: str, metrics: Sequence[Metric]) -> MetricSeries:
    return MetricSeries(
        key=key,
        steps=tuple(one.step for one in metrics),
        times_us=tuple(one.timestamp * 1_000 for one in metrics),
        values=tuple(one.value for one in metrics),
    )


def _told(key: str, value: float, step: int, time: int, run: str, dataset: str, digest: str) -> str:
    on = f" on {dataset} {digest}".rstrip() if dataset else ""
    return f"metric {key} of {value + 0.0!r} at {step}, {time} of {run}{on}"
