"""Filters and orders of models and versions: MLflow's rules, written for Needletail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from needletail_mlflow.errors import invalid
from needletail_mlflow.searching import direction, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TEXTS = {"=", "!=", "LIKE", "ILIKE"}
_LISTS = {"IN", "NOT IN"}
_VERSIONS_FIRST = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")
_ARE_NO_PROMPTS = f"(tags.`{IS_PROMPT_TAG_KEY}` IS NULL OR tags.`{IS_PROMPT_TAG_KEY}` != 'true')"
Comparison = dict[str, Any]


def model_filter(text: str | None) -> str:
    """A filter of models; what is a prompt is found only where that is asked for."""
    return _joined(SearchModelUtils.parse_search_filter(text), _check_model)


def version_filter(text: str | None) -> str:
    """A filter of versions; so are those of prompts."""
    return _joined(SearchModelVersionUtils.parse_search_filter(text), _check_version)


def model_order(clauses: Iterable[str] | None) -> list[str]:
    """An order of models; MLflow's ends with the name."""
    parsed = []
    for clause in clauses or ():
        key, is_rising = SearchUtils.parse_order_by_for_search_registered_models(clause)
        if key in SearchUtils.VALID_TIMESTAMP_ORDER_BY_KEYS:
            key = "last_updated_timestamp"
        parsed.append((key, is_rising))
    return _order(parsed, clauses, {"name": True})


def version_order(clauses: Iterable[str] | None) -> list[str]:
    """An order of versions; MLflow's ends with the name and the latest version."""
    clauses = clauses or _VERSIONS_FIRST
    parsed = []
    for clause in clauses:
        kind, key, is_rising = SearchModelVersionUtils.parse_order_by_for_search_model_versions(
            clause
        )
        if kind != "attribute" or key not in SearchModelVersionUtils.VALID_ORDER_BY_ATTRIBUTE_KEYS:
            raise invalid(
                f"Invalid order by key '{key}' specified. Valid keys are "
                f"{SearchModelVersionUtils.VALID_ORDER_BY_ATTRIBUTE_KEYS}"
            )
        parsed.append((key, is_rising))
    return _order(parsed, clauses, {"name": True, "version_number": False})


def _order(
    parsed: list[tuple[str, bool]], clauses: Iterable[str] | None, last: dict[str, bool]
) -> list[str]:
    wanted = dict(parsed)
    if len(wanted) < len(parsed):
        raise MlflowException(f"`order_by` contains duplicate fields: {clauses}")
    wanted |= {key: is_rising for key, is_rising in last.items() if key not in wanted}
    return [f"attributes.{key} {direction(is_rising)}" for key, is_rising in wanted.items()]


def _joined(comparisons: list[Comparison], check: Callable[[Comparison], None]) -> str:
    for comparison in comparisons:
        check(comparison)
    if not _asks_for_prompts(comparisons):
        parts = [written(one) for one in comparisons if not _is_about_prompts(one)]
        return " AND ".join([*parts, _ARE_NO_PROMPTS])
    return " AND ".join(map(written, comparisons))


def _asks_for_prompts(comparisons: list[Comparison]) -> bool:
    for one in comparisons:
        if _is_about_prompts(one):
            return (one["comparator"], one["value"].lower()) in {("=", "true"), ("!=", "false")}
    return False


def _is_about_prompts(comparison: Comparison) -> bool:
    return (comparison["type"], comparison["key"]) == ("tag", IS_PROMPT_TAG_KEY)


def _check_model(comparison: Comparison) -> None:
    if comparison["type"] == "tag":
        _check_tag(comparison)
        return
    if comparison["key"] != "name":
        raise invalid(f"Invalid attribute name: {comparison['key']}")
    if comparison["comparator"] not in _TEXTS | _LISTS:
        raise invalid(f"Invalid comparator for attribute: {comparison['comparator']}")


def _check_version(comparison: Comparison) -> None:
    key, comparator = comparison["key"], comparison["comparator"]
    if comparison["type"] == "tag":
        _check_tag(comparison)
    elif key not in SearchModelVersionUtils.VALID_SEARCH_ATTRIBUTE_KEYS:
        raise invalid(f"Invalid attribute name: {key}")
    elif key in SearchModelVersionUtils.NUMERIC_ATTRIBUTES:
        _check_number(comparison)
    elif comparator not in _TEXTS and (comparator not in _LISTS or key not in {"run_id", "name"}):
        raise invalid(f"Invalid comparator for attribute: {comparator}")


def _check_number(comparison: Comparison) -> None:
    key, comparator, value = comparison["key"], comparison["comparator"], comparison["value"]
    if comparator not in SearchModelVersionUtils.VALID_NUMERIC_ATTRIBUTE_COMPARATORS:
        raise invalid(f"Invalid comparator for attribute {key}: {comparator}")
    if isinstance(value, float) or not str(value).lstrip("+-").isdecimal():
        raise invalid(f"Invalid value for numeric attribute '{key}': {value!r}")
    comparison["value"] = int(value)


def _check_tag(comparison: Comparison) -> None:
    if comparison["comparator"] not in _TEXTS:
        raise invalid(f"Invalid comparator for tag: {comparison['comparator']}")
