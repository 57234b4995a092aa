"""Evaluation datasets and their records: what is stored, added to, found and refused."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracing import EvaluationRecord
from projects import refused
from traces import pairs, read
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail
    from needletail.tracing import EvaluationDataset
    from program import UpServer


class Shelf:
    """Datasets of one project."""

    def __init__(self, client: needletail.Client, project: str, experiment: str) -> None:
        self.tracing, self.at, self.experiment = client.tracing, {"project_id": project}, experiment

    def create(self, name: str = "qa", **fields: Any) -> EvaluationDataset:
        """Make a dataset."""
        return self.tracing.create_evaluation_dataset(**self.at, name=name, **fields)

    def where(self, dataset: EvaluationDataset) -> dict[str, str]:
        """Return what names a dataset."""
        return {**self.at, "evaluation_dataset_id": dataset.id}

    def get(self, dataset: EvaluationDataset) -> EvaluationDataset:
        """Return a dataset as it is now."""
        return self.tracing.get_evaluation_dataset(**self.where(dataset))

    def write(self, dataset: EvaluationDataset, *records: EvaluationRecord) -> tuple[int, int]:
        """Write records; return how many are new, and how many were added to."""
        answer = self.tracing.write_evaluation_records(**self.where(dataset), records=list(records))
        return answer.inserted, answer.updated

    def records(self, dataset: EvaluationDataset, **fields: Any) -> list[EvaluationRecord]:
        """Return the records, from all pages."""
        return list(self.tracing.iterate_evaluation_records(**self.where(dataset), **fields))

    def found(self, condition: str = "", **fields: Any) -> list[str]:
        """Return the names of what a search finds, from all its pages."""
        found, token = [], ""
        while True:
            page = self.tracing.search_evaluation_datasets(
                **self.at, filter=condition, page_token=token, **fields
            )
            found += [one.name for one in page.datasets]
            token = page.next_page_token
            if not token:
                return found


@pytest.fixture
def shelf(client: needletail.Client) -> Iterator[Shelf]:
    """Others count on the organization's only project: this one goes when the test is over."""
    project = client.identity.create_project(name="e", slug=f"e-{uuid.uuid4()}").id
    experiment = client.tracking.create_experiment(project_id=project, name="x").id
    yield Shelf(client, project, experiment)
    client.identity.delete_project(id=project)


def record(inputs: Any, **fields: Any) -> EvaluationRecord:
    """Make a record; what is not a text is written as JSON."""
    values = {f"{key}_json": json.dumps(value) for key, value in fields.items() if key != "author"}
    return EvaluationRecord(inputs_json=json.dumps(inputs), author=fields.get("author"), **values)


def test_a_dataset_is_created_changed_and_deleted(shelf: Shelf, client: needletail.Client) -> None:
    made = shelf.create(
        author="ada", tags=pairs(team="a", old="b"), experiment_ids=[shelf.experiment]
    )
    assert (made.name, made.author, made.last_author, made.record_count) == ("qa", "ada", "ada", 0)
    assert (read(made.tags), list(made.experiment_ids)) == (
        {"team": "a", "old": "b"}, [shelf.experiment],
    )  # fmt: skip
    assert (made.schema_json, len(made.digest)) == ("", 8)
    assert made.create_time_ms == made.update_time_ms > 0
    assert shelf.get(made) == made
    other = client.tracking.create_experiment(project_id=made.project_id, name="y").id
    update = shelf.tracing.update_evaluation_dataset
    changed = update(
        **shelf.where(made), tags=pairs(team="c", new="d"), delete_tag_keys=["old", "never"],
        add_experiment_ids=[other, shelf.experiment],
    )  # fmt: skip
    assert read(changed.tags) == {"team": "c", "new": "d"}
    assert set(changed.experiment_ids) == {shelf.experiment, other}
    assert changed.digest == made.digest
    changed = update(**shelf.where(made), remove_experiment_ids=[shelf.experiment])
    assert list(changed.experiment_ids) == [other]
    shelf.write(made, record({"q": 1}))
    shelf.tracing.delete_evaluation_dataset(**shelf.where(made))
    for method in (
        shelf.tracing.get_evaluation_dataset, shelf.tracing.delete_evaluation_dataset, update,
        shelf.tracing.list_evaluation_records,
    ):  # fmt: skip
        refused("EVALUATION_DATASET_NOT_FOUND", method, **shelf.where(made))


def test_a_record_of_the_same_inputs_is_added_to(shelf: Shelf) -> None:
    made = shelf.create()
    assert shelf.write(
        made,
        record({"q": "what?", "n": 1}, expectations={"a": 1, "b": 2}, tags={"v": "1"},
               source={"source_type": "TRACE"}, author="ada"),
        record({"q": "other"}, outputs="text"),
        record({"n": 1, "q": "what?"}, expectations={"b": 3, "c": [4]}, tags={"w": "2"},
               source={"source_type": "HUMAN"}, outputs={"x": 1}, author="bob"),
    ) == (2, 1)  # fmt: skip
    first, second = shelf.records(made)
    assert json.loads(first.inputs_json) == {"q": "what?", "n": 1}
    assert json.loads(first.expectations_json or "") == {"a": 1, "b": 3, "c": [4]}
    assert json.loads(first.tags_json or "") == {"v": "1", "w": "2"}
    assert json.loads(first.source_json or "") == {"source_type": "TRACE"}
    assert (first.outputs_json, first.author, first.last_author) == ('{"x": 1}', "ada", "bob")
    assert (second.outputs_json, second.expectations_json, second.author) == ('"text"', None, None)
    after = shelf.get(made)
    assert (after.record_count, after.last_author) == (2, "bob")
    assert after.digest != made.digest
    assert json.loads(after.schema_json) == {
        "inputs": {"q": "string", "n": "integer"}, "outputs": {"x": "integer"},
        "expectations": {"a": "integer", "b": "integer", "c": "array"}, "version": "1.0",
    }  # fmt: skip
    # What is not named stays; null is an output like any other.
    assert shelf.write(made, record({"q": "other"}, outputs=None)) == (0, 1)
    assert shelf.records(made)[1].outputs_json == "null"
    assert shelf.write(made, record({"q": "other"})) == (0, 1)
    assert shelf.records(made)[1].outputs_json == "null"


def test_the_schema_tells_kinds_as_the_first_record_has_them(shelf: Shelf) -> None:
    made = shelf.create()
    shelf.write(made, record({"a": 0.5, "b": True, "c": None, "d": {}}, outputs=5))
    shelf.write(made, record({"a": "text", "e": 1e30}, outputs={"later": 1}))
    assert json.loads(shelf.get(made).schema_json) == {
        "inputs": {"a": "float", "b": "boolean", "c": "null", "d": "object", "e": "integer"},
        "outputs": "integer", "expectations": {}, "version": "1.0",
    }  # fmt: skip
    many = shelf.create()
    shelf.write(many, record({f"k{n}": n for n in range(600)} | {"x" * 300: 1}))
    shelf.write(many, record({"one more": 1}))
    assert len(json.loads(shelf.get(many).schema_json)["inputs"]) == 500


def test_records_are_read_in_pages_and_deleted(shelf: Shelf) -> None:
    made = shelf.create()
    shelf.write(made, *(record({"n": n}) for n in range(25)))
    for size in (0, 10, 1):
        found = shelf.records(made, page_size=size)
        assert [json.loads(one.inputs_json)["n"] for one in found] == list(range(25))
    gone = [found[3].id, found[7].id]
    delete = shelf.tracing.delete_evaluation_records
    assert delete(**shelf.where(made), record_ids=[*gone, str(uuid.uuid4())]).count == 2
    assert delete(**shelf.where(made), record_ids=gone).count == 0
    assert shelf.get(made).record_count == len(shelf.records(made)) == 23
    # One that is gone is new again.
    assert shelf.write(made, record({"n": 3}), record({"n": 4})) == (1, 1)


def test_long_records_come_in_several_pages(shelf: Shelf) -> None:
    made = shelf.create()
    for number in range(3):
        text = "x" * 1_000_000
        shelf.write(made, record({"n": number, "a": text}, outputs=text,
                                 expectations={"a": text[:500_000]}))  # fmt: skip
    page = shelf.tracing.list_evaluation_records(**shelf.where(made))
    assert len(page.records) == 1
    assert len(shelf.records(made)) == 3


def test_datasets_are_found(shelf: Shelf, client: needletail.Client) -> None:
    other = client.tracking.create_experiment(project_id=shelf.at["project_id"], name="y").id
    shelf.create("first", author="ada", tags=pairs(team="a"), experiment_ids=[shelf.experiment])
    second = shelf.create("second", tags=pairs(team="b"), experiment_ids=[shelf.experiment, other])
    shelf.create("third")
    shelf.write(second, record({"q": 1}))
    for condition, expected in (
        ("", ["third", "second", "first"]),
        ("name = 'first'", ["first"]),
        ("name LIKE '%ir%' AND tags.team IS NULL", ["third"]),
        ("name RLIKE '^(first|second)$'", ["second", "first"]),
        ("tags.team = 'b'", ["second"]),
        ("created_by = 'ada'", ["first"]),
        ("record_count > 0", ["second"]),
        (f"created_time >= {second.create_time_ms}", ["third", "second"]),
        (f"dataset_id = '{second.id}'", ["second"]),
    ):
        found = shelf.found(condition)
        # Those of one millisecond come in any order.
        assert sorted(found) == sorted(expected) or set(found) > set(expected), condition
        assert shelf.found(condition, page_size=1) == found, condition
    assert shelf.found(order_by=["name ASC"]) == ["first", "second", "third"]
    assert shelf.found(experiment_ids=[other]) == ["second"]
    assert set(shelf.found(experiment_ids=[other, shelf.experiment])) == {"first", "second"}
    full = pairs(**{f"k{n}": "x" * 32_000 for n in range(16)})
    for number in range(5):
        shelf.create(f"full {number}", tags=full)
    assert shelf.found("name LIKE 'full%'", order_by=["name"]) == [f"full {n}" for n in range(5)]
    refused(
        "FILTER_INVALID", shelf.tracing.search_evaluation_datasets, **shelf.at, filter="nothing = 1"
    )


def test_what_is_not_there_or_too_much_is_refused(
    shelf: Shelf, client: needletail.Client, experiment_id: str
) -> None:
    create = shelf.tracing.create_evaluation_dataset
    for wrong in (str(uuid.uuid4()), experiment_id):
        refused(
            "EXPERIMENT_NOT_FOUND", create, **shelf.at, name="x",
            experiment_ids=[shelf.experiment, wrong],
        )  # fmt: skip
    assert shelf.found() == []
    made = shelf.create(tags=pairs(**{f"k{n}": "x" for n in range(1_000)}))
    update = shelf.tracing.update_evaluation_dataset
    refused("TAG_LIMIT_REACHED", update, **shelf.where(made), tags=pairs(more="1"))
    update(**shelf.where(made), tags=pairs(more="1"), delete_tag_keys=["k1"])
    write = shelf.tracing.write_evaluation_records
    refused(
        "EVALUATION_DATASET_NOT_FOUND", write, **shelf.at,
        evaluation_dataset_id=str(uuid.uuid4()), records=[record({})],
    )  # fmt: skip
    # A dataset of another project.
    project = client.identity.create_project(name="f", slug=f"f-{uuid.uuid4()}").id
    refused(
        "EVALUATION_DATASET_NOT_FOUND", write, project_id=project, evaluation_dataset_id=made.id,
        records=[record({})],
    )  # fmt: skip
    client.identity.delete_project(id=project)


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs_json": ""}, {"inputs_json": "[]"}, {"inputs_json": '{"a": NaN}'},
        {"expectations_json": "1"}, {"expectations_json": ""}, {"tags_json": "x"},
        {"source_json": "[]"}, {"outputs_json": "1, 2"}, {"outputs_json": ""},
        {"inputs_json": '{"a": "\\u0000"}'}, {"author": "x" * 251},
        {"expectations_json": json.dumps({"a": "x" * 524_288})},
    ],
)  # fmt: skip
def test_a_bad_record_is_refused(shelf: Shelf, fields: dict[str, Any]) -> None:
    made = shelf.create()
    refused(
        "FIELD_INVALID", shelf.tracing.write_evaluation_records, **shelf.where(made),
        records=[record({"good": 1}), EvaluationRecord(**{"inputs_json": "{}", **fields})],
    )  # fmt: skip
    assert shelf.records(made) == []


def test_expectations_that_grow_beyond_their_bound_are_refused(shelf: Shelf) -> None:
    made = shelf.create()
    shelf.write(made, record({}, expectations={"a": "x" * 400_000}))
    refused(
        "FIELD_INVALID", shelf.tracing.write_evaluation_records, **shelf.where(made),
        records=[record({}, expectations={"b": "x" * 400_000})],
    )  # fmt: skip
    assert shelf.write(made, record({}, expectations={"a": "x" * 400_001})) == (0, 1)


def test_a_dataset_has_as_many_records_as_a_setting_allows(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server(
        "--set", "evaluation-records-max=2", "--set", "housekeeping-interval=50ms", "--set",
        "purge-batch-rows=1",
    )  # fmt: skip
    server.start()
    with server.client() as client, server.sql() as sql:
        project = client.identity.create_project(name="e", slug="e").id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        shelf = Shelf(client, project, experiment)
        made = shelf.create(tags=pairs(a="1"), experiment_ids=[experiment])
        shelf.write(made, record({"n": 1}), record({"n": 2}), record({"n": 1}))
        refused(
            "RECORD_LIMIT_REACHED", shelf.tracing.write_evaluation_records, **shelf.where(made),
            records=[record({"n": 3})],
        )  # fmt: skip
        assert shelf.write(made, record({"n": 2})) == (0, 1)
        # All goes with its project.
        client.identity.delete_project(id=project)
        refused("PROJECT_NOT_FOUND", shelf.tracing.get_evaluation_dataset, **shelf.where(made))
        with sql.transaction():
            sql.execute("set local role needletail_maintenance")
            sql.execute(
                "update projects set purge_after = now() - interval '1 day' where id = %s",
                [project],
            )

        def left() -> int:
            row = sql.execute(
                "select (select count(*) from evaluation_datasets)"
                " + (select count(*) from evaluation_records)"
                " + (select count(*) from evaluation_dataset_tags) as n"
            ).fetchone()
            assert row is not None
            return int(row["n"])

        wait_until("the dataset is gone", lambda: left() == 0)
