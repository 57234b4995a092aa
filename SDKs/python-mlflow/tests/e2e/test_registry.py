"""The model registry store against a real server."""

from __future__ import annotations

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException

from needletail_mlflow.registry_store import RegistryStore


@pytest.fixture
def registry(uri: str) -> RegistryStore:
    return RegistryStore(uri, uri)


def names(found) -> list[str]:
    return [one.name for one in found]


def test_a_model_lives_as_with_mlflow(registry: RegistryStore) -> None:
    made = registry.create_registered_model("fraud", [RegisteredModelTag("team", "risk")], "first")
    assert (made.name, made.tags, made.description) == ("fraud", {"team": "risk"}, "first")
    with pytest.raises(MlflowException, match=r"Registered Model \(name=fraud\) already") as caught:
        registry.create_registered_model("fraud")
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert registry.update_registered_model("fraud", None).description is None
    assert registry.rename_registered_model("fraud", "theft").tags == {"team": "risk"}
    with pytest.raises(MlflowException, match="Model with name=fraud not found") as caught:
        registry.get_registered_model("fraud")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    registry.delete_registered_model_tag("theft", "team")
    assert registry.get_registered_model("theft").tags == {}
    registry.delete_registered_model("theft")
    assert registry.search_registered_models() == []


def test_a_version_tells_what_was_registered(registry: RegistryStore) -> None:
    registry.create_registered_model("fraud")
    made = registry.create_model_version(
        "fraud", "s3://models/1", "a" * 32, [ModelVersionTag("k", "v")], "http://run", "good"
    )
    assert made == registry.get_model_version("fraud", "1")
    assert (made.version, made.source, made.run_id) == (1, "s3://models/1", "a" * 32)
    assert (made.tags, made.run_link, made.description) == ({"k": "v"}, "http://run", "good")
    assert (made.current_stage, made.status, made.aliases) == ("None", "READY", [])
    assert registry.update_model_version("fraud", 1, None).description is None
    registry.delete_model_version_tag("fraud", 1, "k")
    registry.delete_model_version("fraud", 1)
    with pytest.raises(MlflowException, match=r"Version \(name=fraud, version=1\) not found"):
        registry.get_model_version("fraud", 1)
    assert registry.create_model_version("fraud", "s3://models/2").version == 2


def test_a_copy_has_the_files_of_what_it_was_copied_from(registry: RegistryStore) -> None:
    registry.create_registered_model("fraud")
    source = registry.create_model_version("fraud", "s3://models/1")
    copy = registry.copy_model_version(source, "live")
    assert (copy.source, copy.tags) == ("models:/fraud/1", {})
    assert registry.get_model_version_download_uri("live", 1) == "s3://models/1"
    again = registry.copy_model_version(copy, "live")
    assert registry.get_model_version_download_uri("live", again.version) == "s3://models/1"


def test_stages_and_aliases_find_versions(registry: RegistryStore) -> None:
    registry.create_registered_model("fraud")
    for place in range(3):
        registry.create_model_version("fraud", f"s3://models/{place}")
    registry.transition_model_version_stage("fraud", 1, "production", False)
    moved = registry.transition_model_version_stage("fraud", 2, "Production", True)
    assert moved.current_stage == "Production"
    stages = {one.current_stage: one.version for one in registry.get_latest_versions("fraud")}
    assert stages == {"Archived": 1, "Production": 2, "None": 3}
    assert [one.version for one in registry.get_latest_versions("fraud", ["production"])] == [2]
    with pytest.raises(MlflowException, match="is not an Active stage"):
        registry.transition_model_version_stage("fraud", 1, "None", True)
    registry.set_registered_model_alias("fraud", "champion", 2)
    assert registry.get_model_version_by_alias("fraud", "champion").aliases == ["champion"]
    assert registry.get_registered_model("fraud").aliases == {"champion": 2}
    assert registry.get_model_version_by_alias("fraud", "latest").version == 3
    registry.delete_registered_model_alias("fraud", "champion")
    with pytest.raises(MlflowException, match="alias champion not found") as caught:
        registry.get_model_version_by_alias("fraud", "champion")
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_searches_read_mlflows_filters(registry: RegistryStore) -> None:
    for name in ("Fraud", "fraud two", "theft"):
        registry.create_registered_model(name, [RegisteredModelTag("team", name[0])])
        for run in ("a" * 32, "b" * 32):
            registry.create_model_version(name, f"s3://{name}", run)
    assert names(registry.search_registered_models("name LIKE 'fraud%'")) == ["fraud two"]
    assert names(registry.search_registered_models("name ILIKE 'fraud%'")) == ["Fraud", "fraud two"]
    assert names(registry.search_registered_models("tags.team != 't'")) == ["Fraud", "fraud two"]
    first = registry.search_registered_models(max_results=2, order_by=["name DESC"])
    rest = registry.search_registered_models(
        max_results=2, order_by=["name DESC"], page_token=first.token
    )
    assert (names(first), names(rest)) == (["theft", "fraud two"], ["Fraud"])
    assert rest.token is None
    found = registry.search_model_versions(f"run_id IN ('{'a' * 32}') AND version_number < 2")
    assert sorted(names(found)) == ["Fraud", "fraud two", "theft"]
    with pytest.raises(MlflowException, match="Invalid attribute key"):
        registry.search_model_versions("flavor = 'x'")


def test_prompts_are_kept_beside_models(uri: str) -> None:
    client = MlflowClient(uri, uri)
    client.register_prompt("greeting", "Hello {{name}}", tags={"tone": "kind"})
    client.register_prompt("greeting", "Good day {{name}}")
    client.create_registered_model("fraud")
    assert names(client.search_registered_models()) == ["fraud"]
    assert names(client.search_prompts()) == ["greeting"]
    assert client.load_prompt("prompts:/greeting/1").template == "Hello {{name}}"
    assert client.load_prompt("prompts:/greeting@latest").template == "Good day {{name}}"
    client.set_prompt_alias("greeting", "live", 1)
    assert client.load_prompt("prompts:/greeting@live").format(name="Ada") == "Hello Ada"
    with pytest.raises(MlflowException, match="already taken by a prompt"):
        client.create_registered_model("greeting")


def test_prompts_are_found_by_their_experiment(registry: RegistryStore) -> None:
    experiment = "0" * 31 + "1"
    registry.create_prompt("greeting", tags={"_mlflow_experiment_ids": f",{experiment},"})
    assert names(registry.search_prompts(f'experiment_id = "{experiment}"')) == ["greeting"]
    assert names(registry.search_prompts("experiment_id = '12'")) == []


def test_mlflow_registers_where_it_tracks(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run() as run:
        mlflow.log_text("weights", "model/weights.txt")
    client = MlflowClient()
    client.create_registered_model("fraud")
    source = f"{run.info.artifact_uri}/model"
    client.create_model_version("fraud", source, run.info.run_id)
    local = mlflow.artifacts.download_artifacts("models:/fraud/1/weights.txt")
    with open(local) as file:  # noqa: PTH123
        assert file.read() == "weights"
