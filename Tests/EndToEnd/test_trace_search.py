"""Searches for traces: by what they are, by their spans and by what is thought of them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracing import AssessmentKind, TraceState
from projects import refused
from traces import Bench, name, pairs, span

if TYPE_CHECKING:
    from collections.abc import Callable

    import needletail
    from program import UpServer


@pytest.fixture
def bench(served: UpServer, client: needletail.Client, experiment_id: str) -> Bench:
    return Bench(client, {"project_id": served.connection["project_id"]}, experiment_id)


def test_traces_are_found_by_what_they_are(bench: Bench) -> None:
    first = bench.start(
        request_time_ms=1_000, execution_ms=10, client_request_id="one",
        tags=pairs(mlflow__traceName="chat", team="a"), metadata=pairs(mlflow__trace__session="s"),
    )  # fmt: skip
    second = bench.start(
        request_time_ms=2_000, state=TraceState.ERROR, tags=pairs(mlflow__traceName="chatter")
    )
    third = bench.start(request_time_ms=3_000, state=TraceState.IN_PROGRESS)
    for condition, expected in (
        ("", [third, second, first]),
        ("timestamp_ms > 1000", [third, second]),
        ("timestamp = 2000", [second]),
        ("execution_time >= 10", [first]),
        ("end_time <= 1010", [first]),
        ("status = 'ERROR'", [second]),
        ("trace.status IN ('OK', 'IN_PROGRESS')", [third, first]),
        ("name = 'chat'", [first]),
        ("name LIKE 'chat%'", [second, first]),
        ("name IS NULL", [third]),
        (f"request_id = '{third}'", [third]),
        ("client_request_id = 'one'", [first]),
        ("tags.team = 'a'", [first]),
        ("tags.team IS NULL", [third, second]),
        ("metadata.`mlflow.trace.session` = 's'", [first]),
        ("request_metadata.mlflow.trace.session = 's'", [first]),
        ("session_id = 's' AND status = 'OK'", [first]),
        ("session_id = 's' OR name = 'chatter'", [second, first]),
    ):
        assert bench.found(condition) == expected, condition
        assert bench.found(condition, page_size=1) == expected, condition
    assert bench.found(order_by=["timestamp ASC"]) == [first, second, third]
    assert bench.found(order_by=["name DESC"], page_size=1) == [second, first, third]
    assert bench.found(order_by=["execution_time"])[0] == first
    assert bench.found(experiment_ids=[str(uuid.uuid4())]) == []


def test_traces_are_found_by_their_spans(bench: Bench) -> None:
    first, second = name(), name()
    bench.log(
        first, span(1, name="root", type="CHAIN", content_json=json.dumps(
            {"attributes": {"model": '"small"', "my key": "x"}})),
        span(2, 1, name="call", type="LLM", content_json='{"attributes": {"tokens": 5}}'),
    )  # fmt: skip
    bench.log(second, span(1, name="root", type="LLM", status="ERROR"))
    for condition, expected in (
        ("span.name = 'root'", {first, second}),
        ("span.type = 'LLM'", {first, second}),
        ("span.type = 'TOOL'", set()),
        # Of one span.
        ("span.name = 'root' AND span.type = 'LLM'", {second}),
        ("span.name = 'root' AND timestamp > 0 AND span.type = 'CHAIN'", {first}),
        ("span.status = 'ERROR'", {second}),
        ("NOT span.status = 'ERROR'", {first}),
        ("span.type IN ('CHAIN', 'TOOL')", {first}),
        ("span.attributes.model = 'small'", {first}),
        ("span.attributes.model LIKE 'sm%'", {first}),
        ("span.attributes.`my key` = 'x'", {first}),
        ("span.attributes.tokens = '5'", {first}),
        ("span.attributes.model = 'small' AND span.name = 'call'", set()),
        ("span.attributes.model IS NULL", {second}),
        ("span.content ILIKE '%SMALL%'", {first}),
        ("trace.text LIKE '%small%'", {first}),
    ):
        assert set(bench.found(condition)) == expected, condition


def test_traces_are_found_by_their_assessments(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    bench.assess(first, "score", 0.5)
    bench.assess(first, "ok", value=True)
    over = bench.assess(second, "score", 0.9)
    bench.assess(second, "tone", "kind")
    bench.assess(second, "answer", 42, kind=AssessmentKind.EXPECTATION)
    bench.assess(second, "iss-1", value=True, kind=AssessmentKind.ISSUE)
    for condition, expected in (
        ("feedback.score > 0.6", {second}),
        ("feedback.score >= 0.5", {first, second}),
        ("feedback.score = '0.5'", {first}),
        ("feedback.ok = 'true'", {first}),
        ("feedback.tone = 'kind'", {second}),
        ("feedback.tone > 1", set()),
        ("feedback.tone LIKE 'k%'", {second}),
        ("feedback.tone IS NULL", {first}),
        ("feedback.tone IS NOT NULL", {second}),
        ("expectation.answer = '42'", {second}),
        ("expectation.answer < 43", {second}),
        ("feedback.answer = '42'", set()),
        ("issue.id = 'iss-1'", {second}),
    ):
        assert set(bench.found(condition)) == expected, condition
    bench.assess(second, "score", 0.1, overrides=over.assessment_id)
    assert bench.found("feedback.score > 0.6") == []


SESSION = "mlflow.trace.session"


def test_what_is_thought_of_a_session_is_of_all_its_traces(bench: Bench) -> None:
    def start(session: str) -> str:
        return bench.start(metadata=pairs(mlflow__trace__session=session))

    one, two, alone = start("s"), start("s"), start("other")
    none = bench.start()
    every = {one, two, alone, none}
    of_session = {"metadata_json": json.dumps({SESSION: "s"})}
    whole = bench.assess(one, "whole", "good", **of_session)
    bench.assess(one, "score", 0.5, **of_session)
    bench.assess(two, "score", 0.9)
    bench.assess(one, "single", "bad")
    bench.assess(alone, "single", "bad", metadata_json=json.dumps({"why": SESSION}))
    # Of no session.
    bench.assess(none, "whole", "good", **of_session)
    bench.assess(two, "answer", 42, kind=AssessmentKind.EXPECTATION, **of_session)
    for condition, expected in (
        ("feedback.whole = 'good'", {one, two, none}),
        ("feedback.whole LIKE 'g%'", {one, two, none}),
        ("feedback.whole RLIKE '^go'", {one, two, none}),
        ("feedback.whole != 'bad'", {one, two, none}),
        ("feedback.whole = 'bad'", set()),
        ("feedback.whole IS NOT NULL", {one, two, none}),
        ("feedback.whole IS NULL", {alone}),
        ("NOT feedback.whole = 'good'", {alone}),
        ("feedback.whole = 'good' OR session_id = 'other'", every),
        ("feedback.whole = 'good' AND session_id = 's'", {one, two}),
        ("feedback.score < 0.6", {one, two}),
        ("feedback.score > 0.6", {two}),
        ("feedback.score IN ('0.5', '7')", {one, two}),
        ("feedback.single = 'bad'", {one, alone}),
        ("expectation.answer = '42'", {one, two}),
        ("expectation.answer > 41", {one, two}),
        ("feedback.answer = '42'", set()),
    ):
        assert set(bench.found(condition)) == expected, condition
        assert bench.count(condition) == len(expected), condition
    assert len(bench.found("feedback.whole = 'good'", page_size=1)) == 3
    at = {**bench.at, "trace_id": one, "assessment_id": whole.assessment_id}
    bench.tracing.delete_assessment(**at)
    assert bench.found("feedback.whole = 'good'") == [none]


def test_a_session_is_of_the_experiments_that_are_searched(
    bench: Bench, client: needletail.Client
) -> None:
    second = Bench(client, bench.at, client.tracking.create_experiment(**bench.at, name=name()).id)
    session = {"metadata": pairs(mlflow__trace__session=name())}
    here, there = bench.start(**session), second.start(**session)
    told = {"metadata_json": json.dumps({SESSION: "s"})}
    # Other tests' traces have feedback, too.
    tone = f"tone-{name()}"
    bench.assess(here, tone, "kind", **told)
    both = {"experiment_ids": [bench.experiment, second.experiment]}
    for condition in (f"feedback.`{tone}` = 'kind'", f"feedback.`{tone}` IS NOT NULL"):
        assert bench.found(condition) == [here]
        assert second.found(condition) == []
        assert set(bench.found(condition, **both)) == {here, there}
        assert set(bench.found(condition, experiment_ids=[])) == {here, there}
    assert second.found(f"feedback.`{tone}` IS NULL") == [there]
    assert bench.found(f"feedback.`{tone}` IS NULL", **both) == []
    client.tracking.delete_experiment(id=bench.experiment)
    assert bench.found(f"feedback.`{tone}` = 'kind'", **both) == []


def test_sessions_are_found_by_what_is_thought_of_them(bench: Bench) -> None:
    for session in ("a", "b"):
        told = {"metadata": pairs(mlflow__trace__session=session)}
        bench.start(request_time_ms=100, **told)
        last = bench.start(request_time_ms=200, **told)
        if session == "a":
            bench.assess(last, "whole", "good", metadata_json=json.dumps({SESSION: "a"}))
        else:
            bench.assess(last, "whole", "good")
    at = {**bench.at, "experiment_id": bench.experiment}
    found = bench.tracing.list_trace_sessions(
        **at, last_time_ms_min=0, last_time_ms_max=1_000, filter="feedback.whole = 'good'"
    )
    assert [session.session_id for session in found.sessions] == ["a"]
    assert bench.found("feedback.whole = 'good' AND timestamp = 100") == bench.found(
        "session_id = 'a' AND timestamp = 100"
    )


def test_traces_are_found_by_regular_expressions(bench: Bench) -> None:
    first = bench.start(tags=pairs(mlflow__traceName="chat-12", team="a.b"))
    second = bench.start(tags=pairs(mlflow__traceName="Chat"), state=TraceState.ERROR)
    bench.log(first, span(1, name="root", content_json='{"attributes": {"model": "gpt-5"}}'))
    bench.assess(second, "tone", "very kind")
    for condition, expected in (
        ("name RLIKE '^chat-[0-9]+$'", {first}),
        ("name RLIKE '(?i)^CHAT'", {first, second}),
        ("name RLIKE 'hat|never'", {first, second}),
        ("name NOT RLIKE '[0-9]'", {second}),
        (r"tags.team RLIKE '^a\.b$'", {first}),
        (r"tags.team RLIKE '^a\.$'", set()),
        ("tags.never NOT RLIKE 'x'", set()),
        ("span.name RLIKE 'o{2}' AND span.attributes.model RLIKE '^gpt-[4-6]'", {first}),
        ("feedback.tone RLIKE 'kind$'", {second}),
        ("status RLIKE '^ERR'", {second}),
    ):
        assert set(bench.found(condition)) == expected, condition
    refused("FILTER_INVALID", bench.tracing.search_traces, **bench.at, filter="name RLIKE '(never'")


def test_a_regular_expression_that_takes_too_long_is_stopped(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server("--set", "search-timeout=200ms")
    server.start()
    with server.client() as client:
        project = next(iter(client.identity.list_projects().projects)).id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        bench = Bench(client, {"project_id": project}, experiment)
        trace = bench.start(tags=pairs(long="a" * 1_500, odd="a" * 1_500 + "b" + "a" * 1_499))
        # What others have no end with is nothing to this engine.
        assert bench.found("tags.long RLIKE '^(a+)+$'") == [trace]
        assert bench.found("tags.long RLIKE '^(a|aa)+b$'") == []
        refused(
            "SEARCH_TIMED_OUT", bench.tracing.search_traces, **bench.at,
            filter=r"tags.odd RLIKE '^(a+)(a+)(a+)b\1\2\3$'",
        )  # fmt: skip
        assert bench.found("tags.long RLIKE '^a'") == [trace]


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("FILTER_INVALID", {"filter": "nothing = 'x'"}),
        ("FILTER_INVALID", {"filter": "span.nothing = 'x'"}),
        ("FILTER_INVALID", {"filter": "span.attributes. = 'x'"}),
        ("FILTER_INVALID", {"filter": "feedback.x > 'x'"}),
        ("FILTER_INVALID", {"filter": "status = 'GREAT'"}),
        ("ORDER_INVALID", {"order_by": ["feedback.x"]}),
        ("ORDER_INVALID", {"order_by": ["span.name"]}),
        ("ORDER_INVALID", {"order_by": ["run_id"]}),
        ("FIELD_INVALID", {"page_size": 501}),
        ("PAGE_TOKEN_INVALID", {"page_token": "x"}),
    ],
)
def test_a_bad_search_is_refused(bench: Bench, reason: str, fields: dict[str, Any]) -> None:
    refused(reason, bench.tracing.search_traces, **bench.at, **fields)
