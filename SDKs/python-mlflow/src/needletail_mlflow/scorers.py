"""Scorers: what judges the answers of applications, kept in versions."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from mlflow.entities import ScorerVersion
from mlflow.utils.search_utils import SearchTraceUtils
from needletail.errors import CallError

from needletail_mlflow.errors import TRANSLATED, invalid, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail.tracing import ScorerVersion as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_PAGE = 500
_EXPERIMENTS = 1_000
# Where MLflow's kinds of scorers have their model, in the order in which it looks; a judge with a
# memory has another one in it.
_KINDS = (
    "instructions_judge_pydantic_data",
    "builtin_scorer_pydantic_data",
    "memory_augmented_judge_data",
    "third_party_scorer_data",
)
_GATEWAY = "gateway:/"


class Told(ScorerVersion):
    """A version that MLflow's protocol takes."""

    def to_proto(self) -> Any:
        try:
            return super().to_proto()
        except ValueError:
            # The protocol has but 32 bits for the experiment: it is left out. Whoever asks has
            # named it.
            twin = ScorerVersion(
                "0", self.scorer_name, self.scorer_version, self._serialized_scorer,
                self.creation_time, self.scorer_id,
            )  # fmt: skip
            proto = twin.to_proto()
            proto.ClearField("experiment_id")
            return proto


class Scorers:
    """What a tracking store does with scorers."""

    _connection: Connection
    _experiments: Experiments
    get_gateway_endpoint: Callable[..., Any]

    def register_scorer(self, experiment_id, name, serialized_scorer) -> ScorerVersion:
        _check_name(name)
        with TRANSLATED:
            place = self._scorers_place(experiment_id)
            model = _model(_read(serialized_scorer))
            if model is not None:
                _check_model(model)
                if model.startswith(_GATEWAY):
                    # Refused, unless there is such an endpoint.
                    self.get_gateway_endpoint(name=model.removeprefix(_GATEWAY))
            try:
                made = self._tracing.register_scorer(
                    **place, name=name, serialized_json=serialized_scorer
                )
            except CallError as error:
                raise self._scorer_error(error, experiment_id, name) from error
            return self._told_scorer(made)

    def list_scorers(self, experiment_id) -> list[ScorerVersion]:
        found = self.list_scorers_across_experiments([experiment_id])
        if not found:
            self._experiments.check_is_active(experiment_id)
        return found

    def list_scorers_across_experiments(self, experiment_ids) -> list[ScorerVersion]:
        with TRANSLATED:
            known = {self._experiments.uuid(one) for one in experiment_ids}
            wanted = sorted(one for one in known if one)
            return [
                self._told_scorer(one)
                for start in range(0, len(wanted), _EXPERIMENTS)
                for one in self._tracing.iterate_scorers(
                    project_id=self._connection.project_id,
                    experiment_ids=wanted[start : start + _EXPERIMENTS],
                    page_size=_PAGE,
                )
            ]

    def list_scorer_versions(self, experiment_id, name) -> list[ScorerVersion]:
        with TRANSLATED:
            place = self._scorers_place(experiment_id)
            try:
                found = list(
                    self._tracing.iterate_scorer_versions(**place, name=str(name), page_size=_PAGE)
                )
            except CallError as error:
                raise self._scorer_error(error, experiment_id, name) from error
            return [self._told_scorer(one) for one in found]

    def get_scorer(self, experiment_id, name, version=None) -> ScorerVersion:
        with TRANSLATED:
            place = self._scorers_place(experiment_id)
            try:
                found = self._tracing.get_scorer(**place, name=str(name), version=version)
            except CallError as error:
                raise self._scorer_error(error, experiment_id, name, version) from error
            return self._told_scorer(found)

    def delete_scorer(self, experiment_id, name, version=None) -> None:
        with TRANSLATED:
            place = self._scorers_place(experiment_id)
            try:
                self._tracing.delete_scorer(**place, name=str(name), version=version)
            except CallError as error:
                raise self._scorer_error(error, experiment_id, name, version) from error

    # Nothing scores here by itself: a server of MLflow's has jobs, and the gateway that they need,
    # only where its store is a database of its own.

    def upsert_online_scoring_config(
        self, experiment_id, scorer_name, sample_rate, filter_string=None
    ) -> Any:
        _check_sampling(sample_rate, filter_string)
        scorer = self.get_scorer(experiment_id, scorer_name)
        if sample_rate > 0:
            model = _model(_read(scorer._serialized_scorer))
            if isinstance(model, str) and model.startswith(_GATEWAY):
                self.get_gateway_endpoint(name=model.removeprefix(_GATEWAY))
            raise invalid(
                f"Scorer '{scorer_name}' does not use a gateway model: no other scores by itself"
            )
        from mlflow.genai.scorers.online import entities  # noqa: PLC0415 the whole of MLflow's

        # It is off, as it was before.
        return entities.OnlineScoringConfig(
            uuid.uuid4().hex, scorer.scorer_id, sample_rate, str(experiment_id), filter_string
        )

    def get_online_scoring_configs(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def get_active_online_scorers(self, *_: Any, **__: Any) -> list[Any]:
        return []

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _scorers_place(self, experiment_id) -> dict[str, str]:
        found = self._experiments.uuid(experiment_id)
        if not found:
            self._experiments.check_is_active(experiment_id)
        return {"project_id": self._connection.project_id, "experiment_id": found or ""}

    def _scorer_error(self, error: CallError, experiment_id, name, version=None) -> Exception:
        match error.reason:
            case "EXPERIMENT_NOT_FOUND":
                self._experiments.check_is_active(experiment_id)
            case "SCORER_NOT_FOUND":
                return missing(
                    f"Scorer with name '{name}' not found for experiment {experiment_id}."
                )
            case "SCORER_VERSION_NOT_FOUND":
                return missing(
                    f"Scorer with name '{name}' and version {version} not found for experiment"
                    f" {experiment_id}."
                )
        return error

    def _told_scorer(self, stored: Stored) -> ScorerVersion:
        return Told(
            experiment_id=self._experiments.public_id(stored.experiment_id),
            scorer_name=stored.name,
            scorer_version=stored.version,
            serialized_scorer=stored.serialized_json,
            creation_time=stored.create_time_ms,
            scorer_id=stored.scorer_id,
        )


def open_scorer_store(tracking_uri: str) -> Any:
    """What MLflow's `register`, `list_scorers` and others use: the tracking store."""
    from mlflow.genai.scorers.registry import MlflowTrackingStore  # noqa: PLC0415 it imports this

    return MlflowTrackingStore(tracking_uri)


def _check_name(name: Any) -> None:
    if name is None:
        raise invalid("The name of a scorer cannot be None")
    if not isinstance(name, str):
        raise invalid(f"The name of a scorer must be a string, is of {type(name).__name__}")
    if not name.strip():
        raise invalid("The name of a scorer cannot be empty")


def _read(serialized: Any) -> dict[str, Any]:
    try:
        scorer = json.loads(serialized)
    except (TypeError, ValueError) as error:
        raise invalid(f"serialized_scorer must be valid JSON: {error}") from error
    if not isinstance(scorer, dict):
        raise invalid("serialized_scorer must be a JSON object")
    return scorer


def _model(scorer: Any) -> Any:
    for kind in _KINDS:
        if isinstance(scorer, dict) and (data := scorer.get(kind)):
            if not isinstance(data, dict):
                return None
            is_memory = kind == "memory_augmented_judge_data"
            return _model(data.get("base_judge")) if is_memory else data.get("model")
    return None


def _check_model(model: Any) -> None:
    if not isinstance(model, str):
        raise invalid(f"The model of a scorer must be a string, is of {type(model).__name__}")
    if not model.strip():
        raise invalid("The model of a scorer cannot be empty")


def _check_sampling(sample_rate: Any, filter_string: Any) -> None:
    if not isinstance(sample_rate, (int, float)):
        raise invalid(f"sample_rate must be a number, is of {type(sample_rate).__name__}")
    if not 0 <= sample_rate <= 1:
        raise invalid(f"sample_rate must be between 0.0 and 1.0, is {sample_rate}")
    if filter_string:
        if not isinstance(filter_string, str):
            raise invalid(f"filter_string must be a string, is of {type(filter_string).__name__}")
        SearchTraceUtils.parse_search_filter_for_search_traces(filter_string)
