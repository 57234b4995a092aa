"""Filters and orders: read with MLflow's rules and messages, and written for Needletail."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from mlflow.entities import RunStatus, ViewType
from mlflow.store.tracking import SEARCH_MAX_RESULTS_THRESHOLD
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_USER
from mlflow.utils.search_utils import SearchExperimentsUtils, SearchUtils
from needletail.tracking import LifeView

from needletail_mlflow import ids
from needletail_mlflow.errors import invalid
from needletail_mlflow.importing import SOURCE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlflow.entities import Run

DEFAULT_EXPERIMENT_TAG = "needletail.mlflow.experiment_id"
"""Tag of the experiment that MLflow knows as "0"."""

USER_TAG = "needletail.mlflow.user_id"
"""Tag of a run with the user that MLflow named, where its own tag names none."""

SOURCE_RUN_TAG = "needletail.mlflow.source_run_id"
"""Tag of a logged model with the run that MLflow named as its source, where no run has that id."""

END_TAG = "needletail.mlflow.end_time"
"""Tag of a run with the end that is kept and the one that MLflow told, where they differ."""

UNNAMED_TAG = "needletail.mlflow.unnamed"
"""Tag of a run with the name that it had when MLflow's tag of it was deleted."""

OWN_TAGS = {
    DEFAULT_EXPERIMENT_TAG, SOURCE_TAG, USER_TAG, SOURCE_RUN_TAG, END_TAG, UNNAMED_TAG,
}  # fmt: skip
"""Tags that MLflow does not see."""

NOBODY = "00000000-0000-0000-0000-000000000000"
"""An id that nothing has."""

VIEWS = {
    ViewType.ACTIVE_ONLY: LifeView.LIVE,
    ViewType.DELETED_ONLY: LifeView.DELETED,
    ViewType.ALL: LifeView.ALL,
}

_ALIASES = {
    "created": "start_time", "Created": "start_time", "run name": "run_name",
    "Run name": "run_name", "Run Name": "run_name", "run_uuid": "run_id",
}  # fmt: skip
_STATUSES = {RunStatus.to_string(status) for status in RunStatus.all_status()}
_ENTITIES = {"metric": "metrics", "parameter": "params", "tag": "tags", "dataset": "datasets"}
_NUMBERS = {
    "start_time", "end_time", "creation_time", "last_update_time",
    "version_number", "creation_timestamp", "last_updated_timestamp",
}  # fmt: skip
Comparison = dict[str, Any]
Item = TypeVar("Item")


def check_max_results(max_results: int) -> None:
    """Refuses what MLflow refuses, in its words."""
    if max_results is None or max_results < 1:
        raise invalid(
            f"Invalid value {max_results} for parameter 'max_results' supplied. It must be "
            "a positive integer"
        )
    if max_results > SEARCH_MAX_RESULTS_THRESHOLD:
        raise invalid(
            f"Invalid value {max_results} for parameter 'max_results' supplied. It must be at "
            f"most {SEARCH_MAX_RESULTS_THRESHOLD}"
        )


@functools.lru_cache(maxsize=256)
def run_filter(text: str) -> str:
    """A filter of runs, without what it says of their artifacts' places."""
    parsed = SearchUtils.parse_search_filter(text)
    return _joined([one for one in parsed if not _is_of_place(one)], _run_comparison)


@functools.lru_cache(maxsize=256)
def place_filter(text: str) -> Callable[[Run], bool] | None:
    """What a filter says of the places of artifacts, which the server does not know, if any."""
    wanted = [one for one in SearchUtils.parse_search_filter(text) if _is_of_place(one)]
    for one in wanted:
        _check_operator(one["type"], one["key"], one["comparator"])
    if not wanted:
        return None
    return lambda run: all(SearchUtils._does_run_match_clause(run, one) for one in wanted)


@functools.lru_cache(maxsize=256)
def run_order(clauses: tuple[str, ...]) -> list[str]:
    """An order of runs; MLflow's ends with the latest start first, then by id."""
    parsed = _without_twins(map(SearchUtils.parse_order_by_for_search_runs, clauses))
    found = [_run_order(kind, key, is_rising) for kind, key, is_rising in parsed]
    fields = {(kind, key) for kind, key, _ in parsed}
    if ("attribute", "start_time") not in fields:
        found.append("attributes.start_time DESC")
    if ("attribute", "run_id") not in fields:
        found.append("attributes.run_id ASC")
    return found


def experiment_filter(text: str | None, to_uuid: Callable[[str], str | None]) -> str:
    """A filter of experiments; `to_uuid` knows their ids."""

    def one(comparison: Comparison) -> str:
        if comparison["type"] == "attribute" and comparison["key"] == "experiment_id":
            return by_id("attributes.experiment_id", comparison, to_uuid)
        return written(comparison)

    return _joined(SearchExperimentsUtils.parse_search_filter(text), one)


def experiment_order(clauses: Iterable[str] | None) -> list[str]:
    """An order of experiments."""
    parsed = map(SearchExperimentsUtils.parse_order_by_for_search_experiments, clauses or ())
    return [f"{_field(kind, key)} {direction(rises)}" for kind, key, rises in parsed]


def _is_of_place(comparison: Comparison) -> bool:
    return (comparison["type"], comparison["key"]) == ("attribute", "artifact_uri")


def _joined(comparisons: list[Comparison], one: Callable[[Comparison], str]) -> str:
    return " AND ".join(map(one, comparisons))


def _run_comparison(comparison: Comparison) -> str:
    kind, key = comparison["type"], comparison["key"]
    key = _ALIASES.get(key, key) if kind == "attribute" else key
    _check_operator(kind, key, comparison["comparator"])
    comparison = {**comparison, "key": key}
    if (kind, key) == ("attribute", "run_id"):
        return by_id("attributes.run_id", comparison, ids.to_uuid)
    if (kind, key) == ("attribute", "user_id"):
        named = (
            written({**comparison, "type": "tag", "key": tag}) for tag in (MLFLOW_USER, USER_TAG)
        )
        return f"({' OR '.join(named)})"
    if (kind, key) == ("tag", MLFLOW_RUN_NAME):
        return written({**comparison, "type": "attribute", "key": "run_name"})
    if (kind, key) == ("attribute", "status") and comparison["comparator"] in {"=", "!="}:
        return _by_status(comparison)
    return written(comparison)


def _check_operator(kind: Any, key: Any, operator: Any) -> None:
    # Each of these is false of another kind, and refuses an operator of its own.
    SearchUtils.is_metric(kind, operator)
    SearchUtils.is_param(kind, operator)
    SearchUtils.is_tag(kind, operator)
    SearchUtils.is_string_attribute(kind, key, operator)
    SearchUtils.is_numeric_attribute(kind, key, operator)
    SearchUtils.is_dataset(kind, operator)


def _by_status(comparison: Comparison) -> str:
    # To MLflow a status that there is not is a text like any other: no run has it.
    if comparison["value"] in _STATUSES:
        return written(comparison)
    return f"attributes.run_id {comparison['comparator']} '{NOBODY}'"


def _run_order(kind: str, key: str, is_rising: bool) -> str:
    if (kind, key) == ("tag", MLFLOW_RUN_NAME):
        kind, key = "attribute", "run_name"
    if (kind, key) == ("attribute", "user_id"):
        kind, key = "tag", MLFLOW_USER
    return f"{_field(kind, key)} {direction(is_rising)}"


def _without_twins(parsed: Iterable[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    found: dict[tuple[str, str], bool] = {}
    for kind, written, is_rising in parsed:
        key = _ALIASES.get(written, written) if kind == "attribute" else written
        if (kind, key) in found:
            raise invalid(f"`order_by` contains duplicate fields: {kind}s.{key}")
        found[kind, key] = is_rising
    return [(kind, key, is_rising) for (kind, key), is_rising in found.items()]


def by_id(field: str, comparison: Comparison, to_uuid: Callable[[str], str | None]) -> str:
    """A comparison of ids; `to_uuid` knows them."""
    operator, value = comparison["comparator"].upper(), comparison["value"]
    if operator in {"IN", "NOT IN"}:
        known = [to_uuid(str(one)) or NOBODY for one in value]
        return f"{field} {operator} ({', '.join(map(quoted, known))})"
    if operator in {"LIKE", "ILIKE"}:
        # Ids are UUIDs there: a pattern can only be a whole id, or its beginning.
        return f"{field} {operator} {quoted(_id_pattern(str(value)))}"
    return f"{field} {operator} {quoted(to_uuid(str(value)) or NOBODY)}"


def _id_pattern(pattern: str) -> str:
    uuid = ids.to_uuid(pattern)
    if uuid is not None:
        return uuid
    head = pattern.rstrip("%")
    dashed = "".join(f"-{c}" if place in {8, 12, 16, 20} else c for place, c in enumerate(head))
    return dashed + pattern[len(head) :]


def written(comparison: Comparison) -> str:
    """A comparison as Needletail reads it."""
    field = _field(comparison["type"], comparison["key"])
    operator, value = comparison["comparator"].upper(), comparison["value"]
    if value is None:
        return f"{field} {operator}"
    if isinstance(value, (list, tuple, set)):
        return f"{field} {operator} ({', '.join(quoted(str(one)) for one in value)})"
    if comparison["type"] == "metric" or comparison["key"] in _NUMBERS:
        return f"{field} {operator} {value}"
    return f"{field} {operator} {quoted(value)}"


def _field(kind: str, key: str) -> str:
    name = key.replace("`", "``")
    return f"attributes.{key}" if kind == "attribute" else f"{_ENTITIES[kind]}.`{name}`"


def direction(is_rising: bool) -> str:
    """How an order ends."""
    return "ASC" if is_rising else "DESC"


def gathered(
    read: Callable[[int, str], tuple[Sequence[Item], str]],
    most: int | None,
    token: str,
    page: int,
    is_wanted: Callable[[Item], bool] | None = None,
) -> tuple[list[Item], str | None]:
    """As many of what a search finds as MLflow asks for, and what stands for the place behind.

    Args:
        read: Reads a page of at most so many from a place on; tells the next place.
        most: None = all.
        token: The place to begin at; empty = the first.
        page: As many as the server tells at once.
        is_wanted: Passes over the others, which the server does not know; None = all are wanted.
    """
    found: list[Item] = []
    size = page
    while True:
        left = page if most is None else most - len(found)
        items, following = read(size if is_wanted else min(page, left), token)
        if is_wanted:
            places = [place for place, item in enumerate(items) if is_wanted(item)]
            if most is not None and len(places) > left:
                # Its token is of no use: once more, up to the last one that is wanted.
                size = places[left - 1] + 1
                continue
            items = [items[place] for place in places]
        found += items
        token = following
        if not token or (most is not None and len(found) >= most):
            return found, token or None


def quoted(text: str) -> str:
    """A text within a filter."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
