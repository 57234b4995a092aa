"""Profiles of datasets as long as MLflow lets them be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import MAX_DATASET_PROFILE_SIZE

if TYPE_CHECKING:
    from needletail_mlflow.tracking_store import TrackingStore


def dataset(profile: str, digest: str = "1") -> DatasetInput:
    tags = [InputTag("mlflow.data.context", "training")]
    return DatasetInput(Dataset("data", digest, "local", "{}", "{}", profile), tags)


def test_the_longest_profile_comes_back_with_its_run(store: TrackingStore) -> None:
    profile = '{"rows": [' + "7," * 8_388_600 + "]}"
    profile = profile.ljust(MAX_DATASET_PROFILE_SIZE)
    assert len(profile) == MAX_DATASET_PROFILE_SIZE == 16_777_215
    run = store.create_run("0", "ada", 1, [], "first").info.run_id
    store.log_inputs(run, [dataset(profile)])
    (found,) = store.get_run(run).inputs.dataset_inputs
    assert found.dataset.profile == profile
    assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}
    # Again, for another run: it is kept once.
    other = store.create_run("0", "ada", 1, [], "second").info.run_id
    store.log_inputs(other, [dataset(profile)])
    runs = store.search_runs(["0"], "", ViewType.ACTIVE_ONLY)
    assert {one.info.run_id for one in runs} == {run, other}
    for one in runs:
        assert one.inputs.dataset_inputs[0].dataset.profile == profile
    store.delete_run(run)
    assert store.get_run(run).inputs.dataset_inputs[0].dataset.profile == profile


def test_one_character_more_is_refused_as_mlflow_does(store: TrackingStore) -> None:
    run = store.create_run("0", "ada", 1, [], "first").info.run_id
    with pytest.raises(MlflowException, match="profile") as caught:
        store.log_inputs(run, [dataset("x" * (MAX_DATASET_PROFILE_SIZE + 1))])
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert not store.get_run(run).inputs.dataset_inputs


def test_short_and_long_profiles_stand_beside_one_another(store: TrackingStore) -> None:
    run = store.create_run("0", "ada", 1, [], "first").info.run_id
    profiles = {str(number): str(number) * number * 300_000 for number in range(1, 8)}
    store.log_inputs(run, [dataset(profile, digest) for digest, profile in profiles.items()])
    found = store.get_run(run).inputs.dataset_inputs
    assert {one.dataset.digest: one.dataset.profile for one in found} == profiles
