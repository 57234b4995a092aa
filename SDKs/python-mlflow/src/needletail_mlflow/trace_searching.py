"""Filters and orders of traces: MLflow's rules, written for Needletail."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException
from mlflow.tracing.constant import TraceMetadataKey
from mlflow.utils.search_utils import SearchTraceUtils

from needletail_mlflow import ids
from needletail_mlflow.errors import invalid
from needletail_mlflow.searching import Comparison, direction, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

LINKED_PROMPTS = "mlflow.linkedPrompts"

_ENTITIES = {
    "attribute": "attributes", "tag": "tags", "request_metadata": "metadata", "span": "span",
    "feedback": "feedback", "expectation": "expectation", "issue": "issue",
}  # fmt: skip
_STATES = {"OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED", "UNSPECIFIED"}
_PROMPT = re.compile(r"(?P<name>[^/]*)/(?P<version>[^/]*)")
# MLflow's own checks, each false of another kind, in the order in which it makes them.
_CHECKS = ("is_issue", "is_attribute", "is_tag", "is_request_metadata", "is_span", "is_assessment")
_CHECKS_OF_KIND = {"is_tag", "is_request_metadata"}


@functools.lru_cache(maxsize=256)
def trace_filter(text: str) -> str:
    """A filter of traces."""
    parsed = SearchTraceUtils.parse_search_filter_for_search_traces(text)
    return " AND ".join(map(_written, parsed))


def trace_order(clauses: Iterable[str] | None) -> list[str]:
    """An order of traces; MLflow's ends with the newest first, then by id."""
    clauses = list(clauses or ())
    parsed = [SearchTraceUtils.parse_order_by_for_search_traces(one) for one in clauses]
    wanted = {(kind, key): is_rising for kind, key, is_rising in parsed}
    if len(wanted) < len(parsed):
        raise MlflowException(f"`order_by` contains duplicate fields: {clauses}")
    wanted.setdefault(("attribute", "timestamp_ms"), False)
    wanted.setdefault(("attribute", "request_id"), True)
    return [
        f"{_field(kind, key)} {direction(is_rising)}" for (kind, key), is_rising in wanted.items()
    ]


def _written(comparison: Comparison) -> str:
    kind, key, value = comparison["type"], comparison["key"], comparison["value"]
    operator = comparison["comparator"].upper()
    _check(kind, key, operator)
    if (kind, key) == ("tag", LINKED_PROMPTS):
        return _by_prompt(operator, value)
    if (kind, key, operator) == ("request_metadata", TraceMetadataKey.SOURCE_RUN, "="):
        # Also of the runs that it was linked to.
        return f"run_id = {quoted(value)}"
    if (kind, key) == ("attribute", "status") and operator in {"=", "!="} and value not in _STATES:
        # To MLflow a state that there is not is a text like any other: no trace has it.
        return f"trace_id {operator} ''"
    if kind == "issue":
        value = ids.issue_to_uuid(value) or value
    return f"{_field(kind, key)} {operator}{_value(value)}"


def _check(kind: str, key: str, operator: str) -> None:
    for name in _CHECKS:
        check = getattr(SearchTraceUtils, name, None)
        if check is not None:
            check(kind, operator) if name in _CHECKS_OF_KIND else check(kind, key, operator)


def _by_prompt(operator: str, value: str) -> str:
    if operator != "=":
        raise invalid(
            f"Invalid comparator '{operator}' for prompts filter. "
            "Only '=' is supported with format: prompt = \"name/version\""
        )
    found = _PROMPT.fullmatch(value)
    if found is None:
        raise invalid(
            f"Invalid prompts filter value '{value}'. Expected format: prompt = \"name/version\""
        )
    entry = f'{{"name": "{found["name"]}", "version": "{found["version"]}"}}'
    return f"{_field('tag', LINKED_PROMPTS)} LIKE {quoted(f'%{_literally(entry)}%')}"


def _literally(text: str) -> str:
    return re.sub(r"[%_\\]", r"\\\g<0>", text)


def _field(kind: str, key: str) -> str:
    if kind == "attribute":
        return f"attributes.{key}"
    if kind == "span" and key.startswith("attributes."):
        key = f"attributes.{key[len('attributes.') :].strip('`')}"
    name = key.replace("`", "``")
    return f"{_ENTITIES[kind]}.`{name}`"


def _value(value) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple, set)):
        return f" ({', '.join(quoted(str(one)) for one in value)})"
    return f" {value}" if isinstance(value, (int, float)) else f" {quoted(value)}"
