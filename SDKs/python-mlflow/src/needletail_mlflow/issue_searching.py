"""Filters and orders of issues: MLflow's rules, written for Needletail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlflow.utils import search_utils
from needletail.tracing import IssueSeverity, IssueStatus

from needletail_mlflow import ids
from needletail_mlflow.errors import invalid
from needletail_mlflow.searching import NOBODY, by_id, direction, quoted, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from needletail.tracing import Issue

STATUSES = {one.name.lower(): one for one in IssueStatus if one.value}
SEVERITIES = {one.name.lower(): one for one in IssueSeverity if one.value}

_MOST = 100
_LONGEST = 250
# MLflow's fields of an order, and what they are here: an issue was seen last when it was changed.
_FIELDS = {
    "name": "name", "status": "status", "severity": "severity_rank",
    "created_timestamp": "created_time", "last_updated_timestamp": "last_update_time",
    "last_seen_timestamp": "last_update_time",
}  # fmt: skip


def issue_filter(
    text: str | None,
    name: str | None = None,
    statuses: list[str] | None = None,
    severities: list[str] | None = None,
) -> str:
    """A filter of issues: MLflow's text, and what its later versions say beside it."""
    found = []
    if text:
        parsed = search_utils.SearchIssuesUtils.parse_search_filter(text)
        found += [_comparison(one) for one in parsed]
    if name is not None:
        if not isinstance(name, str) or len(name) > _LONGEST:
            raise invalid(f"name must be a string of at most {_LONGEST} characters")
        literally = re.sub(r"[%_\\]", r"\\\g<0>", name)
        found.append(f"attributes.name ILIKE {quoted(f'%{literally}%')}")
    for field, plural, values, known in (
        ("status", "statuses", statuses, STATUSES),
        ("severity", "severities", severities, SEVERITIES),
    ):
        if words := [known_value(field, one, known) for one in _texts(plural, values)]:
            listed = ", ".join(quoted(one.name) for one in words)
            found.append(f"attributes.{field} IN ({listed})")
    return " AND ".join(found)


def issue_order(clauses: list[str] | None) -> list[str]:
    """An order of issues; MLflow's ends with the id. None of it: the server's own."""
    wanted: dict[str, bool] = {}
    for clause in _texts("order_by", clauses):
        field, *word = clause.split() or [""]
        way = word[0].upper() if word else "ASC"
        if field not in _FIELDS or len(word) > 1 or way not in {"ASC", "DESC"}:
            raise invalid(
                f"Invalid issue order_by: {clause!r}. Use one of {', '.join(_FIELDS)}, and ASC or"
                " DESC."
            )
        wanted.setdefault(_FIELDS[field], way == "ASC")
    if not wanted:
        return []
    wanted["issue_id"] = False
    return [f"attributes.{field} {direction(is_rising)}" for field, is_rising in wanted.items()]


def of_categories(categories: list[str] | None) -> Callable[[Issue], bool] | None:
    """Whether an issue is of any of these, which the server does not search by; None = all are."""
    wanted = {_plain(one) for one in _texts("categories", categories)}
    if not wanted:
        return None
    return lambda issue: not wanted.isdisjoint(map(_plain, issue.categories))


def known_value(field: str, value: Any, known: dict[str, Any]) -> Any:
    """What a word of MLflow's is here; None for none."""
    if value is None:
        return None
    found = known.get(str(getattr(value, "value", value)))
    if found is None:
        raise invalid(f"Invalid value {value!r} for {field}: it must be one of {', '.join(known)}")
    return found


def _texts(field: str, values: Any) -> Iterable[str]:
    if values is None:
        return ()
    if not isinstance(values, (list, tuple)) or len(values) > _MOST:
        raise invalid(f"{field} must be a list of at most {_MOST} strings")
    if not all(isinstance(one, str) for one in values):
        raise invalid(f"{field} must be a list of strings")
    return values


def _plain(category: str) -> str:
    return category.strip().lower()


def _comparison(comparison: dict[str, Any]) -> str:
    if comparison["key"] == "source_run_id":
        return by_id("attributes.source_run_id", comparison, ids.to_uuid)
    if comparison["value"] not in STATUSES:
        # To MLflow a status that there is not is a text like any other: no issue has it.
        return f"attributes.issue_id {comparison['comparator']} '{NOBODY}'"
    return written(comparison)
