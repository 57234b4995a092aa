"""Traces, their spans and assessments: what is stored, changed and refused."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.identity import ProjectRole
from needletail.tracing import Assessment, AssessmentKind, Span, TracePair, TraceSpans, TraceState
from projects import open_team, refused
from traces import MILLION, Bench, name, pairs, read, span

if TYPE_CHECKING:
    import needletail
    from program import Connection, UpServer


@pytest.fixture
def bench(served: UpServer, client: needletail.Client, experiment_id: str) -> Bench:
    return Bench(client, {"project_id": served.connection["project_id"]}, experiment_id)


def test_a_trace_is_stored_and_told_again(bench: Bench) -> None:
    trace = bench.start(
        execution_ms=20, request_preview="what?", client_request_id="req 1",
        tags=pairs(team="search", mlflow__traceName="chat"), metadata=pairs(user="ada"),
    )  # fmt: skip
    found = bench.one(trace)
    assert (found.trace_id, found.experiment_id) == (trace, bench.experiment)
    assert (found.state, found.request_time_ms, found.execution_ms) == (TraceState.OK, 1_000, 20)
    assert (found.request_preview, found.response_preview) == ("what?", None)
    assert found.client_request_id == "req 1"
    assert read(found.tags) == {"team": "search", "mlflow.traceName": "chat"}
    assert read(found.metadata) == {"user": "ada"}
    # Again: what is not named stays.
    again = bench.tracing.start_trace(
        **bench.at, experiment_id=bench.experiment, trace_id=trace, state=TraceState.ERROR,
        request_time_ms=900, response_preview="that", tags=pairs(team="ads"),
    )  # fmt: skip
    assert not again.created
    found = bench.one(trace)
    assert (found.state, found.request_time_ms, found.execution_ms) == (TraceState.ERROR, 900, None)
    assert (found.request_preview, found.response_preview) == ("what?", "that")
    assert read(found.tags) == {"team": "ads", "mlflow.traceName": "chat"}
    assert read(found.metadata) == {"user": "ada"}


def test_traces_come_in_the_order_that_they_are_asked_for(bench: Bench) -> None:
    traces = [bench.start(request_time_ms=time) for time in (3, 1, 2)]
    assert [one.trace_id for one in bench.get(traces[2], name(), traces[0])] == [
        traces[2], traces[0],
    ]  # fmt: skip


def test_what_is_too_large_for_one_answer_is_left_for_the_next(bench: Bench) -> None:
    traces = [bench.start(metadata=pairs(**{f"k{n}": "x" * 32_000 for n in range(16)}))
              for _ in range(3)]  # fmt: skip
    answer = bench.tracing.get_traces(**bench.at, trace_ids=traces)
    assert [one.trace_id for one in answer.traces] == traces[:2]
    assert list(answer.left_trace_ids) == traces[2:]
    assert bench.found(order_by=["trace_id"]) == sorted(traces)


def test_tags_are_set_and_removed(bench: Bench) -> None:
    trace = bench.start(tags=pairs(team="a", old="b"))
    deleted = bench.tracing.set_trace_tags(
        **bench.at, trace_id=trace, tags=pairs(team="c", new="d"), delete_keys=["old", "never"]
    )
    assert list(deleted.deleted_keys) == ["old"]
    assert read(bench.one(trace).tags) == {"team": "c", "new": "d"}
    refused(
        "TRACE_NOT_FOUND", bench.tracing.set_trace_tags, **bench.at, trace_id=name(),
        tags=pairs(a="b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": ""},
        {"trace_id": "x" * 251},
        {"request_time_ms": -1},
        {"execution_ms": -1},
        {"tags": [TracePair(key="", value="")]},
        {"tags": [TracePair(key="k", value="1"), TracePair(key="k", value="2")]},
        {"metadata": [TracePair(key="k", value="x" * 32_001)]},
        {"request_preview": "x" * 65_537},
    ],
)
def test_a_bad_trace_is_refused(bench: Bench, fields: dict[str, Any]) -> None:
    refused(
        "FIELD_INVALID", bench.tracing.start_trace, **bench.at, experiment_id=bench.experiment,
        **{"trace_id": name(), "request_time_ms": 1, **fields},
    )  # fmt: skip
    assert bench.found() == []


def test_traces_are_deleted_by_name_and_by_age(bench: Bench) -> None:
    traces = [bench.start(request_time_ms=time) for time in range(1, 6)]
    bench.log(traces[0], span(1))

    def delete(**fields: Any) -> int:
        return bench.tracing.delete_traces(
            **bench.at, experiment_id=bench.experiment, **fields
        ).count

    assert delete(trace_ids=[traces[4], name()]) == 1
    assert delete(request_time_ms_max=3, count_max=2) == 2
    assert bench.spans(traces[0]) == []
    assert bench.found(order_by=["timestamp"]) == traces[2:4]
    assert delete() == 2
    assert bench.found() == []


def test_spans_leave_the_times_that_a_client_told(bench: Bench) -> None:
    told = bench.start(request_time_ms=2_500, execution_ms=100)
    bench.log(told, span(1), span(9))
    assert (bench.one(told).request_time_ms, bench.one(told).execution_ms) == (2_500, 100)
    # It has no end yet.
    begun = bench.start(request_time_ms=2_500, state=TraceState.IN_PROGRESS)
    bench.log(begun, span(2, 1, end_ns=None))
    assert (bench.one(begun).request_time_ms, bench.one(begun).execution_ms) == (2_500, None)
    late = bench.start(request_time_ms=2_500, state=TraceState.IN_PROGRESS)
    bench.log(late, span(1))
    assert (bench.one(late).request_time_ms, bench.one(late).execution_ms) == (2_500, 0)
    bench.log(begun, span(1, end_ns=4_000 * MILLION))
    found = bench.one(begun)
    assert (found.request_time_ms, found.execution_ms) == (2_500, 1_500)
    assert found.state == TraceState.OK


def test_spans_make_their_trace_and_move_it(bench: Bench) -> None:
    trace = name()
    bench.log(trace, span(2, 1), metadata=pairs(tokens="5"), request_preview="q")
    found = bench.one(trace)
    assert found.state == TraceState.IN_PROGRESS
    assert (found.request_time_ms, found.execution_ms) == (2_000, 500)
    assert (read(found.metadata), found.request_preview) == ({"tokens": "5"}, "q")
    root = span(1, end_ns=None, status="ERROR", type="CHAIN", content_json='{ "attributes": {} }')
    bench.log(trace, root, span(3, 1), metadata=pairs(tokens="9"), request_preview="other")
    found = bench.one(trace)
    assert found.state == TraceState.ERROR
    assert (found.request_time_ms, found.execution_ms) == (1_000, 2_500)
    assert (read(found.metadata), found.request_preview) == ({"tokens": "9"}, "q")
    # Whatever spans tell later, what the trace's client told stays.
    bench.start(trace, metadata=pairs(tokens="7"))
    bench.log(trace, span(1, name="new"), metadata=pairs(tokens="9", more="1"))
    found = bench.one(trace)
    assert (found.state, read(found.metadata)) == (TraceState.OK, {"tokens": "7", "more": "1"})
    assert (found.request_time_ms, found.execution_ms) == (1_000, 500)
    spans = [one.span for one in bench.spans(trace)]
    assert [one.name for one in spans if one] == ["new", "span 2", "span 3"]


def test_spans_are_read_as_they_were_written(bench: Bench) -> None:
    traces = [name() for _ in range(3)]
    content = '{"attributes": {"a": "\\"b\\"", "n": 1.50}, "events": [ ]}'
    for trace in traces:
        bench.log(trace, *(span(n, 1 if n > 1 else None, content_json=content, type="LLM")
                           for n in range(1, 6)))  # fmt: skip
    for size in (0, 1, 4):
        found = bench.spans(*traces, page_size=size)
        assert len(found) == 15
        assert {one.trace_id for one in found} == set(traces)
        for trace in traces:
            mine = [one.span for one in found if one.trace_id == trace]
            assert mine == [
                span(n, 1 if n > 1 else None, content_json=content, type="LLM") for n in range(1, 6)
            ]


def test_long_spans_come_in_several_pages(bench: Bench) -> None:
    trace, long = name(), json.dumps({"text": "x" * 700_000})
    for number in range(1, 4):
        bench.log(trace, span(number, content_json=long))
    page = bench.tracing.list_spans(**bench.at, trace_ids=[trace])
    assert len(page.spans) == 2
    assert page.next_page_token
    assert len(bench.spans(trace)) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"span_id": ""}, {"start_ns": -1}, {"content_json": ""}, {"content_json": "[]"},
        {"content_json": '{"a": "\\u0000"}'}, {"name": "x" * 1_001},
    ],
)  # fmt: skip
def test_a_bad_span_is_refused(bench: Bench, fields: dict[str, Any]) -> None:
    values = {"span_id": "1", "start_ns": 1, "status": "OK", "content_json": "{}", **fields}
    refused(
        "FIELD_INVALID", bench.tracing.log_spans, **bench.at, experiment_id=bench.experiment,
        traces=[TraceSpans(trace_id=name(), spans=[Span(**values)])],
    )  # fmt: skip
    assert bench.found() == []


def test_more_spans_than_a_request_takes_are_refused(bench: Bench) -> None:
    refused(
        "FIELD_INVALID", bench.tracing.log_spans, **bench.at, experiment_id=bench.experiment,
        traces=[TraceSpans(trace_id=name(), spans=[span(n) for n in range(1_001)])],
    )  # fmt: skip


def test_assessments_are_written_changed_and_removed(bench: Bench) -> None:
    trace = bench.start()
    first = bench.assess(
        trace, "good", 0.5, rationale="so so", source_id="judge", metadata_json='{"a": "1"}',
        span_id="1",
    )  # fmt: skip
    assert (first.valid, first.value_json, first.rationale) == (True, "0.5", "so so")
    where = {**bench.at, "trace_id": trace}
    got = bench.tracing.get_assessment(**where, assessment_id=first.assessment_id)
    assert got == first
    second = bench.assess(trace, "good", "yes", overrides=first.assessment_id)
    assert [(one.name, one.valid) for one in bench.one(trace).assessments] == [
        ("good", False), ("good", True),
    ]  # fmt: skip
    changed = bench.tracing.update_assessment(
        **where, assessment_id=first.assessment_id, name="better", value_json="null",
        error_json='{"error_code": "X"}', metadata_json='{"b": "2"}',
    )  # fmt: skip
    assert (changed.name, changed.value_json, changed.rationale) == ("better", "null", "so so")
    assert changed.error_json == '{"error_code": "X"}'
    assert json.loads(changed.metadata_json) == {"a": "1", "b": "2"}
    for _ in range(2):
        bench.tracing.delete_assessment(**where, assessment_id=second.assessment_id)
    (left,) = bench.one(trace).assessments
    assert (left.assessment_id, left.valid) == (first.assessment_id, True)
    for method in (bench.tracing.get_assessment, bench.tracing.update_assessment):
        refused("ASSESSMENT_NOT_FOUND", method, **where, assessment_id=second.assessment_id)
    refused(
        "ASSESSMENT_NOT_FOUND", bench.tracing.create_assessment, **where,
        assessment=Assessment(
            kind=AssessmentKind.FEEDBACK, name="x", value_json="1", overrides="never"
        ),
    )  # fmt: skip
    refused(
        "ASSESSMENT_ID_TAKEN", bench.tracing.create_assessment, **where,
        assessment=Assessment(
            kind=AssessmentKind.FEEDBACK, name="x", value_json="1",
            assessment_id=first.assessment_id,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": AssessmentKind.UNSPECIFIED}, {"name": ""}, {"value_json": ""},
        {"value_json": "1, 2"}, {"value_json": '1], "w": [2'}, {"value_json": '1, "w": 2'},
        {"metadata_json": "[]"}, {"error_json": "1"}, {"source_type": "x" * 51},
    ],
)  # fmt: skip
def test_a_bad_assessment_is_refused(bench: Bench, fields: dict[str, Any]) -> None:
    trace = bench.start()
    values = {"kind": AssessmentKind.FEEDBACK, "name": "x", "value_json": "1", **fields}
    refused(
        "FIELD_INVALID", bench.tracing.create_assessment, **bench.at, trace_id=trace,
        assessment=Assessment(**values),
    )  # fmt: skip
    assert not bench.one(trace).assessments


def test_another_organization_s_trace_of_the_same_name_is_another(
    bench: Bench, served: UpServer, sql: Connection
) -> None:
    trace = bench.start(tags=pairs(whose="ours"))
    with open_team(served, sql) as team:
        client, project = team.owner.client, team.project().id
        experiment = client.tracking.create_experiment(project_id=project, name="theirs").id
        theirs = Bench(client, {"project_id": project}, experiment)
        assert not theirs.get(trace)
        theirs.start(trace, tags=pairs(whose="theirs"))
        assert read(theirs.one(trace).tags) == {"whose": "theirs"}
        refused("PROJECT_NOT_FOUND", client.tracing.get_traces, **bench.at, trace_ids=[trace])
        # Who may only look writes nothing.
        client.identity.set_project_member(
            project_id=project, user_id=team.viewer.id, role=ProjectRole.VIEWER
        )
        viewer = team.viewer.client.tracing
        refused(
            "PERMISSION_MISSING", viewer.start_trace, **theirs.at, experiment_id=experiment,
            trace_id=name(),
        )  # fmt: skip
        assert len(viewer.get_traces(**theirs.at, trace_ids=[trace]).traces) == 1
    assert read(bench.one(trace).tags) == {"whose": "ours"}


def test_a_search_for_a_run_finds_what_it_made_and_what_it_is_linked_to(
    bench: Bench, run_id: str
) -> None:
    made = bench.start(metadata=pairs(mlflow__sourceRun=uuid.UUID(run_id).hex))
    linked, other = bench.start(), bench.start()
    for _ in range(2):
        bench.tracing.link_traces_to_run(**bench.at, run_id=run_id, trace_ids=[linked, name()])
    digits = uuid.UUID(run_id).hex
    assert set(bench.found(f"run_id = '{digits}'")) == {made, linked}
    assert bench.found(f"run_id = '{run_id}'") == [linked]
    bench.tracing.unlink_traces_from_run(**bench.at, run_id=run_id, trace_ids=[linked, other])
    assert bench.found(f"run_id = '{digits}'") == [made]
    for method in (bench.tracing.link_traces_to_run, bench.tracing.unlink_traces_from_run):
        refused("RUN_NOT_FOUND", method, **bench.at, run_id=str(uuid.uuid4()), trace_ids=[linked])


def test_what_is_in_a_deleted_experiment_is_not_there(
    bench: Bench, client: needletail.Client
) -> None:
    trace = bench.start()
    client.tracking.delete_experiment(id=bench.experiment)
    assert not bench.get(trace)
    assert bench.found() == []
    assert trace not in bench.found(experiment_ids=[])
    refused(
        "TRACE_NOT_FOUND", bench.tracing.set_trace_tags, **bench.at, trace_id=trace,
        tags=pairs(a="b"),
    )  # fmt: skip
    refused(
        "EXPERIMENT_NOT_FOUND", bench.tracing.start_trace, **bench.at,
        experiment_id=bench.experiment, trace_id=name(),
    )  # fmt: skip
    client.tracking.undelete_experiment(id=bench.experiment)
    assert bench.found() == [trace]
