"""Traces counted and measured: by groups, in intervals, and by the sessions that they are of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracing import TraceMeasurement, TraceState, TraceSubject
from projects import refused
from traces import MILLION, Bench, pairs, span

if TYPE_CHECKING:
    import needletail
    from program import UpServer

TRACES, SPANS = TraceSubject.TRACES, TraceSubject.SPANS
ASSESSMENTS = TraceSubject.ASSESSMENTS


@pytest.fixture
def bench(served: UpServer, client: needletail.Client, experiment_id: str) -> Bench:
    return Bench(client, {"project_id": served.connection["project_id"]}, experiment_id)


def measured(bench: Bench, subject: TraceSubject, measure: str, **fields: Any) -> Any:
    answer = bench.tracing.measure_traces(
        **bench.at, experiment_ids=[bench.experiment], subject=subject, measure=measure, **fields
    )
    return list(answer.measurements)


def counts(found: list[TraceMeasurement]) -> dict[tuple[str, ...], int]:
    return {tuple(one.groups): one.count for one in found}


def test_traces_are_counted_and_measured(bench: Bench) -> None:
    for number, (name, duration, tokens) in enumerate(
        [("chat", 10, 5), ("chat", 20, 15), ("rank", 40, None), (None, None, None)]
    ):
        usage = {"input_tokens": tokens, "other": "x"} if tokens else {}
        bench.start(
            request_time_ms=number * 1_000, execution_ms=duration,
            state=TraceState.ERROR if number == 1 else TraceState.OK,
            tags=pairs(mlflow__traceName=name) if name else [],
            metadata=pairs(mlflow__trace__tokenUsage=json.dumps(usage),
                           mlflow__trace__session=f"s{number // 3}"),
        )  # fmt: skip
    bench.start(metadata=pairs(mlflow__trace__tokenUsage="no JSON"))
    assert counts(measured(bench, TRACES, "count")) == {(): 5}
    assert counts(measured(bench, TRACES, "count", group_by=["status", "name"])) == {
        ("OK", "chat"): 1, ("ERROR", "chat"): 1, ("OK", "rank"): 1,
    }  # fmt: skip
    assert counts(measured(bench, TRACES, "sessions")) == {(): 2}
    (one,) = measured(bench, TRACES, "duration", percentiles=[0, 50, 75])
    assert (one.count, one.sum, one.least, one.greatest) == (3, 70, 10, 40)
    assert list(one.percentiles) == [10, 20, 30]
    (one,) = measured(bench, TRACES, "tokens.input_tokens")
    assert (one.count, one.mean) == (2, 10)
    assert measured(bench, TRACES, "tokens.other") == []
    (one,) = measured(bench, TRACES, "count", filter="name = 'chat'", start_ms=1_000, end_ms=1_000)
    assert one.count == 1
    found = measured(bench, TRACES, "count", interval_ms=2_000)
    assert [(one.interval_start_ms, one.count) for one in found] == [(0, 3), (2_000, 2)]
    count = bench.tracing.count_traces
    assert count(**bench.at, experiment_ids=[bench.experiment]).count == 5
    assert count(**bench.at, experiment_ids=[bench.experiment], filter="name = 'chat'").count == 2


def test_spans_and_assessments_are_measured(bench: Bench) -> None:
    trace = bench.start()
    cost = {"attributes": {"mlflow.llm.model": '"small"',
                           "mlflow.llm.cost": json.dumps({"total_cost": 0.25})}}  # fmt: skip
    bench.log(
        trace, span(1, type="CHAIN"), span(2, 1, name="call", type="LLM",
                                           content_json=json.dumps(cost)),
        span(3, 1, name="call", type="LLM", end_ns=3_000 * MILLION + 1_500_000, status="ERROR"),
        span(4, 1, end_ns=None),
    )  # fmt: skip
    assert counts(measured(bench, SPANS, "count", group_by=["type"])) == {
        ("CHAIN",): 1, ("LLM",): 2,
    }  # fmt: skip
    assert counts(measured(bench, SPANS, "count", type="LLM", status="ERROR", name="call")) == {
        (): 1
    }
    (one,) = measured(bench, SPANS, "duration", name="call")
    assert (one.count, one.least, one.greatest) == (2, 1, 500)
    (one,) = measured(bench, SPANS, "cost.total_cost", group_by=["model"])
    assert (list(one.groups), one.sum) == (["small"], 0.25)
    # A cost is of when its span began.
    assert measured(bench, SPANS, "cost.total_cost", end_ms=1_999) == []
    for name, value in (("good", True), ("good", "No"), ("score", 0.5), ("tone", "kind")):
        bench.assess(trace, name, value)
    assert counts(measured(bench, ASSESSMENTS, "count", group_by=["name"])) == {
        ("good",): 2, ("score",): 1, ("tone",): 1,
    }  # fmt: skip
    (one,) = measured(bench, ASSESSMENTS, "value", name="good")
    assert (one.count, one.mean) == (2, 0.5)
    assert counts(measured(bench, ASSESSMENTS, "count", group_by=["value"], name="tone")) == {
        ('"kind"',): 1
    }
    assert counts(measured(bench, ASSESSMENTS, "count", type="feedback")) == {(): 4}


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": TraceSubject.UNSPECIFIED}, {"measure": "cost.x"}, {"measure": ""},
        {"measure": "tokens"}, {"measure": "duration.x"}, {"group_by": ["type"]},
        {"group_by": ["name", "name"]}, {"percentiles": [101]}, {"percentiles": [1] * 11},
        {"group_count_max": 10_001},
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(bench: Bench, fields: dict[str, Any]) -> None:
    refused(
        "FIELD_INVALID", bench.tracing.measure_traces, **bench.at,
        **{"subject": TRACES, "measure": "count", **fields},
    )  # fmt: skip


def test_sessions_that_have_ended_are_listed(bench: Bench) -> None:
    for session, times in (("a", (100, 300)), ("b", (100, 500)), ("c", (50, 100)), ("d", (250,))):
        for number, time in enumerate(times):
            bench.start(
                request_time_ms=time, metadata=pairs(mlflow__trace__session=session),
                tags=pairs(first="yes" if number == 0 and session == "a" else "no"),
            )  # fmt: skip
    bench.start(request_time_ms=300)

    def sessions(**fields: Any) -> list[tuple[str, int, int]]:
        answer = bench.tracing.list_trace_sessions(
            **bench.at, experiment_id=bench.experiment, last_time_ms_min=200,
            last_time_ms_max=400, **fields,
        )  # fmt: skip
        return [(one.session_id, one.first_time_ms, one.last_time_ms) for one in answer.sessions]

    assert sessions() == [("d", 250, 250), ("a", 100, 300)]
    assert sessions(count_max=1) == [("d", 250, 250)]
    assert sessions(filter="tags.first = 'yes'") == [("a", 100, 300)]
