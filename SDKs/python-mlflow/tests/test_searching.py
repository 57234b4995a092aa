"""Filters and orders, as they are written for Needletail."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from needletail_mlflow import ids
from needletail_mlflow.searching import check_max_results, experiment_filter, run_filter, run_order

UUID = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("metrics.loss < 0.5", "metrics.`loss` < 0.5"),
        ("params.lr = '0.1' AND tags.a != 'b'", "params.`lr` = '0.1' AND tags.`a` != 'b'"),
        ("tags.`a b` ILIKE '%it%'", "tags.`a b` ILIKE '%it%'"),
        ("tags.a IS NULL", "tags.`a` IS NULL"),
        ("start_time >= 12", "attributes.start_time >= 12"),
        ("created < 12", "attributes.start_time < 12"),
        ("run_name = 'x'", "attributes.run_name = 'x'"),
        ("tags.`mlflow.runName` = 'x'", "attributes.run_name = 'x'"),
        ("status = 'FINISHED'", "attributes.status = 'FINISHED'"),
        ("status = 'gone'", f"attributes.run_id = '{NOBODY}'"),
        ("run_id = '0190c6f23a5e7c1d9f102b6c1d3e4f50'", f"attributes.run_id = '{UUID}'"),
        ("run_id IN ('0190c6f23a5e7c1d9f102b6c1d3e4f50', 'x')",
         f"attributes.run_id IN ('{UUID}', '{NOBODY}')"),
        ("dataset.name IN ('a', 'b')", "datasets.`name` IN ('a', 'b')"),
    ],
)  # fmt: skip
def test_a_filter_of_runs_is_written_anew(text: str, expected: str) -> None:
    assert run_filter(text) == expected


@pytest.mark.parametrize(
    "text", ["metrics.loss < 'a'", "nonsense", "params.lr > '1'", "a = 1 OR b"]
)
def test_a_filter_that_mlflow_refuses_is_refused(text: str) -> None:
    with pytest.raises(MlflowException) as caught:
        run_filter(text)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_order_ends_with_the_latest_start_and_the_id() -> None:
    assert run_order(()) == ["attributes.start_time DESC", "attributes.run_id ASC"]
    assert run_order(("metrics.loss ASC", "created")) == [
        "metrics.`loss` ASC",
        "attributes.start_time ASC",
        "attributes.run_id ASC",
    ]
    with pytest.raises(MlflowException, match="contains duplicate fields"):
        run_order(("start_time", "created DESC"))


def test_a_filter_of_experiments_knows_their_ids() -> None:
    def to_uuid(text: str) -> str | None:
        return UUID if text == "0" else ids.to_uuid(text)

    assert experiment_filter("experiment_id = '0'", to_uuid) == (
        f"attributes.experiment_id = '{UUID}'"
    )
    assert experiment_filter("name LIKE 'a%'", to_uuid) == "attributes.name LIKE 'a%'"


def test_a_page_has_a_size() -> None:
    for wrong in (0, -1, 50_001):
        with pytest.raises(MlflowException, match="parameter 'max_results'"):
            check_max_results(wrong)
