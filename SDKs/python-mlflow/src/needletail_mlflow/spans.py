"""Spans, and what they tell of their trace."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from mlflow.entities import Span
from mlflow.tracing.constant import SpanAttributeKey, TraceMetadataKey
from mlflow.tracing.utils import TraceJSONEncoder
from mlflow.utils.validation import _validate_trace_tag
from needletail.tracing import Span as Stored
from needletail.tracing import TracePair, TraceSpans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Later versions of MLflow read the conventions of OpenTelemetry, and add up tokens and costs.
try:
    from mlflow.tracing.otel.translation import translate_span_when_storing as _as_dict
except ImportError:
    _as_dict = Span.to_dict
try:
    from mlflow.tracing.utils import (
        SpanAggregationNode,
        aggregate_cost_from_span_nodes,
        aggregate_usage_from_span_nodes,
    )
except ImportError:
    # Earlier ones add up what whole spans tell.
    SpanAggregationNode = None
    from mlflow.tracing.utils import aggregate_cost_from_spans, aggregate_usage_from_spans
try:
    from mlflow.entities.span import LazySpan

    _from_json = LazySpan.from_stored_content
except (ImportError, AttributeError):

    def _from_json(text: str) -> Span:
        return Span.from_dict(json.loads(text))


MOST_SPANS = 1_000
HERE = {"mlflow.trace.spansLocation": "TRACKING_STORE"}
"""Tag by which MLflow's clients know that the spans of a trace are not among its artifacts."""

_MOST_BYTES = 1024 * 1024
_TAG_PREFIX = "mlflow.traceTag."
_SESSION_KEYS = ("session.id", "gen_ai.conversation.id")
_USER_KEY = "user.id"
_COST_KEY = "mlflow.llm.cost"
_COST = "mlflow.trace.cost"
_NOT_TAGS = ("telemetry.sdk.", "mlflow.")
_PREVIEW_LENGTH = 1_000
Attributes = dict[str, Any]


@dataclasses.dataclass(slots=True)
class Written:
    """A span as it is sent, and as MLflow writes it."""

    span: Stored
    attributes: Attributes
    resource: Attributes


def written(span: Span) -> Written:
    """What is kept of a span."""
    content = _as_dict(span)
    stored = Stored(
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        type=span.span_type,
        status=str(getattr(span.status.status_code, "value", span.status.status_code)),
        start_ns=span.start_time_ns,
        end_ns=span.end_time_ns,
        content_json=json.dumps(content, cls=TraceJSONEncoder, ensure_ascii=False),
    )
    resource = getattr(span._span, "resource", None)
    return Written(
        stored, content.get("attributes") or {}, dict(getattr(resource, "attributes", {}))
    )


def told(stored: Iterable[Stored]) -> list[Span]:
    """The spans of a trace: its root first, then as they began."""
    ordered = sorted(stored, key=lambda one: (one.parent_span_id is not None, one.start_ns))
    return [_from_json(one.content_json) for one in ordered]


def batches(
    traces: dict[str, list[Written]], before: dict[str, list[Stored]]
) -> Iterator[list[TraceSpans]]:
    """What is sent at once: as many spans as a call may have, and about a megabyte of them.

    `before` are the spans that are there of traces whose tokens and costs are to be added up.
    """
    batch: list[TraceSpans] = []
    count = size = 0
    for trace_id, spans in traces.items():
        facts = _facts(spans, before.get(trace_id, []))
        kept: list[Stored] = []
        for one in spans:
            span_size = len(one.span.content_json)
            if count == MOST_SPANS or (count and size + span_size > _MOST_BYTES):
                yield [*batch, *_of(trace_id, kept, facts)]
                batch, kept, count, size = [], [], 0, 0
            kept.append(one.span)
            count, size = count + 1, size + span_size
        batch += _of(trace_id, kept, facts)
    if batch:
        yield batch


def storable(preview: str | None) -> str | None:
    """A preview without U+0000, which no text on the server has: it is of any bytes that came."""
    return preview.replace("\0", "\ufffd") if preview else preview


def costs(spans: Iterable[Written]) -> bool:
    """Whether any of them tells what it used or cost."""
    keys = {SpanAttributeKey.CHAT_USAGE, _COST_KEY}
    return any(not keys.isdisjoint(one.attributes) for one in spans)


def _of(trace_id: str, spans: list[Stored], facts: dict[str, Any]) -> list[TraceSpans]:
    return [TraceSpans(trace_id=trace_id, spans=tuple(spans), **facts)] if spans else []


def _facts(spans: list[Written], before: list[Stored]) -> dict[str, Any]:
    """What spans tell of their trace."""
    root = next((one for one in spans if one.span.parent_span_id is None), None)
    attributes = root.attributes if root else {}
    return {
        "tags": _pairs({**_tags(spans, attributes), **HERE}),
        "metadata": _pairs({**_metadata(spans), **_sums(spans, before)}),
        "request_preview": storable(_preview(attributes.get(SpanAttributeKey.INPUTS), "user")),
        "response_preview": storable(
            _preview(attributes.get(SpanAttributeKey.OUTPUTS), "assistant")
        ),
    }


def _tags(spans: list[Written], root: Attributes) -> dict[str, str]:
    """Tags of the resource that made the spans, and those that the root carries for its trace."""
    found: dict[str, str] = {}
    resource = next((one.resource for one in spans if one.resource), {})
    for key, value in resource.items():
        if not key.startswith(_NOT_TAGS):
            found[key] = value if isinstance(value, str) else json.dumps(value, default=str)
    for key, value in root.items():
        if key.startswith(_TAG_PREFIX):
            found[key[len(_TAG_PREFIX) :]] = str(_unwrapped(value))
    return dict(filter(None, (_checked(key, value) for key, value in found.items())))


def _checked(key: str, value: str) -> tuple[str, str] | None:
    try:
        return _validate_trace_tag(key, value)
    except Exception:  # noqa: BLE001 MLflow leaves such a tag out, too
        return None


def _metadata(spans: list[Written]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in spans:
        for key in _SESSION_KEYS:
            if one.attributes.get(key):
                found.setdefault(
                    TraceMetadataKey.TRACE_SESSION, str(_unwrapped(one.attributes[key]))
                )
        if one.attributes.get(_USER_KEY):
            found.setdefault(
                TraceMetadataKey.TRACE_USER, str(_unwrapped(one.attributes[_USER_KEY]))
            )
    return found


def _sums(spans: list[Written], before: list[Stored]) -> dict[str, str]:
    """Tokens and costs of all spans of the trace, each counted once in the tree."""
    if not costs(spans):
        return {}
    rewritten = {one.span.span_id for one in spans}
    known = [one for one in before if one.span_id not in rewritten]
    if SpanAggregationNode is None:
        whole = [_from_json(one.content_json) for one in (*(one.span for one in spans), *known)]
        usage, cost = aggregate_usage_from_spans(whole), aggregate_cost_from_spans(whole)
    else:
        tree = [(one.span, one.attributes) for one in spans] + [
            (one, json.loads(one.content_json).get("attributes") or {}) for one in known
        ]
        usage = aggregate_usage_from_span_nodes(_nodes(tree, SpanAttributeKey.CHAT_USAGE))
        cost = aggregate_cost_from_span_nodes(_nodes(tree, _COST_KEY))
    totals = {TraceMetadataKey.TOKEN_USAGE: usage, _COST: cost}
    return {name: json.dumps(total) for name, total in totals.items() if total}


def _nodes(tree: list[tuple[Stored, Attributes]], key: str) -> list[Any]:
    return [_node(span, attributes.get(key)) for span, attributes in tree]


def _node(span: Stored, value: Any) -> Any:
    data = _unwrapped(value)
    return SpanAggregationNode(
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        data=data if isinstance(data, dict) else None,
    )


def _preview(value: Any, role: str) -> str | None:
    if not value:
        return None
    try:
        from mlflow.tracing.utils.truncation import _get_truncated_preview  # noqa: PLC0415
    except ImportError:
        return str(value)[:_PREVIEW_LENGTH]
    return _get_truncated_preview(value, role=role)


def _unwrapped(value: Any) -> Any:
    """A value without the JSON that MLflow writes attributes of spans in."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _pairs(pairs: dict[str, str]) -> tuple[TracePair, ...]:
    return tuple(TracePair(key=key, value=value) for key, value in pairs.items())
