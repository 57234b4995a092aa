"""Traces in an experiment of a test's own."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from needletail.tracing import (
    Assessment,
    AssessmentKind,
    Span,
    Trace,
    TracePair,
    TraceSpan,
    TraceSpans,
    TraceState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import needletail

MILLION = 1_000_000


def pairs(**found: str) -> list[TracePair]:
    """Make tags or metadata; two underscores are a dot."""
    return [TracePair(key=key.replace("__", "."), value=value) for key, value in found.items()]


def read(found: Iterable[TracePair]) -> dict[str, str]:
    """Return tags or metadata by their keys."""
    return {pair.key: pair.value for pair in found}


def name() -> str:
    """Make an identifier of a trace."""
    return f"tr-{uuid.uuid4().hex}"


class Bench:
    """Starts traces in one experiment."""

    def __init__(self, client: needletail.Client, at: dict[str, str], experiment: str) -> None:
        self.tracing, self.at, self.experiment = client.tracing, at, experiment

    def start(self, trace: str = "", **fields: Any) -> str:
        """Tell of a trace; return its identifier."""
        trace = trace or name()
        self.tracing.start_trace(
            **self.at, experiment_id=self.experiment, trace_id=trace,
            **{"state": TraceState.OK, "request_time_ms": 1_000, **fields},
        )  # fmt: skip
        return trace

    def log(self, trace: str, *spans: Span, **fields: Any) -> None:
        """Write spans of a trace."""
        told = TraceSpans(trace_id=trace, spans=list(spans), **fields)
        self.tracing.log_spans(**self.at, experiment_id=self.experiment, traces=[told])

    def get(self, *traces: str) -> list[Trace]:
        """Return traces."""
        return self.tracing.get_traces(**self.at, trace_ids=list(traces)).traces

    def one(self, trace: str) -> Trace:
        """Return one trace."""
        (found,) = self.get(trace)
        return found

    def spans(self, *traces: str, **fields: Any) -> list[TraceSpan]:
        """Return the spans of traces, from all pages."""
        return list(self.tracing.iterate_spans(**self.at, trace_ids=list(traces), **fields))

    def found(self, condition: str = "", **fields: Any) -> list[str]:
        """Return the identifiers of what a search finds, from all its pages."""
        fields = {**self.at, "experiment_ids": [self.experiment], "filter": condition, **fields}
        found, token = [], ""
        while True:
            page = self.tracing.search_traces(**fields, page_token=token)
            found += [trace.trace_id for trace in page.traces]
            token = page.next_page_token
            if not token:
                return found

    def count(self, condition: str = "") -> int:
        """Return how many traces a search finds."""
        at = {**self.at, "experiment_ids": [self.experiment]}
        return self.tracing.count_traces(**at, filter=condition).count

    def assess(self, trace: str, name: str, value: Any, **fields: Any) -> Assessment:
        """Write an assessment."""
        return self.tracing.create_assessment(
            **self.at, trace_id=trace,
            assessment=Assessment(
                name=name, value_json=json.dumps(value),
                **{"kind": AssessmentKind.FEEDBACK, "source_type": "CODE", **fields},
            ),
        )  # fmt: skip


def span(number: int, parent: int | None = None, **fields: Any) -> Span:
    """Make a span."""
    return Span(
        span_id=f"{number:016x}", parent_span_id=None if parent is None else f"{parent:016x}",
        **{
            "name": f"span {number}", "status": "OK", "start_ns": number * 1_000 * MILLION,
            "end_ns": (number * 1_000 + 500) * MILLION, "content_json": "{}", **fields,
        },
    )  # fmt: skip
