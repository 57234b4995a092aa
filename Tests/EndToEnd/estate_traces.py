"""The traces, evaluation datasets, scorers, issues and reviews of an estate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import needletail

if TYPE_CHECKING:
    from estate import Estate


def tell_traces(estate: Estate, client: needletail.Client) -> None:
    """Tell of two traces, and all that there may be of one."""
    tracing, text = client.tracing, estate.text
    at = {"project_id": estate.ids["project"], "experiment_id": estate.ids["experiment"]}
    pairs = [needletail.tracing.TracePair(key=estate.metric, value=text)]
    for number, kind in enumerate(("other_trace", "trace")):
        estate.ids[kind] = f"{text} {kind}"
        tracing.start_trace(
            **at,
            trace_id=estate.ids[kind],
            request_time_ms=number,
            request_preview=text,
            response_preview=text,
            client_request_id=text,
            tags=pairs,
            metadata=pairs,
        )
    project, trace = estate.ids["project"], estate.ids["trace"]
    tracing.log_spans(**at, traces=[needletail.tracing.TraceSpans(trace_id=trace, spans=[
        needletail.tracing.Span(
            span_id=f"{text}-{name}"[:50], parent_span_id=f"{text}-one"[:50], name=text,
            type=text, status=text[:50], content_json=f'{{"key": "{text}"}}',
        ) for name in ("one", "two")
    ])])  # fmt: skip
    estate.ids["assessment"] = f"{text}-a"[:50]
    for identifier in (f"{text}-b"[:50], estate.ids["assessment"]):
        tracing.create_assessment(
            project_id=project,
            trace_id=trace,
            assessment=needletail.tracing.Assessment(
                assessment_id=identifier,
                kind=needletail.tracing.AssessmentKind.FEEDBACK,
                name=text,
                value_json=f'"{text}"',
                error_json=f'{{"key": "{text}"}}',
                rationale=text,
                source_type=text[:50],
                source_id=text,
                metadata_json=f'{{"key": "{text}"}}',
                span_id=text[:50],
                run_id=text[:50],
                overrides=f"{text}-b"[:50] if identifier == estate.ids["assessment"] else None,
            ),
        )
    tracing.link_traces_to_run(project_id=project, run_id=estate.ids["run"], trace_ids=[trace])


def make_evaluation_datasets(estate: Estate, client: needletail.Client) -> None:
    """Make two evaluation datasets, and all that there may be of one."""
    tracing, text, project = client.tracing, estate.text, estate.ids["project"]
    for kind in ("other_evaluation_dataset", "evaluation_dataset"):
        estate.ids[kind] = tracing.create_evaluation_dataset(
            project_id=project,
            name=text,
            author=text,
            tags=[needletail.tracing.TracePair(key=estate.metric, value=text)],
            experiment_ids=[estate.ids["experiment"]],
        ).id
    where = {"project_id": project, "evaluation_dataset_id": estate.ids["evaluation_dataset"]}
    value = f'{{"key": "{text}"}}'
    tracing.write_evaluation_records(**where, records=[
        needletail.tracing.EvaluationRecord(
            inputs_json=f'{{"{text} {name}": "{text}"}}', outputs_json=value,
            expectations_json=value, tags_json=value, source_json=value, author=text,
        ) for name in ("one", "two")
    ])  # fmt: skip
    first, second = tracing.list_evaluation_records(**where).records
    estate.ids["record"], estate.ids["other_record"] = first.id, second.id
    estate.ids["remove_experiment"] = estate.ids["experiment"]


def register_scorers(estate: Estate, client: needletail.Client) -> None:
    """Register two versions of a scorer, and another one."""
    for name in (f"{estate.metric} other", estate.metric, estate.metric):
        client.tracing.register_scorer(
            project_id=estate.ids["project"],
            experiment_id=estate.ids["experiment"],
            name=name,
            serialized_json=f'{{"key": "{estate.text}"}}',
        )


def make_issues(estate: Estate, client: needletail.Client) -> None:
    """Tell of two issues with all that there may be of one."""
    text = estate.text
    for kind in ("other_issue", "issue"):
        estate.ids[kind] = client.tracing.create_issue(
            project_id=estate.ids["project"],
            experiment_id=estate.ids["experiment"],
            name=text,
            description=text,
            severity=needletail.tracing.IssueSeverity.HIGH,
            root_causes=[text],
            categories=[text],
            source_run_id=estate.ids["run"],
            author=text,
        ).id


def make_reviews(estate: Estate, client: needletail.Client) -> None:
    """Ask two questions in two queues, with two traces in each."""
    tracing, text = client.tracing, estate.text
    where = {"project_id": estate.ids["project"], "experiment_id": estate.ids["experiment"]}
    options = needletail.tracing.CategoricalInput(options=[text])
    for kind in ("other_label_schema", "label_schema"):
        estate.ids[kind] = tracing.create_label_schema(
            **where,
            name=f"{text} {kind}",
            kind=needletail.tracing.AssessmentKind.FEEDBACK,
            instruction=text,
            input=needletail.tracing.LabelInput(categorical=options),
        ).id
    for kind in ("other_review_queue", "review_queue"):
        queue = tracing.create_review_queue(
            **where,
            name=f"{text} {kind}",
            kind=needletail.tracing.ReviewQueueKind.CUSTOM,
            users=[text],
            owner=text,
            label_schema_ids=[estate.ids["label_schema"]],
        ).id
        estate.ids[kind] = queue
        item = {"project_id": estate.ids["project"], "review_queue_id": queue}
        trace = estate.ids["trace"]
        tracing.add_review_items(**item, trace_ids=[trace, f"{text} to come"])
        tracing.update_review_item(
            **item,
            trace_id=trace,
            status=needletail.tracing.ReviewStatus.DECLINED,
            completed_by=text,
        )
