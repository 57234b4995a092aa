"""Scorers, through MLflow's own clients and its server."""

from __future__ import annotations

import json
import uuid
from typing import Any

import mlflow
import pytest
from mlflow.entities import ScorerVersion
from mlflow.exceptions import MlflowException
from mlflow.genai.judges import make_judge
from mlflow.genai.scorers import (
    ScorerSamplingConfig,
    delete_scorer,
    get_scorer,
    list_scorers,
)
from mlflow.genai.scorers.registry import list_scorer_versions

from needletail_mlflow.tracking_store import TrackingStore

_BASE = "instructions_judge_pydantic_data"


@pytest.fixture
def experiment(uri: str) -> str:
    mlflow.set_tracking_uri(uri)
    return mlflow.set_experiment("scored").experiment_id


@mlflow.genai.scorer
def short(outputs) -> bool:
    return len(outputs) < 5


def test_decorated_scorers_and_judges_come_back_as_they_were(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever reads one runs its code, where this says so.
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "true")
    short.register()
    again = short.register(name="brief")
    judge = make_judge(name="polite", instructions="Is {{ outputs }} kind?", model="openai:/x")
    judge.register()
    judge.register()
    assert again.name == "brief"
    assert [one.name for one in list_scorers()] == ["brief", "polite", "short"]
    found = get_scorer(name="short", experiment_id=experiment)
    assert [found(outputs=text) for text in ("four", "fourteen")] == [True, False]
    read = get_scorer(name="polite")
    assert (read.instructions, read.model) == (judge.instructions, judge.model)
    assert [number for _, number in list_scorer_versions(name="polite")] == [1, 2]
    delete_scorer(name="polite", version=1)
    assert [number for _, number in list_scorer_versions(name="polite")] == [2]
    delete_scorer(name="polite", version="all")
    with pytest.raises(MlflowException, match="'polite' not found") as caught:
        get_scorer(name="polite")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_versions_are_told_as_mlflow_tells_them(store: TrackingStore, uri: str) -> None:
    first = store.create_experiment("first")
    second = store.create_experiment("second")
    for experiment, name in ((first, "b"), (first, "a"), (second, "a"), (first, "a"), ("0", "c")):
        made = store.register_scorer(experiment, name, '{ "n": 1 }')
        assert isinstance(made, ScorerVersion)
        assert (made.experiment_id, made.scorer_name) == (experiment, name)
        assert (made._serialized_scorer, made.creation_time > 0) == ('{ "n": 1 }', True)
        assert uuid.UUID(made.scorer_id)

    def told(scorers: list[ScorerVersion]) -> list[tuple[str, str, int]]:
        return [(one.experiment_id, one.scorer_name, one.scorer_version) for one in scorers]

    assert told(store.list_scorers(first)) == [(first, "a", 2), (first, "b", 1)]
    across = store.list_scorers_across_experiments([second, "0", first, second, "nobody"])
    assert set(told(across)) == {
        (first, "a", 2), (first, "b", 1), (second, "a", 1), ("0", "c", 1),
    }  # fmt: skip
    assert len(across) == 4
    assert store.list_scorers_across_experiments([]) == []
    assert told(TrackingStore(uri).list_scorer_versions(first, "a")) == [
        (first, "a", 1), (first, "a", 2),
    ]  # fmt: skip
    # MLflow's protocol has no room for the id of an experiment that is not "0".
    for one, number in ((store.get_scorer("0", "c"), True), (store.get_scorer(first, "a"), False)):
        proto = one.to_proto()
        assert proto.HasField("experiment_id") is number
        assert (proto.scorer_name, proto.scorer_version) == (one.scorer_name, one.scorer_version)
        assert (proto.scorer_id, proto.serialized_scorer) == (one.scorer_id, '{ "n": 1 }')


def test_scorers_of_experiments_that_are_gone_are_refused(store: TrackingStore) -> None:
    experiment = store.create_experiment("gone")
    store.register_scorer(experiment, "a", "{}")
    store.delete_experiment(experiment)
    nobody = uuid.uuid4().hex
    for name, arguments in (
        ("register_scorer", ("a", "{}")), ("list_scorers", ()), ("list_scorer_versions", ("a",)),
        ("get_scorer", ("a",)), ("delete_scorer", ("a",)),
    ):  # fmt: skip
        with pytest.raises(MlflowException, match="must be in the 'active' state") as caught:
            getattr(store, name)(experiment, *arguments)
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
        with pytest.raises(MlflowException, match=nobody) as caught:
            getattr(store, name)(nobody, *arguments)
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    store.restore_experiment(experiment)
    assert len(store.list_scorers(experiment)) == 1


@pytest.mark.parametrize(
    ("name", "scorer", "match"),
    [
        (None, "{}", "None"),
        (1, "{}", "string"),
        (" ", "{}", "empty"),
        ("x" * 257, "{}", "256 characters"),
        ("a", "{", "JSON"),
        ("a", "[]", "object"),
        ("a", '{"a": NaN}', "JSON"),
        ("a", json.dumps({_BASE: {"model": 1}}), "string"),
        ("a", json.dumps({"third_party_scorer_data": {"model": " "}}), "empty"),
        (
            "a",
            json.dumps({"memory_augmented_judge_data": {"base_judge": {_BASE: {"model": ""}}}}),
            "empty",
        ),
    ],
)
def test_what_is_no_scorer_is_refused(
    store: TrackingStore, name: Any, scorer: str, match: str
) -> None:
    with pytest.raises(MlflowException, match=match) as caught:
        store.register_scorer("0", name, scorer)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert store.list_scorers("0") == []


def test_a_judge_on_the_gateway_is_refused(store: TrackingStore) -> None:
    scorer = json.dumps({_BASE: {"model": "gateway:/mine"}})
    with pytest.raises(MlflowException, match="does not keep what get_gateway_endpoint") as caught:
        store.register_scorer("0", "judge", scorer)
    assert caught.value.error_code == "NOT_IMPLEMENTED"


@pytest.mark.parametrize(
    ("sampling", "match"),
    [
        (("0.5",), "sample_rate must be a number"),
        ((None,), "sample_rate must be a number"),
        ((-0.1,), "sample_rate must be between 0.0 and 1.0"),
        ((1.5, "no filter !"), "sample_rate must be between 0.0 and 1.0"),
        ((float("nan"),), "sample_rate must be between 0.0 and 1.0"),
        ((0.5, 5), "filter_string must be a string"),
        ((0.0, "no filter !"), "Invalid clause"),
        ((1, "status = 'OK'"), "'judge' does not use a gateway model"),
    ],
)
def test_a_setting_for_scoring_by_the_server_is_refused(
    store: TrackingStore, sampling: tuple[Any, ...], match: str
) -> None:
    store.register_scorer("0", "judge", json.dumps({_BASE: {"model": "openai:/x"}}))
    with pytest.raises(MlflowException, match=match) as caught:
        store.upsert_online_scoring_config("0", "judge", *sampling)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_setting_for_scoring_names_a_scorer_that_is_there(store: TrackingStore) -> None:
    gone = store.create_experiment("gone")
    store.delete_experiment(gone)
    for experiment, match, code in (
        ("0", "Scorer with name 'nobody' not found", "RESOURCE_DOES_NOT_EXIST"),
        (uuid.uuid4().hex, "No Experiment with id", "RESOURCE_DOES_NOT_EXIST"),
        (gone, "must be in the 'active' state", "INVALID_PARAMETER_VALUE"),
    ):
        for rate in (0.5, 0.0):
            with pytest.raises(MlflowException, match=match) as caught:
                store.upsert_online_scoring_config(experiment, "nobody", rate)
            assert caught.value.error_code == code


def test_a_judge_on_the_gateway_scores_nothing_by_itself(store: TrackingStore) -> None:
    # As one that came from elsewhere.
    store._connection.client.tracing.register_scorer(
        **store._scorers_place("0"), name="judge",
        serialized_json=json.dumps({_BASE: {"model": "gateway:/mine"}}),
    )  # fmt: skip
    with pytest.raises(MlflowException, match="does not keep what get_gateway_endpoint") as caught:
        store.upsert_online_scoring_config("0", "judge", 0.5)
    assert caught.value.error_code == "NOT_IMPLEMENTED"


def test_scoring_that_is_off_is_turned_off(experiment: str, store: TrackingStore) -> None:
    judge = make_judge(name="polite", instructions="Is {{ outputs }} kind?", model="openai:/x")
    judge.register()
    found = get_scorer(name="polite")
    with pytest.raises(MlflowException, match="'polite' does not use a gateway model"):
        found.start(sampling_config=ScorerSamplingConfig(sample_rate=0.5))
    assert not found.stop().sample_rate
    told = store.upsert_online_scoring_config(experiment, "polite", 0.0, "status = 'OK'")
    assert told.scorer_id == store.get_scorer(experiment, "polite").scorer_id
    assert (told.sample_rate, told.filter_string) == (0.0, "status = 'OK'")
    assert store.get_online_scoring_configs([told.scorer_id]) == []
    assert store.get_active_online_scorers() == []
