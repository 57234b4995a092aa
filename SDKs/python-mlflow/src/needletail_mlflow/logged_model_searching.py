"""Filters and orders of logged models: MLflow's rules, written for Needletail."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any

import sqlparse
from mlflow.utils.search_utils import _join_in_comparison_tokens
from needletail.tracking import LoggedModelDataset, LoggedModelOrder
from sqlparse.sql import Comparison as Parsed

from needletail_mlflow import ids
from needletail_mlflow._version import is_at_least
from needletail_mlflow.errors import invalid
from needletail_mlflow.searching import SOURCE_RUN_TAG, by_id, direction, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from needletail_mlflow.searching import Comparison

_KINDS = {"attributes": "attribute", "metrics": "metric", "params": "parameter", "tags": "tag"}
_ALIASES = {
    "creation_time": "creation_timestamp", "creation_timestamp_ms": "creation_timestamp",
    "last_updated_time": "last_updated_timestamp",
    "last_updated_timestamp_ms": "last_updated_timestamp",
}  # fmt: skip
_TIMES = {"creation_timestamp", "last_updated_timestamp"}
_ATTRIBUTES = _TIMES | {
    "name", "model_id", "model_type", "status", "source_run_id", "experiment_id",
}  # fmt: skip
_STATUSES = {"PENDING", "READY", "FAILED"}
_NUMBER_OPERATORS = ("<", "<=", ">", ">=", "=", "!=")
_TEXT_OPERATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")


def logged_model_filter(text: str | None, to_uuid: Callable[[Any], str | None]) -> str:
    """A filter of logged models; `to_uuid` knows experiments by their ids."""
    return " AND ".join(_written(one, to_uuid) for one in _comparisons(text or ""))


def logged_model_order(
    fields: Iterable[dict[str, Any]] | None, datasets: Sequence[dict[str, Any]] | None = None
) -> list[LoggedModelOrder]:
    """An order of logged models; MLflow's ends with the newest first, then by id.

    To later versions of MLflow, a search on `datasets` also orders by what was measured on them:
    one dataset alone can be said here.
    """
    of_all = datasets[0] if datasets and len(datasets) == 1 and is_at_least(3, 18) else {}
    found: dict[tuple[str, str, str], bool] = {}
    for one in fields or ():
        measured = one if one.get("dataset_name") or one.get("dataset_digest") else of_all
        dataset = measured.get("dataset_name") or "", measured.get("dataset_digest") or ""
        field = _ordered(str(one.get("field_name") or ""))
        # Of an attribute a dataset says nothing.
        place = (field, *dataset) if field.startswith("metrics.") else (field, "", "")
        found.setdefault(place, bool(one.get("ascending", True)))
    if not found:
        return []
    found.setdefault(("attributes.creation_timestamp", "", ""), False)
    found.setdefault(("attributes.model_id", "", ""), True)
    return [
        LoggedModelOrder(
            field=f"{field} {direction(is_rising)}",
            dataset=LoggedModelDataset(name=name, digest=digest) if name or digest else None,
        )
        for (field, name, digest), is_rising in found.items()
    ]


def _ordered(name: str) -> str:
    kind, dot, key = name.partition(".")
    if not dot:
        key = _ALIASES.get(name, name)
        if key not in _ATTRIBUTES:
            raise invalid(f"Invalid order by field name: {name}")
        return f"attributes.{key}"
    if kind != "metrics":
        raise invalid(f"Invalid order by field name: {name}. Only metrics are supported.")
    doubled = key.strip("`").replace("`", "``")
    return f"metrics.`{doubled}`"


@functools.lru_cache(maxsize=256)
def _comparisons(text: str) -> tuple[Comparison, ...]:
    if not text.strip():
        return ()
    statements = sqlparse.parse(text)
    if len(statements) != 1:
        raise invalid(f"Invalid filter string: {text!r}. Write one expression.")
    found = []
    for part in _join_in_comparison_tokens(statements[0].tokens):
        if isinstance(part, Parsed):
            found.append(_comparison(part))
        elif part.value.strip().upper() not in {"AND", ""}:
            raise invalid(
                f"Invalid filter string: {text!r}. Write comparisons with AND between them, as in"
                " \"metrics.loss < 0.1 AND params.lr = '0.01'\"."
            )
    return tuple(found)


def _comparison(parsed: Parsed) -> Comparison:
    tokens = [str(token) for token in parsed.tokens if not token.is_whitespace]
    if len(tokens) != 3:  # noqa: PLR2004 what, how, with what
        raise invalid(f"Invalid comparison: {parsed}. Write a field, an operator and a value.")
    name, operator, text = tokens
    operator = operator.upper()
    kind, key = _field(name)
    is_number = kind == "metric" or (kind == "attribute" and key in _TIMES)
    operators = _NUMBER_OPERATORS if is_number else _TEXT_OPERATORS
    if operator not in operators:
        raise invalid(
            f"Invalid comparison operator for {name}: {operator!r}. Use one of {operators}."
        )
    value = _number(text) if is_number else _text(text)
    return {"type": kind, "key": key, "comparator": operator, "value": value}


def _check_status(operator: str, value: Any) -> None:
    """Later versions of MLflow refuse statuses that there are not, and parts of their names."""
    if operator in {"LIKE", "ILIKE"}:
        raise invalid(
            f"Invalid comparison operator for status: {operator}. Use one of =, !=, IN, NOT IN."
        )
    unknown = {value} - _STATUSES if isinstance(value, str) else set(value) - _STATUSES
    if unknown:
        raise invalid(f"Unknown model status in filter: {value!r}. Use one of {sorted(_STATUSES)}.")


def _field(name: str) -> tuple[str, str]:
    word, dot, key = name.partition(".")
    if not dot or not word.isalpha():
        word, key = "attributes", name
    kind = _KINDS.get(word)
    if kind is None:
        raise invalid(f"Invalid entity type: {word!r}. Use one of {list(_KINDS)}.")
    key = key.strip("`")
    if kind == "attribute":
        key = _ALIASES.get(key, key)
        if key not in _ATTRIBUTES:
            raise invalid(f"Invalid attribute: {key!r}. Use one of {sorted(_ATTRIBUTES)}.")
    return kind, key


def _number(text: str) -> float | int:
    try:
        value = float(text.strip("'\""))
    except ValueError:
        raise invalid(f"Invalid number: {text}") from None
    return int(value) if value.is_integer() else value


def _text(text: str) -> str | tuple[str, ...]:
    if not text.startswith("("):
        return text[1:-1].replace("''", "'") if text[:1] in {"'", '"'} else text
    try:
        values = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        raise invalid(f"Invalid list: {text}. Write texts in parentheses.") from None
    return (values,) if isinstance(values, str) else tuple(map(str, values))


def _written(comparison: Comparison, to_uuid: Callable[[Any], str | None]) -> str:
    kind, key, value = comparison["type"], comparison["key"], comparison["value"]
    operator = comparison["comparator"]
    if (kind, key) == ("attribute", "status") and is_at_least(3, 18):
        _check_status(operator, value)
    elif (kind, key) == ("attribute", "status") and operator in {"=", "!="}:
        if value not in _STATUSES:
            # No model has another status: none is of no id, and all are of another.
            return by_id("attributes.model_id", {**comparison, "value": ""}, ids.model_to_uuid)
    elif (kind, key, operator) == ("attribute", "source_run_id", "=") and not ids.to_uuid(value):
        return written({**comparison, "type": "tag", "key": SOURCE_RUN_TAG})
    elif (kind, key) == ("attribute", "model_id") and operator in {"LIKE", "ILIKE"}:
        return by_id("attributes.model_id", {**comparison, "value": value[2:]}, ids.to_uuid)
    known = {
        "model_id": ids.model_to_uuid, "source_run_id": ids.to_uuid, "experiment_id": to_uuid,
    }  # fmt: skip
    if kind == "attribute" and key in known:
        return by_id(f"attributes.{key}", comparison, known[key])
    return written(comparison)
