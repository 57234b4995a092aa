"""What runs log: points, parameters and tags; and what they logged."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunTag
from mlflow.entities.metric import MetricWithRunId
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.validation import (
    _validate_batch_log_data,
    _validate_batch_log_limits,
    _validate_metric,
    _validate_param,
    _validate_param_keys_unique,
    _validate_run_id,
    _validate_tag,
)
from needletail.errors import CallError
from needletail.tracking import LoggedModelSeries, MetricSeries, Parameter, Tag

from needletail_mlflow import ids
from needletail_mlflow._version import is_at_least
from needletail_mlflow.errors import TRANSLATED, invalid, missing, no_such_model
from needletail_mlflow.telling import told_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from needletail.histories import MetricHistory

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.keeping import Keeping
    from needletail_mlflow.runs import Runs

_PAGE = 1_000
_POINTS_PER_PAGE = 25_000
Point = tuple[int, int, float]
"""Milliseconds since 1970, step, value: MLflow's order of a history."""


class Logged:
    """Points, parameters and tags of runs."""

    def __init__(self, connection: Connection, runs: Runs, keeping: Keeping) -> None:
        self._connection = connection
        self._runs = runs
        self._keeping = keeping

    # What MLflow calls.

    def batch(self, run_id, metrics, params, tags) -> None:
        _validate_run_id(run_id)
        _check(metrics)
        _, params, tags = _validate_batch_log_data((), params, tags)
        _validate_batch_log_limits(metrics, params, tags)
        _validate_param_keys_unique(params)
        with TRANSLATED:
            uuid = self._runs.uuid(run_id)
            self._log(run_id, uuid, metrics, params, tags, _several_differ)

    def metric(self, run_id, metric) -> None:
        # Alone it has no place in a list that a message would name.
        _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        _validate_run_id(run_id)
        with TRANSLATED:
            self._log(run_id, self._runs.uuid(run_id), (metric,), (), (), _several_differ)

    def param(self, run_id, param) -> None:
        param = _validate_param(param.key, param.value)
        with TRANSLATED:
            self._log(run_id, self._runs.uuid(run_id), (), (param,), (), _one_differs)

    def set_tag(self, run_id, tag) -> None:
        tag = _validate_tag(tag.key, tag.value)
        with TRANSLATED:
            self._log(run_id, self._runs.uuid(run_id), (), (), (tag,), _several_differ)

    def delete_tag(self, run_id, key) -> None:
        with TRANSLATED:
            uuid = self._runs.uuid(run_id)
            try:
                if key == MLFLOW_RUN_NAME:
                    self._runs.unname(run_id)
                    return
                if key not in self.tags(uuid):
                    raise missing(f"No tag with name: {key} in run with id {run_id}")
                self._tracking.set_run_tags(run_id=uuid, delete_keys=[key])
            except CallError as error:
                raise self._runs.inactive_or(error, run_id) from error

    def history(self, run_id, key, max_results=None, page_token=None) -> PagedList[Metric]:
        with TRANSLATED:
            uuid = self._runs.uuid(run_id)
            if max_results is None and page_token is None:
                series = self._history(uuid, key)
                points = _points(series.steps, series.times_us, series.values)
                return PagedList(_metrics(key, points), None)
            return self._page(uuid, key, max_results, page_token)

    def bulk(self, run_ids, key, max_results) -> list[MetricWithRunId]:
        found: list[MetricWithRunId] = []
        with TRANSLATED:
            for run_id, series in self._histories(sorted(set(run_ids)), key):
                points = _points(series.steps, series.times_us, series.values)
                points = points[: max_results - len(found)]
                found += [MetricWithRunId(one, run_id) for one in _metrics(key, points)]
                if len(found) >= max_results:
                    break
        return found

    def interval(self, run_ids, key, max_results, start_step, end_step) -> list[MetricWithRunId]:
        if (start_step is None) != (end_step is None):
            raise invalid(
                "Both start_step and end_step must be specified together, "
                "or neither may be specified."
            )
        if not is_at_least(3, 15):
            return self._at_sampled_steps(run_ids, key, max_results, start_step, end_step)
        found: list[MetricWithRunId] = []
        with TRANSLATED:
            for run_id, series in self._histories(run_ids, key, start_step):
                places = _sample(_within(series, end_step), max(1, max_results))
                found += [_point(key, series, place, run_id) for place in places]
        return found

    def at_steps(self, run_id, key, steps, max_results) -> list[MetricWithRunId]:
        with TRANSLATED:
            uuid = self._runs.uuid(run_id)
            series = self._history(uuid, key)
        wanted = set(steps)
        points = [
            (step, time_us // 1_000, value)
            for step, time_us, value in zip(
                series.steps, series.times_us, series.values, strict=True
            )
            if step in wanted
        ][:max_results]
        return [
            MetricWithRunId(Metric(key, told_value(value), time, step), run_id)
            for step, time, value in points
        ]

    def tags(self, uuid: str) -> dict[str, str]:
        """All tags of a run."""
        found = self._tracking.iterate_run_tags(run_id=uuid, page_size=_PAGE)
        return {tag.key: tag.value for tag in found}

    # How it is done.

    @property
    def _tracking(self):
        return self._connection.client.tracking

    def _log(
        self,
        run_id: str,
        uuid: str,
        metrics: Sequence[Metric],
        params: Sequence[Param],
        tags: Sequence[RunTag],
        differs: Callable[[str, Sequence[Param], dict[str, str]], Exception],
    ) -> None:
        wanted = {tag.key: str(tag.value) for tag in tags}
        name = wanted.pop(MLFLOW_RUN_NAME, None)
        try:
            if name:
                self._runs.name(uuid, name)
            if metrics or params or wanted:
                self._keeping.log(
                    uuid,
                    parameters=tuple(
                        Parameter(key=one.key, value=str(one.value)) for one in params
                    ),
                    tags=tuple(Tag(key=key, value=value) for key, value in wanted.items()),
                    series=_series([one for one in metrics if not one.model_id]),
                    model_series=_model_series([one for one in metrics if one.model_id]),
                    # To MLflow it does not matter whether a run has begun, or has ended.
                    any_status=True,
                )
            elif not name:
                self._tracking.get_run(id=uuid)
        except CallError as error:
            if error.reason == "LOGGED_MODEL_NOT_FOUND":
                model_id = ids.model_to_mlflow(error.details.get("logged_model_id", ""))
                raise no_such_model(model_id) from error
            if error.reason == "PARAMETER_DIFFERS":
                raise differs(run_id, params, self._params(uuid)) from error
            raise self._runs.inactive_or(error, run_id) from error

    def _params(self, uuid: str) -> dict[str, str]:
        found = self._tracking.iterate_run_parameters(run_id=uuid, page_size=_PAGE)
        return {one.key: one.value for one in found}

    def _history(self, uuid: str, key: str) -> MetricHistory:
        return self._connection.client.history(uuid, key, include_deleted=True)[uuid, key]

    def _page(self, uuid: str, key: str, max_results, page_token) -> PagedList[Metric]:
        wanted = _POINTS_PER_PAGE if max_results is None else max_results
        if wanted < 1 and not page_token:
            return PagedList([], None)
        points: list[Point] = []
        token = page_token or ""
        while True:
            page = self._tracking.get_metric_history(
                run_id=uuid,
                key=key,
                page_size=max(1, min(_POINTS_PER_PAGE, wanted - len(points))),
                page_token=token,
                include_deleted=True,
            )
            series = page.series
            if series is not None:
                points += _points(series.steps, series.times_us, series.values)
            token = page.next_page_token
            if wanted < 1:
                # Only the token was of interest, which is one.
                return PagedList([], page_token)
            if not token or len(points) >= wanted:
                return PagedList(_metrics(key, points), token or None)

    def _at_sampled_steps(
        self, run_ids, key, max_results, start_step, end_step
    ) -> list[MetricWithRunId]:
        """All points at steps that are the same of every run, as MLflow told before 3.15."""
        with TRANSLATED:
            histories = list(self._histories(run_ids, key))
        steps = sorted({step for _, series in histories for step in series.steps})
        if start_step is None:
            start_step, end_step = 0, steps[-1] if steps else 0
        ends = {step for _, one in histories if len(one) for step in (one.steps[0], one.steps[-1])}
        first, last = bisect.bisect_left(steps, start_step), bisect.bisect_right(steps, end_step)
        count = max(0, last - first)
        if count > max_results:
            part = count / max_results
            places = {first + int(number * part) for number in range(max_results)} | {last - 1}
        else:
            places = set(range(first, last))
        wanted = {steps[place] for place in places}
        wanted |= {step for step in ends if start_step <= step <= end_step}
        return [
            _point(key, series, place, run_id)
            for run_id, series in histories
            for place, step in enumerate(series.steps)
            if step in wanted
        ]

    def _histories(
        self, run_ids: Sequence[str], key: str, from_step: int | None = None
    ) -> Iterable[tuple[str, MetricHistory]]:
        uuids = {run_id: ids.to_uuid(run_id) for run_id in run_ids}
        known = [uuid for uuid in uuids.values() if uuid]
        if not known:
            return []
        found = self._connection.client.history(
            list(dict.fromkeys(known)), key, from_step=from_step, include_deleted=True
        )
        return [(run_id, found[uuid, key]) for run_id, uuid in uuids.items() if uuid]


def _check(metrics: Sequence[Metric]) -> None:
    """MLflow's check of every point; what it finds of one name is true of its next points."""
    known: set[str] = set()
    for index, metric in enumerate(metrics):
        key, value, timestamp, step = metric.key, metric.value, metric.timestamp, metric.step
        is_plain = type(value) is float and type(timestamp) is int and type(step) is int
        if not (is_plain and timestamp >= 0 and key in known):
            _validate_metric(key, value, timestamp, step, path=f"metrics[{index}]")
            known.add(key)


def _series(metrics: Sequence[Metric]) -> tuple[MetricSeries, ...]:
    columns: dict[str, tuple[list[int], list[int], list[float]]] = {}
    for metric in metrics:
        found = columns.get(metric.key)
        if found is None:
            found = columns[metric.key] = ([], [], [])
        found[0].append(metric.step)
        found[1].append(metric.timestamp * 1_000)
        found[2].append(metric.value)
    return tuple(
        MetricSeries(key=key, steps=tuple(steps), times_us=tuple(stamps), values=tuple(values))
        for key, (steps, stamps, values) in columns.items()
    )


def _model_series(metrics: Sequence[Metric]) -> tuple[LoggedModelSeries, ...]:
    # A point may belong to a model, which may have been measured on a dataset.
    owned: dict[tuple[str, str, str], list[Metric]] = {}
    for one in metrics:
        dataset = one.dataset_name or ""
        digest = (one.dataset_digest or "") if dataset else ""
        owned.setdefault((one.model_id, dataset, digest), []).append(one)
    found = []
    for (model_id, dataset, digest), points in owned.items():
        uuid = ids.model_to_uuid(model_id)
        if uuid is None:
            raise no_such_model(model_id)
        found += [
            LoggedModelSeries(
                logged_model_id=uuid, dataset_name=dataset, dataset_digest=digest, series=series
            )
            for series in _series(points)
        ]
    return tuple(found)


def _points(steps: Sequence[int], times_us: Sequence[int], values: Sequence[float]) -> list[Point]:
    points = [
        (time_us // 1_000, step, value)
        for step, time_us, value in zip(steps, times_us, values, strict=True)
    ]
    # They come by step; a run that logs step after step has them by time, too.
    points.sort(key=_place)
    return points


def _place(point: Point) -> tuple[int, int]:
    return point[:2]


def _metrics(key: str, points: list[Point]) -> list[Metric]:
    return [Metric(key, told_value(value), time, step) for time, step, value in points]


def _point(key: str, series: MetricHistory, place: int, run_id: str) -> MetricWithRunId:
    value, time_us = told_value(series.values[place]), series.times_us[place]
    return MetricWithRunId(Metric(key, value, time_us // 1_000, series.steps[place]), run_id)


def _within(series: MetricHistory, end_step: int | None) -> int:
    """How many points there are up to a step: they come by step."""
    if end_step is None:
        return len(series)
    return bisect.bisect_right(series.steps, end_step)


def _sample(total: int, max_results: int) -> list[int]:
    """Places of points in equal parts of a history: the first of each, and the very last."""
    if total <= max_results:
        return list(range(total))
    size, larger = divmod(total, max_results)
    places = [number * size + min(number, larger) for number in range(max_results)]
    places[-1] = total - 1
    return places


def _one_differs(run_id: str, params: Sequence[Param], stored: dict[str, str]) -> Exception:
    (param,) = params
    return invalid(
        f"Changing param values is not allowed. Param with key='{param.key}' was already"
        f" logged with value='{stored.get(param.key)}' for run ID='{run_id}'. Attempted logging"
        f" new value '{param.value}'."
    )


def _several_differ(run_id: str, params: Sequence[Param], stored: dict[str, str]) -> Exception:
    differing = [
        {"key": one.key, "old_value": stored[one.key], "new_value": one.value}
        for one in params
        if one.key in stored and stored[one.key] != str(one.value)
    ]
    return invalid(
        "Changing param values is not allowed. Params were already"
        f" logged='{differing}' for run ID='{run_id}'."
    )
