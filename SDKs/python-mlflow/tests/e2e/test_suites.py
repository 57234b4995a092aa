"""What MLflow's own suites hold a store to, in a few words each."""

from __future__ import annotations

import json
import math

import pytest
from mlflow.entities import (
    AssessmentSource,
    AssessmentSourceType,
    ExperimentTag,
    Feedback,
    Metric,
    RunStatus,
    RunTag,
    Span,
    TraceInfo,
    TraceState,
    ViewType,
)
from mlflow.entities.assessment import FeedbackValue
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_status import TraceStatus
from mlflow.exceptions import MlflowException, MlflowTracingException
from mlflow.tracing.constant import SpanAttributeKey, TraceMetadataKey
from opentelemetry import trace as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from needletail_mlflow import metrics, traces
from needletail_mlflow.registry_store import RegistryStore
from needletail_mlflow.tracking_store import TrackingStore

START = 1_700_000_000_000
NAME, LOCATION = "mlflow.runName", "mlflow.artifactLocation"
PLACE = "mlflow.trace.spansLocation"


@pytest.fixture
def run_id(store: TrackingStore) -> str:
    return store.create_run("0", "ada", START, [], "first").info.run_id


def make_trace(store: TrackingStore, trace_id: str) -> TraceInfo:
    location = TraceLocation.from_experiment_id("0")
    return store.start_trace(TraceInfo(trace_id, location, START, TraceState.OK, tags={"a": "b"}))


def make_span(trace_id: str, number: int, **attributes: object) -> Span:
    context = otel.SpanContext(7, number, is_remote=False)
    told = {SpanAttributeKey.REQUEST_ID: trace_id, **attributes}
    span = ReadableSpan(
        name=f"s{number}", context=context, resource=Resource.get_empty(),
        start_time=START * 1_000_000, end_time=START * 1_000_000 + 5,
        attributes={key: json.dumps(value) for key, value in told.items()},
    )  # fmt: skip
    return Span(span)


@pytest.mark.parametrize("status", ["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"])
@pytest.mark.parametrize("end", [START + 5, START - 5, -123])
def test_an_end_is_told_as_it_was_given(
    store: TrackingStore, run_id: str, status: str, end: int
) -> None:
    info = store.update_run_info(run_id, RunStatus.from_string(status), end, None)
    assert (info.status, info.end_time) == (status, end)
    found = store.get_run(run_id)
    assert (found.info.end_time, found.data.tags) == (end, {NAME: "first"})


def test_an_end_alone_is_of_the_run_as_it_is(store: TrackingStore, run_id: str) -> None:
    assert store.update_run_info(run_id, None, START + 1, None).end_time == START + 1
    assert store.get_run(run_id).info.status == "RUNNING"
    store.update_run_info(run_id, RunStatus.FINISHED, START + 2, None)
    assert store.update_run_info(run_id, None, None, "second").end_time == START + 2
    info = store.update_run_info(run_id, None, START + 3, "third")
    assert (info.status, info.end_time, info.run_name) == ("FINISHED", START + 3, "third")


def test_the_tag_of_a_name_goes_and_the_name_stays(store: TrackingStore, run_id: str) -> None:
    store.delete_tag(run_id, NAME)
    run = store.get_run(run_id)
    assert (run.info.run_name, run.data.tags) == ("first", {})
    store.set_tag(run_id, RunTag(NAME, "first"))
    assert store.get_run(run_id).data.tags == {NAME: "first"}
    store.delete_tag(run_id, NAME)
    store.update_run_info(run_id, None, None, "second")
    assert store.get_run(run_id).data.tags == {NAME: "second"}


def test_runs_are_found_by_where_their_artifacts_are(store: TrackingStore) -> None:
    runs = [store.create_run("0", "ada", START + n, [], f"r{n}") for n in range(7)]
    ids, uris = ([getattr(one.info, key) for one in runs] for key in ("run_id", "artifact_uri"))

    def found(text: str, most: int = 100, token: str | None = None):
        return store.search_runs(["0"], text, ViewType.ALL, most, ["start_time ASC"], token)

    def named(text: str) -> list[str]:
        return [one.info.run_id for one in found(text)]

    assert named(f"artifact_uri = '{uris[3]}'") == [ids[3]]
    assert named(f"attributes.artifact_uri != '{uris[3]}'") == [*ids[:3], *ids[4:]]
    assert named(f"artifact_uri = '{uris[3].upper()}'") == []
    assert named(f"artifact_uri ILIKE '{uris[3].upper()}'") == [ids[3]]
    assert named(f"artifact_uri = '{uris[3]}' AND attributes.run_name = 'r4'") == []
    # Pages end at the last one that is wanted, and not where the server's would.
    text, token, pages = f"artifact_uri != '{uris[1]}'", None, []
    while not pages or token:
        page = found(text, 2, token)
        pages.append([one.info.run_id for one in page])
        token = page.token
    assert pages == [[ids[0], ids[2]], ids[3:5], ids[5:]]


def test_a_sample_is_what_this_mlflow_tells(
    store: TrackingStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = store.create_run("0", "ada", START, [], "other").info.run_id
    for run, count in ((run_id, 10), (other, 20)):
        store.log_batch(run, [Metric("loss", 1.0, START, step) for step in range(count)], [], [])

    def steps(*of: str, most: int = 5, first: int | None = None, last: int | None = None):
        points = store.get_metric_history_bulk_interval(list(of), "loss", most, first, last)
        return [[one.step for one in points if one.run_id == run] for run in of]

    monkeypatch.setattr(metrics, "is_at_least", lambda *_: True)
    assert steps(run_id) == [[0, 2, 4, 6, 9]]
    monkeypatch.setattr(metrics, "is_at_least", lambda *_: False)
    assert steps(run_id) == [[0, 2, 4, 6, 8, 9]]
    assert steps(run_id, first=0, last=4) == [[0, 1, 2, 3, 4]]
    assert steps(run_id, first=50, last=60) == [[]]
    both = [0, 4, 8, 9, 12, 16, 19]
    assert steps(run_id, other) == [[step for step in both if step < 10], both]


def test_a_page_of_nothing_checks_its_token(store: TrackingStore, run_id: str) -> None:
    store.log_metric(run_id, Metric("loss", 1.0, START, 0))
    assert list(store.get_metric_history(run_id, "loss", 0, None)) == []
    with pytest.raises(MlflowException, match="Invalid page token"):
        store.get_metric_history(run_id, "loss", 0, "invalid_token")


def test_an_id_with_a_sign_is_one_of_no_experiment(store: TrackingStore) -> None:
    with pytest.raises(MlflowException, match="No Experiment with id=-1337 exists") as caught:
        store.set_experiment_tag("-1337", ExperimentTag("a", "b"))
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_trace_is_without_spans_until_they_come(store: TrackingStore) -> None:
    assert PLACE not in make_trace(store, "tr-1").tags
    assert PLACE not in store.get_trace_info("tr-1").tags
    with pytest.raises(MlflowTracingException, match="not stored in tracking store"):
        store.batch_get_traces(["tr-1"])
    store.log_spans("0", [make_span("tr-1", 1)])
    assert store.get_trace_info("tr-1").tags[PLACE] == "TRACKING_STORE"
    (trace,) = store.batch_get_traces(["tr-1"])
    assert [one.name for one in trace.data.spans] == ["s1"]


def test_a_trace_that_is_told_after_its_spans_keeps_them(store: TrackingStore) -> None:
    store.log_spans("0", [make_span("tr-1", 1)])
    told = make_trace(store, "tr-1")
    assert (told.tags[PLACE], told.tags["a"]) == ("TRACKING_STORE", "b")
    assert len(store.batch_get_traces(["tr-1"])[0].data.spans) == 1


def test_the_place_of_a_trace_can_be_taken_away(store: TrackingStore) -> None:
    make_trace(store, "tr-1")
    store.delete_trace_tag("tr-1", LOCATION)
    assert store.get_trace_info("tr-1").tags == {"a": "b"}
    with pytest.raises(MlflowException, match=f"No trace tag with key '{LOCATION}'"):
        store.delete_trace_tag("tr-1", LOCATION)


def test_spans_of_two_traces_go_together_where_mlflow_lets_them(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [make_span("tr-1", 1), make_span("tr-2", 2)]
    monkeypatch.setattr(traces, "is_at_least", lambda *_: False)
    with pytest.raises(MlflowException, match="All spans must belong to the same trace"):
        store.log_spans("0", several)
    monkeypatch.setattr(traces, "is_at_least", lambda *_: True)
    store.log_spans("0", several)
    assert len(store.batch_get_traces(["tr-1", "tr-2"])) == 2


def test_tokens_and_costs_are_those_of_all_calls(store: TrackingStore) -> None:
    for number in (1, 2):
        usage = {"input_tokens": 100 * number, "output_tokens": 5, "total_tokens": 105}
        cost = {"input_cost": 0.5, "output_cost": 0.25, "total_cost": 0.75}
        store.log_spans(
            "0",
            [
                make_span(
                    "tr-1", number, **{"mlflow.chat.tokenUsage": usage, "mlflow.llm.cost": cost}
                )
            ],
        )
    metadata = store.get_trace_info("tr-1").trace_metadata
    assert json.loads(metadata["mlflow.trace.tokenUsage"]) == {
        "input_tokens": 300, "output_tokens": 10, "total_tokens": 210,
    }  # fmt: skip
    assert json.loads(metadata["mlflow.trace.cost"])["total_cost"] == 1.5


def test_clients_of_mlflow_2_trace_too(store: TrackingStore) -> None:
    started = store.deprecated_start_trace_v2("0", START, {"m": "1", "n": "2"}, {"a": "b"})
    assert (started.timestamp_ms, started.execution_time_ms) == (START, None)
    assert started.status == TraceStatus.IN_PROGRESS
    assert started.request_metadata == {"m": "1", "n": "2"}
    assert started.tags.keys() == {"a", LOCATION}
    ended = store.deprecated_end_trace_v2(
        started.request_id, START + 7, TraceStatus.OK, {"m": "3", "o": "4"}, {"c": "d"}
    )
    assert (ended.execution_time_ms, ended.status) == (7, TraceStatus.OK)
    assert ended.request_metadata == {"m": "3", "n": "2", "o": "4"}
    assert ended.tags == {**started.tags, "c": "d"}
    assert store.get_trace_info(started.request_id) == ended.to_v3()


def test_an_experiments_datasets_are_found_by_its_id_alone(store: TrackingStore) -> None:
    made = store.create_experiment("digits")
    dataset = store.create_dataset("questions", {}, [made])
    other = store.create_dataset("answers", {}, ["0"])
    for given, wanted in (
        ([made], [dataset]), (made, [dataset]), (list(made), [dataset]), (["0"], [other]),
        (["0", made], [other, dataset]), (None, [other, dataset]),
    ):  # fmt: skip
        found = store.search_datasets(given)
        assert {one.dataset_id for one in found} == {one.dataset_id for one in wanted}


def test_latest_versions_of_a_search_are_whole(uri: str) -> None:
    registry = RegistryStore(uri)
    for name in ("it's", "other"):
        registry.create_registered_model(name)
        for number in range(2):
            version = registry.create_model_version(name, "s3://a", description=f"{number}" * 3)
        registry.set_registered_model_alias(name, "best", version.version)
        registry.set_model_version_tag(name, version.version, ModelVersionTag("a", name))
    for model in registry.search_registered_models():
        assert model.latest_versions == registry.get_registered_model(model.name).latest_versions
        (latest,) = model.latest_versions
        assert (latest.tags, latest.aliases) == ({"a": model.name}, ["best"])


def test_an_empty_description_is_not_none(uri: str) -> None:
    registry = RegistryStore(uri)
    registry.create_registered_model("m")
    for given in ("", None, "text"):
        made = registry.create_model_version("m", "s3://a", description=given)
        found = registry.get_model_version("m", made.version)
        assert (made.description, found.description, found.tags) == (given, given, {})


def test_what_is_said_of_a_version_leaves_its_models_time(uri: str) -> None:
    registry = RegistryStore(uri)
    registry.create_registered_model("m")
    version = registry.create_model_version("m", "s3://a").version
    before = registry.get_registered_model("m").last_updated_timestamp
    registry.update_model_version("m", version, "text")
    assert registry.get_registered_model("m").last_updated_timestamp == before
    registry.transition_model_version_stage("m", version, "Staging", False)
    assert registry.get_registered_model("m").last_updated_timestamp > before


def test_what_is_not_kept_says_so(store: TrackingStore) -> None:
    name = "create_gateway_secret"
    with pytest.raises(MlflowException, match=f"does not keep what {name} needs") as caught:
        getattr(store, name)()
    assert caught.value.error_code == "NOT_IMPLEMENTED"


def test_pages_of_what_is_not_kept_are_empty(store: TrackingStore) -> None:
    searches = {"list_gateway_endpoints", "list_budget_policies", "search_mcp_servers"}
    for name in searches & set(dir(store)):
        assert getattr(store, name)() == []
        assert getattr(store, name)().token is None


def test_feedback_on_a_session_finds_all_its_traces(store: TrackingStore) -> None:
    location = TraceLocation.from_experiment_id("0")
    for trace_id, session in (("tr-1", "a"), ("tr-2", "a"), ("tr-3", "b")):
        metadata = {TraceMetadataKey.TRACE_SESSION: session}
        store.start_trace(
            TraceInfo(trace_id, location, START, TraceState.OK, trace_metadata=metadata)
        )
    source = AssessmentSource(AssessmentSourceType.HUMAN, "ada")
    for name, metadata in (("whole", {TraceMetadataKey.TRACE_SESSION: "a"}), ("single", None)):
        store.create_assessment(
            Feedback(trace_id="tr-1", name=name, value="good", source=source, metadata=metadata)
        )
    for condition, expected in (
        ('feedback.whole = "good"', {"tr-1", "tr-2"}),
        ("feedback.whole IS NOT NULL", {"tr-1", "tr-2"}),
        ("feedback.whole IS NULL", {"tr-3"}),
        ('feedback.single = "good"', {"tr-1"}),
        ("feedback.single IS NULL", {"tr-2", "tr-3"}),
    ):
        found, _ = store.search_traces(["0"], filter_string=condition)
        assert {trace.trace_id for trace in found} == expected, condition


def test_a_server_has_the_experiment_0_before_all_others(uri: str) -> None:
    store = TrackingStore(uri, "needletail:/")
    first = store.get_experiment(store.create_experiment("first"))
    default = store.get_experiment("0")
    assert default.creation_time <= first.creation_time
    found = store.search_experiments(filter_string=f"creation_time > {default.creation_time}")
    assert [one.experiment_id for one in found] == [first.experiment_id]


def test_a_server_starts_without_needletail(gate, gated_uri: str) -> None:
    gate.close()
    store = TrackingStore(gated_uri, "needletail:/")
    with pytest.raises(MlflowException):
        store.get_experiment("0")
    gate.open()
    assert store.get_experiment("0").name == "Default"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1, math.nan], {"a": math.inf}])
def test_what_is_no_json_is_a_value_of_feedback_all_the_same(
    store: TrackingStore, value: object
) -> None:
    make_trace(store, "tr-1")
    source = AssessmentSource(AssessmentSourceType.HUMAN, "ada")
    feedback = Feedback(trace_id="tr-1", name="score", value=1.0, source=source)
    stored = store.create_assessment(feedback)
    later = FeedbackValue(value)
    changed = store.update_assessment("tr-1", stored.assessment_id, feedback=later)
    other = store.create_assessment(
        Feedback(trace_id="tr-1", name="other", value=value, source=source)
    )
    for one in (changed, other, store.get_assessment("tr-1", other.assessment_id)):
        assert repr(one.feedback.value) == repr(value)
    # It is greater or less than no number.
    for condition in ("> -1", "< 1"):
        assert store.search_traces(["0"], filter_string=f"feedback.other {condition}")[0] == []


def test_an_assessment_has_an_identifier_of_its_own(store: TrackingStore) -> None:
    make_trace(store, "tr-1")
    source = AssessmentSource(AssessmentSourceType.HUMAN, "ada")
    feedback = Feedback(trace_id="tr-1", name="score", value=1.0, source=source)
    feedback.assessment_id = "a-1"
    store.create_assessment(feedback)
    with pytest.raises(MlflowException, match="constraint violation") as refused:
        store.create_assessment(feedback)
    assert refused.value.error_code == "INTERNAL_ERROR"


def test_what_a_client_told_of_a_trace_stays(store: TrackingStore) -> None:
    mark = getattr(TraceMetadataKey, "TRACE_INFO_FINALIZED", None)
    told = make_trace(store, "tr-1")
    store.log_spans("0", [make_span("tr-1", 1)])
    assert store.get_trace_info("tr-1").trace_metadata == told.trace_metadata
    assert told.trace_metadata == ({mark: "true"} if mark else {})
    place = TraceLocation.from_experiment_id("0")
    store.start_trace(TraceInfo("tr-2", place, START + 5, TraceState.OK, execution_duration=7))
    store.log_spans("0", [make_span("tr-2", 1)])
    found = store.get_trace_info("tr-2")
    assert (found.request_time, found.execution_duration) == (START + 5, 7)


def test_a_deleted_experiment_has_its_name(store: TrackingStore) -> None:
    experiment = store.create_experiment("popular")
    for _ in range(2):
        with pytest.raises(MlflowException, match=r"\(name=popular\) already exists") as refused:
            store.create_experiment("popular")
        assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
        if store.get_experiment(experiment).lifecycle_stage == "active":
            store.delete_experiment(experiment)
    store.restore_experiment(experiment)
    assert store.get_experiment_by_name("popular").experiment_id == experiment


def test_a_trace_is_linked_before_it_comes(store: TrackingStore, run_id: str) -> None:
    condition = f"attribute.run_id = '{run_id}'"
    make_trace(store, "tr-1")
    store.link_traces_to_run(["tr-1", "tr-2", "tr-3", "tr-4"], run_id)
    assert [trace.trace_id for trace in store.search_traces(["0"], condition)[0]] == ["tr-1"]
    store.unlink_traces_from_run(["tr-4"], run_id)
    for trace_id in ("tr-2", "tr-4"):
        make_trace(store, trace_id)
    store.log_spans("0", [make_span("tr-3", 1)])
    found, _ = store.search_traces(["0"], condition)
    assert {trace.trace_id for trace in found} == {"tr-1", "tr-2", "tr-3"}
    assert store._traces._late._runs == {}
