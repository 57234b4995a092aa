"""Evaluation datasets: what applications are asked, and what is expected of them then."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from mlflow.entities import DatasetRecord, EvaluationDataset
from mlflow.entities.dataset_record_source import DatasetRecordSource
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.mlflow_tags import MLFLOW_USER
from mlflow.utils.search_utils import SearchEvaluationDatasetsUtils
from needletail.errors import CallError
from needletail.tracing import EvaluationRecord, TracePair

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import (
    OWN_TAGS,
    check_max_results,
    direction,
    gathered,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from needletail.tracing import EvaluationDataset as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_log = logging.getLogger(__name__)

_DATASET, _RECORD = "d-", "dr-"
_NOT_FOUND = "EVALUATION_DATASET_NOT_FOUND"
_PAGE = 500
_RECORDS = 1_000
_BYTES = 3 << 20
_TEXTS = {"=", "!=", "LIKE", "ILIKE"}
_NUMBERS = {"created_time", "last_update_time"}


class EvaluationDatasets:
    """The evaluation datasets of a project."""

    def __init__(self, connection: Connection, experiments: Experiments) -> None:
        self._connection = connection
        self._experiments = experiments

    # What MLflow calls.

    def create(self, name, tags, experiment_ids) -> EvaluationDataset:
        tags = tags or {}
        with TRANSLATED:
            made = self._tracing.create_evaluation_dataset(
                project_id=self._connection.project_id,
                name=name,
                author=tags.get(MLFLOW_USER),
                tags=_pairs(tags),
                experiment_ids=self._uuids(experiment_ids),
            )
            told = self._told(made)
            told.experiment_ids = self._public_ids(made)
        return told

    def get(self, dataset_id) -> EvaluationDataset:
        with TRANSLATED:
            found = self._found(dataset_id)
            if found is None:
                raise missing(f"Evaluation dataset with id '{dataset_id}' not found")
            return self._told(found)

    def delete(self, dataset_id) -> None:
        with TRANSLATED:
            uuid = _uuid(dataset_id, _DATASET)
            try:
                if uuid:
                    self._tracing.delete_evaluation_dataset(**self._at(uuid))
                    return
            except CallError as error:
                if error.reason != _NOT_FOUND:
                    raise
        _log.warning("Evaluation dataset with id '%s' not found.", dataset_id)

    def search(
        self, experiment_ids, filter_string, max_results, order_by, page_token
    ) -> PagedList[EvaluationDataset]:
        check_max_results(max_results)
        condition, order = _filter(filter_string), _order(order_by)
        uuids = [self._experiments.uuid(one) for one in _whole(experiment_ids or ())]
        known = [one for one in dict.fromkeys(uuids) if one]
        if uuids and not known:
            return PagedList([], None)

        def read(size: int, token: str) -> tuple[Sequence[Stored], str]:
            page = self._tracing.search_evaluation_datasets(
                project_id=self._connection.project_id, experiment_ids=known, filter=condition,
                order_by=order, page_size=size, page_token=token,
            )  # fmt: skip
            return page.datasets, page.next_page_token

        with TRANSLATED:
            found, token = gathered(read, max_results, page_token or "", _PAGE)
            return PagedList([self._told(one) for one in found], token)

    def experiment_ids(self, dataset_id) -> list[str]:
        with TRANSLATED:
            found = self._found(dataset_id)
            return self._public_ids(found) if found else []

    def set_tags(self, dataset_id, tags: dict[str, Any]) -> None:
        wanted = {key: value for key, value in tags.items() if value is not None}
        with TRANSLATED:
            if self._update(dataset_id, tags=_pairs(wanted)) is None:
                raise missing(f"Could not find evaluation dataset with ID {dataset_id}")

    def delete_tag(self, dataset_id, key) -> None:
        with TRANSLATED:
            self._update(dataset_id, delete_tag_keys=[key])

    def add_to_experiments(self, dataset_id, experiment_ids) -> EvaluationDataset:
        with TRANSLATED:
            changed = self._update(dataset_id, add_experiment_ids=self._uuids(experiment_ids))
            if changed is None:
                raise missing(f"Dataset '{dataset_id}' not found")
            return self._told(changed)

    def remove_from_experiments(self, dataset_id, experiment_ids) -> EvaluationDataset:
        with TRANSLATED:
            before = self._found(dataset_id)
            if before is None:
                raise missing(f"Dataset '{dataset_id}' not found")
            used = set(self._public_ids(before))
            for one in map(str, experiment_ids):
                if one not in used:
                    _log.warning(
                        "Dataset '%s' was not associated with experiment '%s'", dataset_id, one
                    )
            gone = [self._experiments.uuid(one) for one in experiment_ids]
            known = [one for one in dict.fromkeys(gone) if one]
            return self._told(self._update(dataset_id, remove_experiment_ids=known) or before)

    def upsert(self, dataset_id, records: list[dict[str, Any]]) -> dict[str, int]:
        counts = {"inserted": 0, "updated": 0}
        with TRANSLATED:
            for part in _parts([_written(one) for one in records]):
                answer = self._tracing.write_evaluation_records(
                    **self._at(self._known(dataset_id)), records=part
                )
                counts["inserted"] += answer.inserted
                counts["updated"] += answer.updated
        return counts

    def records(
        self, dataset_id, max_results, page_token
    ) -> tuple[list[DatasetRecord], str | None]:
        uuid = _uuid(dataset_id, _DATASET)
        if not uuid:
            return [], None

        def read(size: int, token: str) -> tuple[Sequence[EvaluationRecord], str]:
            page = self._tracing.list_evaluation_records(
                **self._at(uuid), page_size=size, page_token=token
            )
            return page.records, page.next_page_token

        with TRANSLATED:
            try:
                found, token = gathered(read, max_results, page_token or "", _RECORDS)
            except CallError as error:
                if error.reason != _NOT_FOUND:
                    raise
                return [], None
            return [_record(one, dataset_id) for one in found], token

    def delete_records(self, dataset_id, record_ids: list[str]) -> int:
        known = [_uuid(one, _RECORD) for one in record_ids]
        wanted = [one for one in dict.fromkeys(known) if one]
        count = 0
        with TRANSLATED:
            for start in range(0, len(wanted), _RECORDS):
                count += self._tracing.delete_evaluation_records(
                    **self._at(self._known(dataset_id)),
                    record_ids=wanted[start : start + _RECORDS],
                ).count
        if not count:
            _log.warning("No records found to delete for dataset %s.", dataset_id)
        return count

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _at(self, uuid: str) -> dict[str, str]:
        return {"project_id": self._connection.project_id, "evaluation_dataset_id": uuid}

    def _known(self, dataset_id) -> str:
        uuid = _uuid(dataset_id, _DATASET)
        if uuid is None:
            raise missing(f"Evaluation dataset with id '{dataset_id}' not found")
        return uuid

    def _found(self, dataset_id) -> Stored | None:
        uuid = _uuid(dataset_id, _DATASET)
        if uuid is None:
            return None
        try:
            return self._tracing.get_evaluation_dataset(**self._at(uuid))
        except CallError as error:
            if error.reason != _NOT_FOUND:
                raise
            return None

    def _update(self, dataset_id, **change: Any) -> Stored | None:
        uuid = _uuid(dataset_id, _DATASET)
        if uuid is None:
            return None
        try:
            return self._tracing.update_evaluation_dataset(**self._at(uuid), **change)
        except CallError as error:
            if error.reason != _NOT_FOUND:
                raise
            return None

    def _uuids(self, experiment_ids) -> list[str]:
        """The UUIDs of experiments, each of which there is."""
        wanted = dict.fromkeys(map(str, experiment_ids or ()))
        for one in wanted:
            self._experiments.get(one)
        return [self._experiments.uuid(one) or "" for one in wanted]

    def _public_ids(self, stored: Stored) -> list[str]:
        return [self._experiments.public_id(one) for one in stored.experiment_ids]

    def _told(self, stored: Stored) -> EvaluationDataset:
        count = stored.record_count
        return EvaluationDataset(
            dataset_id=mlflow_id(stored.id),
            name=stored.name,
            digest=stored.digest,
            created_time=stored.create_time_ms,
            last_update_time=stored.update_time_ms,
            tags={one.key: one.value for one in stored.tags if one.key not in OWN_TAGS},
            schema=stored.schema_json or None,
            profile=json.dumps({"num_records": count}) if count else None,
            created_by=stored.author,
            last_updated_by=stored.last_author,
        )


def mlflow_id(uuid: str) -> str:
    """How MLflow calls an evaluation dataset."""
    return _DATASET + ids.to_mlflow(uuid)


def _uuid(public_id, prefix: str) -> str | None:
    text = str(public_id)
    return ids.to_uuid(text[len(prefix) :]) if text.startswith(prefix) else None


def _pairs(tags: dict[str, Any]) -> list[TracePair]:
    return [TracePair(key=key, value=str(value)) for key, value in tags.items()]


def _written(record: dict[str, Any]) -> EvaluationRecord:
    source = record.get("source")
    if isinstance(source, dict):
        source = DatasetRecordSource.from_dict(source)
    tags = record.get("tags")
    return EvaluationRecord(
        inputs_json=_json(record.get("inputs") or {}),
        outputs_json=_json(record["outputs"]) if "outputs" in record else None,
        expectations_json=_json_or_none(record.get("expectations")),
        tags_json=_json_or_none(tags),
        source_json=_json(source.to_dict()) if source else None,
        author=(tags or {}).get(MLFLOW_USER),
    )


def _json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise invalid(f"A record is no JSON: {error}") from error


def _json_or_none(value: Any) -> str | None:
    return None if value is None else _json(value)


def _parts(records: list[EvaluationRecord]) -> Iterator[list[EvaluationRecord]]:
    """As many records as one call takes."""
    part: list[EvaluationRecord] = []
    size = 0
    for record in records:
        texts = (record.inputs_json, record.outputs_json, record.expectations_json,
                 record.tags_json, record.source_json)  # fmt: skip
        own = sum(len(text) for text in texts if text)
        if part and (len(part) == _RECORDS or size + own > _BYTES):
            yield part
            part, size = [], 0
        part.append(record)
        size += own
    if part:
        yield part


def _record(stored: EvaluationRecord, dataset_id: str) -> DatasetRecord:
    source = stored.source_json
    return DatasetRecord(
        dataset_record_id=_RECORD + ids.to_mlflow(stored.id),
        dataset_id=dataset_id,
        inputs=json.loads(stored.inputs_json),
        # To MLflow's database a record without outputs has empty ones.
        outputs=json.loads(stored.outputs_json or "{}"),
        expectations=_read(stored.expectations_json),
        tags=_read(stored.tags_json),
        source=DatasetRecordSource.from_dict(json.loads(source)) if source else None,
        created_time=stored.create_time_ms,
        last_update_time=stored.update_time_ms,
        created_by=stored.author,
        last_updated_by=stored.last_author,
    )


def _whole(experiment_ids: Iterable[str]) -> list[str]:
    # MLflow's REST client takes one id for a list of them, and sends its characters.
    characters = list(experiment_ids)
    joined = "".join(map(str, characters))
    is_one = len(joined) == len(characters) and ids.to_uuid(joined) is not None
    return [joined] if is_one else characters


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _filter(text: str | None) -> str:
    if not text:
        return ""
    parsed = SearchEvaluationDatasetsUtils.parse_search_filter(text)
    return " AND ".join(map(_comparison, parsed))


def _comparison(comparison: dict[str, Any]) -> str:
    kind, key, value = comparison["type"], comparison["key"], comparison["value"]
    operator = comparison["comparator"].upper()
    if kind == "tag":
        if operator not in _TEXTS:
            raise invalid(f"Invalid comparator for tag: {operator}")
        name = key.replace("`", "``")
        return f"tags.`{name}` {operator} {quoted(value)}"
    if key in _NUMBERS:
        if operator not in SearchEvaluationDatasetsUtils.VALID_NUMERIC_ATTRIBUTE_COMPARATORS:
            raise invalid(f"Invalid comparator for numeric attribute: {operator}")
        if isinstance(value, float) or not str(value).lstrip("-").isdigit():
            raise invalid(f"Invalid value for numeric attribute '{key}': {str(value)!r}")
        return f"attributes.{key} {operator} {value}"
    if isinstance(value, (list, tuple)):
        return f"attributes.{key} {operator} ({', '.join(quoted(str(one)) for one in value)})"
    if operator not in _TEXTS:
        raise invalid(f"Invalid comparator for string attribute: {operator}")
    return f"attributes.{key} {operator} {quoted(value)}"


def _order(clauses: Iterable[str] | None) -> list[str]:
    order: dict[str, bool] = {}
    for clause in clauses or ():
        kind, key, is_rising = (
            SearchEvaluationDatasetsUtils.parse_order_by_for_search_evaluation_datasets(clause)
        )
        if kind != "attribute":
            raise invalid(f"Invalid order_by entity: {kind}")
        order.setdefault(key, is_rising)
    if not order:
        order["created_time"] = False
    return [
        *(f"attributes.{key} {direction(is_rising)}" for key, is_rising in order.items()),
        "attributes.dataset_id DESC",
    ]
