"""Traces counted and measured: charts over them, sessions that are complete, correlations."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from mlflow.entities.trace_metrics import AggregationType, MetricDataPoint, MetricViewType
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracing.constant import TraceMetadataKey
from mlflow.utils.search_utils import SearchTraceMetricsUtils
from needletail.tracing import TraceSubject

from needletail_mlflow.errors import TRANSLATED, invalid
from needletail_mlflow.searching import quoted
from needletail_mlflow.trace_searching import trace_filter

if TYPE_CHECKING:
    from needletail.tracing import TraceMeasurement

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_SUBJECTS = {
    MetricViewType.TRACES: TraceSubject.TRACES,
    MetricViewType.SPANS: TraceSubject.SPANS,
    MetricViewType.ASSESSMENTS: TraceSubject.ASSESSMENTS,
}
_VIEWS = {"span": MetricViewType.SPANS, "assessment": MetricViewType.ASSESSMENTS}
_MEASURES = {
    "trace_count": "count", "session_count": "sessions", "latency": "duration",
    "span_count": "count", "assessment_count": "count", "assessment_value": "value",
}  # fmt: skip
_GROUPS = {
    "trace_name": "name", "trace_status": "status", "span_name": "name", "span_type": "type",
    "span_status": "status", "span_model_name": "model", "span_model_provider": "provider",
    "assessment_name": "name", "assessment_value": "value",
}  # fmt: skip
_STATES = {"UNSPECIFIED": "STATE_UNSPECIFIED"}
_MOST = 10_000


class TraceMetrics:
    """Numbers of the traces of a project."""

    def __init__(self, connection: Connection, experiments: Experiments) -> None:
        self._connection = connection
        self._experiments = experiments

    # What MLflow calls.

    def query(
        self, experiment_ids, view_type, metric_name, aggregations, dimensions, filters,
        time_interval_seconds, start_time_ms, end_time_ms, max_results,
    ):  # fmt: skip
        # It brings MLflow's database with it, which needs what loads this module.
        from mlflow.store.tracking.utils.sql_trace_metrics_utils import (  # noqa: PLC0415
            validate_query_trace_metrics_params,
        )

        validate_query_trace_metrics_params(view_type, metric_name, aggregations, dimensions)
        if time_interval_seconds and (start_time_ms is None or end_time_ms is None):
            raise invalid(
                "start_time_ms and end_time_ms are required if time_interval_seconds is set"
            )
        groups = list(dimensions or [])
        condition, narrowed = _filters(filters, view_type)
        uuids = self._uuids(experiment_ids)
        if not uuids:
            return PagedList([], None)
        percentiles = [
            one.percentile_value
            for one in aggregations
            if one.aggregation_type == AggregationType.PERCENTILE
        ]
        with TRANSLATED:
            answer = self._tracing.measure_traces(
                project_id=self._connection.project_id,
                experiment_ids=uuids,
                filter=condition,
                subject=_SUBJECTS[view_type],
                measure=_measure(metric_name),
                group_by=[_GROUPS[one] for one in groups],
                interval_ms=(time_interval_seconds or 0) * 1_000,
                start_ms=start_time_ms,
                end_ms=end_time_ms,
                percentiles=percentiles,
                group_count_max=min(max_results, _MOST),
                **narrowed,
            )
        points = [
            MetricDataPoint(
                metric_name=metric_name,
                dimensions=_dimensions(one, groups, bool(time_interval_seconds)),
                values=_values(one, aggregations),
            )
            for one in answer.measurements
        ]
        return PagedList([one for one in points if one.values], None)

    def sessions(self, experiment_id, earliest, latest, max_results, filter_string):
        # It is there only where MLflow's judges are.
        from mlflow.genai.scorers.online.entities import CompletedSession  # noqa: PLC0415

        uuid = self._experiments.uuid(experiment_id)
        if not uuid or max_results == 0:
            return []
        with TRANSLATED:
            found = self._tracing.list_trace_sessions(
                project_id=self._connection.project_id,
                experiment_id=uuid,
                last_time_ms_min=earliest,
                last_time_ms_max=latest,
                filter=trace_filter(filter_string) if filter_string else "",
                count_max=min(max_results or _MOST, _MOST),
            )
        return [CompletedSession(one.session_id, one.first_time_ms, one.last_time_ms)
                for one in found.sessions]  # fmt: skip

    def correlation(self, experiment_ids, first, second, base):
        from mlflow.store.analytics import calculate_npmi_from_counts  # noqa: PLC0415
        from mlflow.tracing.analysis import TraceFilterCorrelationResult  # noqa: PLC0415

        uuids = self._uuids(experiment_ids)
        both = [" AND ".join(filter(None, parts)) for parts in (
            (base, first), (base, second), (base, first, second), (base,),
        )]  # fmt: skip
        counts = [self._count(uuids, one) for one in both]
        result = calculate_npmi_from_counts(counts[2], counts[0], counts[1], counts[3])
        return TraceFilterCorrelationResult(
            npmi=result.npmi,
            npmi_smoothed=result.npmi_smoothed,
            filter1_count=counts[0],
            filter2_count=counts[1],
            joint_count=counts[2],
            total_count=counts[3],
        )

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _uuids(self, experiment_ids) -> list[str]:
        found = [self._experiments.uuid(one) for one in experiment_ids or ()]
        return [one for one in dict.fromkeys(found) if one]

    def _count(self, uuids: list[str], condition: str) -> int:
        if not uuids:
            return 0
        with TRANSLATED:
            return self._tracing.count_traces(
                project_id=self._connection.project_id,
                experiment_ids=uuids,
                filter=trace_filter(condition) if condition else "",
            ).count


def _measure(metric_name: str) -> str:
    if metric_name in _MEASURES:
        return _MEASURES[metric_name]
    return f"{'cost' if metric_name.endswith('_cost') else 'tokens'}.{metric_name}"


def _filters(filters, view_type) -> tuple[str, dict[str, str]]:
    """A filter of traces, and what narrows spans or assessments down."""
    conditions, narrowed = [], {}
    for text in filters or ():
        one = SearchTraceMetricsUtils.parse_search_filter(text)
        if one.view_type == "trace":
            conditions.append(_condition(one))
            continue
        if _VIEWS[one.view_type] != view_type:
            raise invalid(
                f"Filtering by {one.view_type} is only supported for {_VIEWS[one.view_type]} view "
                f"type, got {view_type}"
            )
        narrowed[one.entity] = one.value
    return " AND ".join(conditions), narrowed


def _condition(one: Any) -> str:
    value = quoted(one.value)
    if one.entity == "status":
        return f"status = {value}"
    if one.entity == "metadata" and one.key == TraceMetadataKey.SOURCE_RUN:
        return f"run_id = {value}"
    name = one.key.replace("`", "``")
    return f"{'tags' if one.entity == 'tag' else 'metadata'}.`{name}` = {value}"


def _dimensions(one: TraceMeasurement, groups: list[str], has_time: bool) -> dict[str, str]:
    told: dict[str, str] = {}
    if has_time:
        moment = datetime.fromtimestamp(one.interval_start_ms / 1_000, tz=timezone.utc)
        told["time_bucket"] = moment.isoformat()
    for name, value in zip(groups, one.groups, strict=True):
        told[name] = _STATES.get(value, value) if name == "trace_status" else value
    return told


def _values(one: TraceMeasurement, aggregations) -> dict[str, float]:
    percentiles = iter(one.percentiles)
    simple = {
        AggregationType.COUNT: one.count, AggregationType.SUM: one.sum,
        AggregationType.AVG: one.mean, AggregationType.MIN: one.least,
        AggregationType.MAX: one.greatest,
    }  # fmt: skip
    values: dict[str, Any] = {}
    for wanted in aggregations:
        kind = wanted.aggregation_type
        is_rank = kind == AggregationType.PERCENTILE
        values[str(wanted)] = next(percentiles, None) if is_rank else simple[kind]
    return {name: value for name, value in values.items() if value is not None}
