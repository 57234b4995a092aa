"""How much a trace may have, what telling of it leaves, and how long it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracing import Assessment, AssessmentKind, TraceSpans
from projects import refused
from traces import Bench, name, pairs, read, span
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail
    from program import Connection, UpServer

LONG = "x" * 32_000


@pytest.fixture
def bench(served: UpServer, client: needletail.Client, experiment_id: str) -> Bench:
    return Bench(client, {"project_id": served.connection["project_id"]}, experiment_id)


@pytest.fixture
def tight(own_server: Callable[..., UpServer]) -> Iterator[Bench]:
    """A server that allows two of everything."""
    bounds = [f"trace-{name}-max=2" for name in ("spans", "tags", "metadata", "assessments")]
    server = own_server(*[word for bound in bounds for word in ("--set", bound)])
    server.start()
    with server.client() as client:
        project = next(iter(client.identity.list_projects().projects)).id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        yield Bench(client, {"project_id": project}, experiment)


def test_a_trace_has_as_much_as_settings_allow(tight: Bench) -> None:
    trace = tight.start(tags=pairs(a="1", b="2"), metadata=pairs(a="1", b="2"))
    at = {**tight.at, "experiment_id": tight.experiment}

    def log(*numbers: int, **fields: Any) -> list[TraceSpans]:
        return [TraceSpans(trace_id=trace, spans=[span(n) for n in numbers], **fields)]

    tight.log(trace, span(1), span(2))
    refused("SPAN_LIMIT_REACHED", tight.tracing.log_spans, **at, traces=log(3))
    refused("TAG_LIMIT_REACHED", tight.tracing.log_spans, **at, traces=log(1, tags=pairs(c="3")))
    refused(
        "METADATA_LIMIT_REACHED", tight.tracing.log_spans, **at,
        traces=log(1, metadata=pairs(c="3")),
    )  # fmt: skip
    set_tags = tight.tracing.set_trace_tags
    refused("TAG_LIMIT_REACHED", set_tags, **tight.at, trace_id=trace, tags=pairs(c="3"))
    for number in range(2):
        tight.assess(trace, f"n{number}", 1)
    refused(
        "ASSESSMENT_LIMIT_REACHED", tight.tracing.create_assessment, **tight.at, trace_id=trace,
        assessment=Assessment(kind=AssessmentKind.FEEDBACK, name="x", value_json="1"),
    )  # fmt: skip
    # What is there may change; what goes makes room.
    tight.log(trace, span(2, name="new"), tags=pairs(a="9"), metadata=pairs(b="9"))
    set_tags(**tight.at, trace_id=trace, tags=pairs(c="3"), delete_keys=["a"])
    found = tight.one(trace)
    assert read(found.tags) == {"b": "2", "c": "3"}
    assert len(found.assessments) == len(tight.spans(trace)) == 2


def test_a_trace_as_large_as_it_may_be_fits_an_answer(bench: Bench) -> None:
    full = {f"k{n}": LONG for n in range(16)}
    trace = bench.start(
        tags=pairs(**full), metadata=pairs(**full), request_preview="x" * 65_536,
        response_preview="x" * 65_536, client_request_id="x" * 1_000,
    )  # fmt: skip
    more = {**bench.at, "trace_id": trace}
    refused("TAG_LIMIT_REACHED", bench.tracing.set_trace_tags, **more, tags=pairs(more=LONG))
    refused(
        "METADATA_LIMIT_REACHED", bench.tracing.start_trace, **more,
        experiment_id=bench.experiment, metadata=pairs(more=LONG),
    )  # fmt: skip
    for number in range(15):
        first = bench.assess(trace, f"n{number}", "x" * 65_000, rationale="x" * 65_536)
    large = Assessment(
        kind=AssessmentKind.FEEDBACK, name="x", value_json=f'"{"x" * 65_000}"',
        rationale="x" * 65_536, metadata_json=f'{{"a": "{"x" * 65_000}"}}',
    )  # fmt: skip
    refused("ASSESSMENT_LIMIT_REACHED", bench.tracing.create_assessment, **more, assessment=large)
    small = bench.assess(trace, "small", 1)
    refused(
        "ASSESSMENT_LIMIT_REACHED", bench.tracing.update_assessment, **more,
        assessment_id=small.assessment_id, value_json=large.value_json,
        rationale=large.rationale, metadata_json=large.metadata_json,
    )  # fmt: skip
    found = bench.one(trace)
    assert len(found.tags) == len(found.metadata) == len(found.assessments) == 16
    assert found.assessments[14].assessment_id == first.assessment_id
    other = bench.start()
    assert set(bench.found()) == {trace, other}
    answer = bench.tracing.get_traces(**bench.at, trace_ids=[trace, other])
    assert [one.trace_id for one in answer.traces] == [trace]
    assert list(answer.left_trace_ids) == [other]


def test_spans_larger_than_an_answer_together_are_all_read(bench: Bench) -> None:
    trace, long = name(), f'{{"text": "{"x" * 1_900_000}"}}'
    for number in range(1, 5):
        bench.log(trace, span(number, content_json=long))
    # Names and kinds count, too.
    for start in range(5, 4_005, 1_000):
        bench.log(trace, *(span(n, type="x" * 500) for n in range(start, start + 1_000)))
    found = bench.spans(trace, page_size=10_000)
    assert len(found) == 4_004
    assert sum(len(one.span.content_json) for one in found if one.span) > 7_600_000


def test_spans_leave_no_audit_entry_and_no_event(bench: Bench, sql: Connection) -> None:
    def journals() -> list[Any]:
        with sql.transaction():
            sql.execute("set local role needletail_maintenance")
            return [
                sql.execute(f"select count(*) as n from {table}").fetchone()
                for table in ("audit_logs", "events")
            ]

    trace = bench.start()
    before = journals()
    bench.log(trace, span(1))
    assert journals() == before
    bench.tracing.set_trace_tags(**bench.at, trace_id=trace, tags=pairs(a="b"))
    assert journals() != before


def test_traces_go_when_their_time_is_over(own_server: Callable[..., UpServer]) -> None:
    server = own_server(
        "--set", "traces-kept-for=1s", "--set", "housekeeping-interval=50ms", "--set",
        "purge-batch-rows=2",
    )  # fmt: skip
    server.start()
    with server.client() as client, server.sql() as sql:
        project = next(iter(client.identity.list_projects().projects)).id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        bench = Bench(client, {"project_id": project}, experiment)
        for _ in range(3):
            trace = bench.start(tags=pairs(a="1"), metadata=pairs(a="1"))
            bench.log(trace, span(1), span(2), span(3))
            bench.assess(trace, "good", 1)

        def left() -> int:
            row = sql.execute(
                "select (select count(*) from traces) + (select count(*) from trace_spans)"
                " + (select count(*) from trace_tags) as n"
            ).fetchone()
            assert row is not None
            return int(row["n"])

        wait_until("every trace is gone", lambda: left() == 0)
        assert bench.found() == []
