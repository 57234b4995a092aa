"""Addresses and ids."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from needletail_mlflow import ids
from needletail_mlflow.tracking_store import TrackingStore
from needletail_mlflow.uri import (
    Place,
    logged_model_artifact_location,
    parse_artifact_uri,
    parse_tracking_uri,
)

UUID = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("needletail://host:7444/vision", Place("needletail://host:7444", "vision")),
        ("needletail://host/vision", Place("needletail://host:7443", "vision")),
        ("needletail://host:7444", Place("needletail://host:7444", "")),
        ("needletail://[::1]:7444/a%20b/", Place("needletail://[::1]:7444", "a b")),
    ],
)
def test_a_tracking_uri_names_a_server_and_a_project(uri: str, place: Place) -> None:
    assert parse_tracking_uri(uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        "needletail:///vision",
        "needletail://host:port/vision",
        "needletail://host:0/vision",
        "needletail://host:65536/vision",
        "needletail://host/a/b",
        "http://host/a",
        "needletail://host/a?b=c",
    ],
)
def test_another_uri_is_refused_with_an_example(uri: str) -> None:
    with pytest.raises(MlflowException, match="write needletail://host:7443/project") as caught:
        parse_tracking_uri(uri)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_key_in_a_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(MlflowException, match="NEEDLETAIL_API_KEY") as caught:
        parse_tracking_uri("needletail://key:ntl_secret@host:7443/vision")
    assert "ntl_secret" not in str(caught.value)


def test_artifacts_are_at_a_run_or_at_a_project() -> None:
    assert parse_artifact_uri(f"needletail:/runs/{UUID}/artifacts/a b") == (
        Place(),
        f"runs/{UUID}/artifacts/a b",
    )
    assert parse_artifact_uri("needletail://host:1/vision/0/x") == (
        Place("needletail://host:1", "vision"),
        "0/x",
    )


def test_ids_are_the_same_in_both_forms() -> None:
    assert ids.to_uuid(ids.to_mlflow(UUID)) == UUID
    assert ids.to_uuid(UUID.upper()) == UUID
    for other in ("0", "", "x" * 32, UUID + "0", None):
        assert ids.to_uuid(other) is None


def test_ids_of_logged_models_say_what_they_are() -> None:
    assert ids.model_to_mlflow(UUID) == "m-" + ids.to_mlflow(UUID)
    assert ids.model_to_uuid(ids.model_to_mlflow(UUID)) == UUID
    for other in (UUID, ids.to_mlflow(UUID), "m-", "m-x", None):
        assert ids.model_to_uuid(other) is None


def test_files_of_a_logged_model_are_with_its_experiment() -> None:
    model = ids.model_to_mlflow(UUID)
    assert (
        logged_model_artifact_location(UUID, "", model)
        == f"needletail:/experiments/{UUID}/models/{model}/artifacts"
    )
    assert (
        logged_model_artifact_location(UUID, "mlflow-artifacts:/7", model)
        == f"mlflow-artifacts:/7/models/{model}/artifacts"
    )


def test_nothing_is_connected_before_the_first_call() -> None:
    # Nobody listens there, and no key is known.
    assert TrackingStore("needletail://127.0.0.1:1/vision") is not None
