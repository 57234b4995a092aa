"""Evaluation datasets and numbers of traces, through MLflow's own clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
import pytest
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from needletail_mlflow.tracking_store import TrackingStore


def test_records_are_merged_and_read_as_a_frame(uri: str) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("evaluation")
    dataset = mlflow.genai.datasets.create_dataset(name="qa", tags={"team": "a"})
    dataset.merge_records([
        {"inputs": {"q": "one"}, "expectations": {"a": 1}},
        {"inputs": {"q": "two"}},
        {"inputs": {"q": "one"}, "expectations": {"b": 2}},
    ])  # fmt: skip
    found = mlflow.genai.datasets.get_dataset(dataset_id=dataset.dataset_id)
    frame = found.to_df()
    assert list(frame["inputs"]) == [{"q": "one"}, {"q": "two"}]
    assert frame["expectations"][0] == {"a": 1, "b": 2}
    (again,) = mlflow.genai.datasets.search_datasets(filter_string="tags.team = 'a'")
    assert again.dataset_id == dataset.dataset_id
    mlflow.genai.datasets.delete_dataset(dataset_id=dataset.dataset_id)
    with pytest.raises(MlflowException, match="not found"):
        mlflow.genai.datasets.get_dataset(dataset_id=dataset.dataset_id)


def test_what_is_no_json_is_refused(store: TrackingStore) -> None:
    dataset = store.create_dataset("qa").dataset_id
    with pytest.raises(MlflowException, match="no JSON"):
        store.upsert_dataset_records(dataset, [{"inputs": {"a": float("nan")}}])
    assert store._load_dataset_records(dataset) == ([], None)


def test_traces_are_measured_correlated_and_of_sessions(store: TrackingStore) -> None:
    for number in range(4):
        store.start_trace(TraceInfo(
            trace_id=f"tr-{number}", trace_location=TraceLocation.from_experiment_id("0"),
            request_time=number * 1_000, execution_duration=10 * (number + 1),
            state=TraceState.ERROR if number < 2 else TraceState.OK,
            tags={"slow": str(number > 0)},
            trace_metadata={"mlflow.trace.session": f"s{number % 2}"},
        ))  # fmt: skip
    (point,) = store.query_trace_metrics(
        ["0"], MetricViewType.TRACES, "latency",
        [MetricAggregation(AggregationType.AVG), MetricAggregation(AggregationType.PERCENTILE, 50)],
        filters=["trace.status = 'OK'"],
    )  # fmt: skip
    assert point.values == {"AVG": 35.0, "P50": 35.0}
    found = store.calculate_trace_filter_correlation(
        ["0"], "status = 'ERROR'", "tags.slow = 'True'"
    )
    counts = (found.filter1_count, found.filter2_count, found.joint_count, found.total_count)
    assert counts == (2, 3, 1, 4)
    sessions = store.find_completed_sessions("0", 2_500, 5_000)
    assert [one.session_id for one in sessions] == ["s1"]
