"""Filters and orders of logged models, as Needletail reads them."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from needletail_mlflow import ids, logged_model_searching
from needletail_mlflow.logged_model_searching import logged_model_filter, logged_model_order

UUID = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("name = 'a'", "attributes.name = 'a'"),
        ("attributes.name like 'it''s%'", "attributes.name LIKE 'it''s%'"),
        ("metrics.`a b` >= 0.5", "metrics.`a b` >= 0.5"),
        ("params.depth = '3' AND tags.`t 1` != 'x'", "params.`depth` = '3' AND tags.`t 1` != 'x'"),
        ("creation_time > 5", "attributes.creation_timestamp > 5"),
        ("name IN ('a', 'b')", "attributes.name IN ('a', 'b')"),
        ("name NOT IN ('a')", "attributes.name NOT IN ('a')"),
        (f"model_id = '{ids.model_to_mlflow(UUID)}'", f"attributes.model_id = '{UUID}'"),
        (f"source_run_id = '{ids.to_mlflow(UUID)}'", f"attributes.source_run_id = '{UUID}'"),
        ("source_run_id = '7'", "tags.`needletail.mlflow.source_run_id` = '7'"),
        ("experiment_id = '7'", f"attributes.experiment_id = '{UUID}'"),
        ("status = 'READY'", "attributes.status = 'READY'"),
    ],
)
def test_a_filter_is_written_for_needletail(text: str, written: str) -> None:
    assert logged_model_filter(text, lambda _: UUID) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Foo", "Invalid filter string"),
        ("name = 'a' OR name = 'b'", "Invalid filter string"),
        ("foo.bar = 'a'", "Invalid entity type"),
        ("name > 'a'", "Invalid comparison operator"),
        ("metrics.a LIKE 0", "Invalid comparison operator"),
        ("lifecycle_stage = 'a'", "Invalid attribute"),
        ("metrics.a > 'b'", "Invalid number"),
        ("name IN (a)", "Invalid list"),
    ],
)
def test_what_mlflow_refuses_is_refused_in_its_words(text: str, message: str) -> None:
    with pytest.raises(MlflowException, match=message) as caught:
        logged_model_filter(text, lambda _: UUID)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_status_that_there_is_not_is_of_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged_model_searching, "is_at_least", lambda *_: False)
    nobody = f"attributes.model_id = '{'0' * 8}-0000-0000-0000-{'0' * 12}'"
    assert logged_model_filter("status = 'x'", lambda _: UUID) == nobody
    assert logged_model_filter("status LIKE 'R%'", lambda _: UUID) == "attributes.status LIKE 'R%'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("status = 'x'", r"Unknown model status in filter: 'x'. Use one of \['FAILED', 'PEND"),
        ("status NOT IN ('READY', 'x')", "Unknown model status in filter"),
        ("status LIKE 'R%'", "Invalid comparison operator for status: LIKE"),
    ],
)
def test_later_versions_refuse_such_a_status(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logged_model_searching, "is_at_least", lambda *_: True)
    with pytest.raises(MlflowException, match=message) as caught:
        logged_model_filter(text, lambda _: UUID)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    found = logged_model_filter("status IN ('READY', 'FAILED')", lambda _: UUID)
    assert found == "attributes.status IN ('READY', 'FAILED')"


def test_later_versions_order_by_what_was_measured_on_the_dataset_of_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = {"dataset_name": "d", "dataset_digest": "1"}, {"dataset_name": "e"}
    fields = [{"field_name": "metrics.a"}, {"field_name": "metrics.b", **two}]

    def told(*datasets: dict[str, str]) -> list[str | None]:
        found = logged_model_order(fields, datasets)[:2]
        return [order.dataset and order.dataset.name for order in found]

    monkeypatch.setattr(logged_model_searching, "is_at_least", lambda *_: True)
    assert told(one) == ["d", "e"]
    assert told(one, two) == told() == [None, "e"]
    monkeypatch.setattr(logged_model_searching, "is_at_least", lambda *_: False)
    assert told(one) == [None, "e"]


def test_an_order_ends_with_the_newest_and_the_id() -> None:
    told = [
        (one.field, one.dataset and (one.dataset.name, one.dataset.digest))
        for one in logged_model_order(
            [
                {"field_name": "metrics.acc", "ascending": False, "dataset_name": "d"},
                {"field_name": "metrics.acc", "dataset_digest": "1"},
                {"field_name": "name", "dataset_name": "d"},
                {"field_name": "name", "ascending": False},
            ]
        )
    ]
    assert told == [
        ("metrics.`acc` DESC", ("d", "")),
        ("metrics.`acc` ASC", ("", "1")),
        ("attributes.name ASC", None),
        ("attributes.creation_timestamp DESC", None),
        ("attributes.model_id ASC", None),
    ]
    assert logged_model_order(None) == []


@pytest.mark.parametrize("field", ["foo", "params.a", "", "artifact_location"])
def test_an_order_by_anything_else_is_refused(field: str) -> None:
    with pytest.raises(MlflowException, match="Invalid order by field name"):
        logged_model_order([{"field_name": field}])
