"""Traces in the tracking store, against a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import (
    AssessmentSource,
    Expectation,
    Feedback,
    SpanType,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow.entities import Trace

    from needletail_mlflow.tracking_store import TrackingStore

START = 1_700_000_000_000
HUMAN = AssessmentSource("HUMAN", "ada")


@pytest.fixture
def tracked(uri: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow itself, at the test's project."""
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("questions")
    return MlflowClient()


@mlflow.trace(span_type=SpanType.RETRIEVER, attributes={"index": "small"})
def retrieve(question: str) -> list[str]:
    return [question.upper()]


@mlflow.trace(span_type=SpanType.CHAIN)
def answer(question: str) -> str:
    if not question:
        raise ValueError("nothing was asked")
    mlflow.update_current_trace(tags={"team": "search"}, metadata={"mlflow.trace.session": "s-1"})
    return retrieve(question)[0]


def last_trace() -> Trace:
    trace_id = mlflow.get_last_active_trace_id()
    assert trace_id
    found = mlflow.get_trace(trace_id)
    assert found
    return found


def start(store: TrackingStore, trace_id: str, **fields: Any) -> TraceInfo:
    return store.start_trace(
        TraceInfo(
            trace_id=trace_id,
            trace_location=TraceLocation.from_experiment_id("0"),
            request_time=START,
            state=TraceState.OK,
            **fields,
        )
    )


def found(store: TrackingStore, text: str) -> list[str]:
    infos, _ = store.search_traces(["0"], text, order_by=["request_id"])
    return [info.trace_id for info in infos]


def test_a_traced_function_is_kept_with_its_spans(tracked: MlflowClient) -> None:
    del tracked
    assert answer("why") == "WHY"
    trace = last_trace()
    assert (trace.info.state, trace.info.tags["team"]) == (TraceState.OK, "search")
    assert trace.info.trace_metadata["mlflow.trace.session"] == "s-1"
    assert trace.info.request_preview == '{"question": "why"}'
    root, step = trace.data.spans
    assert (root.name, root.parent_id, root.inputs) == ("answer", None, {"question": "why"})
    assert (step.name, step.parent_id, step.outputs) == ("retrieve", root.span_id, ["WHY"])
    assert step.attributes["index"] == "small"


def test_an_error_is_one_of_the_trace(tracked: MlflowClient) -> None:
    del tracked
    with pytest.raises(ValueError, match="nothing was asked"):
        answer("")
    trace = last_trace()
    assert trace.info.state == TraceState.ERROR
    assert [event.name for event in trace.data.spans[0].events] == ["exception"]


def test_traces_of_a_run_are_found_by_it(tracked: MlflowClient) -> None:
    answer("before")
    other = mlflow.get_last_active_trace_id()
    with mlflow.start_run() as run:
        answer("within")
    own = mlflow.get_last_active_trace_id()
    ids = {
        one.info.trace_id
        for one in mlflow.search_traces(run_id=run.info.run_id, return_type="list")
    }
    assert ids == {own}
    tracked.link_traces_to_run([other], run.info.run_id)
    found = mlflow.search_traces(run_id=run.info.run_id, return_type="list")
    assert {one.info.trace_id for one in found} == {own, other}
    assert all(one.data.spans for one in found)


def test_tokens_of_the_steps_are_added_up(tracked: MlflowClient) -> None:
    del tracked
    with mlflow.start_span("root"):
        for count in (3, 4):
            with mlflow.start_span("step", span_type=SpanType.LLM) as span:
                usage = {"input_tokens": count, "output_tokens": 1, "total_tokens": count + 1}
                span.set_attribute("mlflow.chat.tokenUsage", usage)
    assert last_trace().info.token_usage == {
        "input_tokens": 7, "output_tokens": 2, "total_tokens": 9
    }  # fmt: skip


def test_a_trace_tells_what_it_was_told(store: TrackingStore) -> None:
    told = start(
        store, "tr-1", tags={"k": "v"}, trace_metadata={"m": "n"}, request_preview="why",
        response_preview="so", client_request_id="c-1", execution_duration=12,
    )  # fmt: skip
    read = store.get_trace_info("tr-1")
    assert read == told
    assert (read.tags["k"], read.trace_metadata["m"]) == ("v", "n")
    assert (read.experiment_id, read.client_request_id) == ("0", "c-1")
    assert (read.request_preview, read.response_preview, read.execution_duration) == (
        "why",
        "so",
        12,
    )
    with pytest.raises(MlflowException, match="Trace with ID 'tr-2' not found") as caught:
        store.get_trace_info("tr-2")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_trace_without_all_its_spans_is_partial(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(store, "tr-1", trace_metadata={"mlflow.trace.sizeStats": json.dumps({"num_spans": 2})})
    store.set_trace_tag("tr-1", "mlflow.trace.spansLocation", "TRACKING_STORE")
    waits: list[int] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with pytest.raises(MlflowException, match="not fully exported yet"):
        store.get_trace("tr-1")
    assert waits == [1, 2]
    assert store.get_trace("tr-1", allow_partial=True).data.spans == []
    assert store.batch_get_traces(["tr-1"]) == []
    with pytest.raises(MlflowException, match="Trace with ID tr-9 is not found"):
        store.get_trace("tr-9")


def test_no_trace_has_no_id(tracked: MlflowClient, store: TrackingStore) -> None:
    # As where `get_last_active_trace_id()` has none to tell.
    assert mlflow.get_trace(None) is None
    for trace_id in (None, "", "tr-none"):
        with pytest.raises(MlflowException, match=r"Trace with ID .* not found") as caught:
            store.get_trace_info(trace_id)
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
        assert store.batch_get_traces([trace_id]) == []


def test_tags_are_set_and_taken_away(store: TrackingStore) -> None:
    start(store, "tr-1")
    store.set_trace_tag("tr-1", "team", "search")
    assert found(store, "tags.team = 'search'") == ["tr-1"]
    store.delete_trace_tag("tr-1", "team")
    with pytest.raises(MlflowException, match="No trace tag with key 'team'"):
        store.delete_trace_tag("tr-1", "team")
    with pytest.raises(MlflowException, match="not found"):
        store.set_trace_tag("tr-9", "team", "search")


def test_searches_read_mlflows_filters(store: TrackingStore) -> None:
    start(store, "tr-1", tags={"mlflow.traceName": "chat_a"}, execution_duration=5)
    start(store, "tr-2", tags={"mlflow.traceName": "chatXa", "a.b": "c"})
    assert found(store, "name LIKE 'chat%' AND execution_time > 4") == ["tr-1"]
    assert found(store, "tags.`a.b` IS NOT NULL") == ["tr-2"]
    assert found(store, "name RLIKE '^chat_'") == ["tr-1"]
    assert found(store, "name RLIKE 'ch.t_a'") == ["tr-1"]
    assert found(store, "tags.`a.b` RLIKE '^.*c' AND name RLIKE 'X.$'") == ["tr-2"]
    assert found(store, "name RLIKE 'a$' AND trace.status = 'OK'") == ["tr-1", "tr-2"]
    assert found(store, "status = 'LOST'") == []
    assert found(store, "request_id IN ('tr-2', 'tr-3')") == ["tr-2"]
    first, token = store.search_traces(["0"], max_results=1, order_by=["request_id DESC"])
    rest, last = store.search_traces(
        ["0"], max_results=1, order_by=["request_id DESC"], page_token=token
    )
    assert ([one.trace_id for one in first + rest], last) == (["tr-2", "tr-1"], None)
    with pytest.raises(MlflowException, match="regular expression of the filter cannot be read"):
        found(store, "name RLIKE '(a'")
    with pytest.raises(MlflowException, match="positive integer"):
        store.search_traces(["0"], max_results=0)


def test_spans_are_searched(tracked: MlflowClient) -> None:
    answer("why")
    experiment = tracked.get_experiment_by_name("questions")
    assert experiment
    for text, count in (
        ("span.type = 'RETRIEVER' AND span.name = 'retrieve'", 1),
        ("span.type = 'RETRIEVER' AND span.name = 'answer'", 0),
        ("span.attributes.index LIKE 'sm%'", 1),
        ("trace.text LIKE '%WHY%'", 1),
    ):
        assert len(tracked.search_traces([experiment.experiment_id], text)) == count, text


def test_traces_are_deleted_by_id_and_by_age(store: TrackingStore) -> None:
    for place in range(4):
        start(store, f"tr-{place}")
    assert store.delete_traces("0", trace_ids=["tr-0", "tr-9"]) == 1
    assert store.delete_traces("0", max_timestamp_millis=START, max_traces=2) == 2
    assert found(store, "") == ["tr-3"]
    assert store.delete_traces("0", max_timestamp_millis=START - 1) == 0
    with pytest.raises(MlflowException, match="must be specified"):
        store.delete_traces("0")


def test_assessments_live_as_with_mlflow(store: TrackingStore) -> None:
    start(store, "tr-1")
    made = store.create_assessment(
        Feedback("right", value=0.25, source=HUMAN, trace_id="tr-1", metadata={"a": "b"})
    )
    assert store.get_assessment("tr-1", made.assessment_id) == made
    expected = store.create_assessment(
        Expectation("truth", value=["x"], source=HUMAN, trace_id="tr-1")
    )
    assert (expected.value, expected.valid) == (["x"], True)
    better = Feedback(
        "right", value=True, source=HUMAN, trace_id="tr-1", overrides=made.assessment_id
    )
    over = store.create_assessment(better)
    assert not store.get_assessment("tr-1", made.assessment_id).valid
    assert found(store, "feedback.right = 'true'") == ["tr-1"]
    assert found(store, "feedback.right < 1") == []
    store.delete_assessment("tr-1", over.assessment_id)
    assert found(store, "feedback.right < 1") == ["tr-1"]
    changed = store.update_assessment(
        "tr-1", made.assessment_id, rationale="so", metadata={"c": "d"}
    )
    assert (changed.value, changed.rationale) == (0.25, "so")
    assert changed.metadata == {"a": "b", "c": "d"}
    told = store.get_trace_info("tr-1").assessments
    assert {one.name for one in told} == {"right", "truth"}
    with pytest.raises(MlflowException, match="on a Feedback assessment"):
        store.update_assessment("tr-1", made.assessment_id, expectation=expected.expectation)
    with pytest.raises(MlflowException, match="Assessment with ID 'a-9' not found for trace"):
        store.get_assessment("tr-1", "a-9")


def test_an_assessment_has_the_run_that_its_metadata_names(store: TrackingStore) -> None:
    start(store, "tr-1")
    feedback = Feedback("right", value=1, source=HUMAN, trace_id="tr-1")
    # As an evaluation names its run.
    feedback.metadata = {"mlflow.assessment.sourceRunId": "f" * 32}
    made = store.create_assessment(feedback)
    assert store.get_assessment("tr-1", made.assessment_id).run_id == "f" * 32
    assert [one.run_id for one in store.get_trace_info("tr-1").assessments] == ["f" * 32]


def test_a_trace_comes_with_its_assessments_also_twice(store: TrackingStore) -> None:
    feedback = Feedback("right", value=1, source=HUMAN)
    feedback.assessment_id = "a-1"
    start(store, "tr-1", assessments=[feedback])
    feedback.value = 2
    told = start(store, "tr-1", assessments=[feedback])
    assert [(one.assessment_id, one.value) for one in told.assessments] == [("a-1", 2)]


def test_assessments_of_one_time_are_told_as_they_were_made(store: TrackingStore) -> None:
    info = TraceInfo("tr-1", TraceLocation.from_experiment_id("0"), START, TraceState.OK)
    store.start_trace(info)
    names = [f"q{number}" for number in range(20)]
    for name in names:
        store.create_assessment(Feedback(name=name, value=1, trace_id="tr-1", create_time_ms=START))
    assert [one.name for one in store.get_trace_info("tr-1").assessments] == names


def test_links_to_runs_have_mlflows_bounds(store: TrackingStore) -> None:
    run_id = store.create_run("0", "ada", START, [], "first").info.run_id
    start(store, "tr-1")
    store.link_traces_to_run(["tr-1", "tr-9"], run_id)
    assert found(store, f"run_id = '{run_id}'") == ["tr-1"]
    store.unlink_traces_from_run(["tr-1"], run_id)
    assert found(store, f"run_id = '{run_id}'") == []
    with pytest.raises(MlflowException, match="Cannot link more than 100 traces"):
        store.link_traces_to_run([f"tr-{place}" for place in range(101)], run_id)
    with pytest.raises(MlflowException, match="Run with id=") as caught:
        store.link_traces_to_run(["tr-1"], "0" * 32)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_deleted_experiment_takes_no_traces(store: TrackingStore) -> None:
    store.get_experiment("0")
    store.delete_experiment("0")
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        start(store, "tr-1")


def test_many_and_large_spans_go_in_several_calls(tracked: MlflowClient) -> None:
    del tracked
    with mlflow.start_span("root") as root:
        for place in range(1_100):
            mlflow.start_span_no_context(f"s{place}", parent_span=root).end()
        for _ in range(5):
            mlflow.start_span_no_context("large", parent_span=root, inputs="x" * 700_000).end()
    assert len(last_trace().data.spans) == 1_106


def test_bytes_that_no_text_has_do_not_keep_a_trace_away(
    tracked: MlflowClient, store: TrackingStore
) -> None:
    with mlflow.start_span("read") as span:
        span.set_inputs("a\0b")
        span.set_outputs("\0")
    trace = last_trace()
    assert (trace.data.spans[0].inputs, trace.data.spans[0].outputs) == ("a\0b", "\0")
    info = TraceInfo(
        trace_id="tr-1", trace_location=TraceLocation.from_experiment_id("0"), request_time=START,
        state=TraceState.OK, request_preview="a\0b", response_preview="\0",
    )  # fmt: skip
    for told in (store.start_trace(info), store.get_trace_info("tr-1"), store.start_trace(info)):
        assert (told.request_preview, told.response_preview) == ("a\ufffdb", "\ufffd")
