"""Registered models, with their versions, aliases, tags and stages; and so prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from needletail.errors import CallError
from needletail.registry import ModelName, ModelTag

from needletail_mlflow.importing import SOURCE_TAG, crew, digests
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.target import made
from needletail_mlflow.importing.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.entities.model_registry import RegisteredModel
    from needletail.registry import Model

    from needletail_mlflow.importing.work import Work

_PAGE = 100
_TAGS_PER_CALL = 100
_EXPERIMENTS = "_mlflow_experiment_ids"
_FILTERS = (None, "tags.`mlflow.prompt.is_prompt` = 'true'")


def copy(work: Work) -> None:
    """Brings the models over."""
    try:
        registry = work.source.registry
    except MlflowException as error:
        work.troubles.fail("registry", "", error)
        return
    names = listed(work, registry)
    work.progress.stage("models", len(names))

    def one(name: str) -> None:
        patiently(
            work, f"model {name}",
            lambda: ModelCopy(work, registry, registry.get_registered_model(name)).copy(),
        )  # fmt: skip
        work.progress.step()

    crew.each(names, one, work.options.threads, work.troubles)


def count(work: Work) -> int:
    """How many models and prompts the source has."""
    try:
        registry = work.source.registry
    except MlflowException:
        # Copying says so.
        return 0
    return len(listed(work, registry))


def listed(work: Work, registry: Any) -> list[str]:
    """Names of the models and prompts of the source."""
    names: dict[str, None] = {}
    for condition in _FILTERS:
        token = None
        try:
            while True:
                page = registry.search_registered_models(condition, _PAGE, ["name ASC"], token)
                names |= dict.fromkeys(one.name for one in page)
                token = page.token
                if not token:
                    break
        except MlflowException as error:
            work.source.check(error)
            what = "prompts" if condition else "models"
            work.troubles.fail("registry", what, error)
    return list(names)


class ModelCopy:
    """A model of the source, and what it is here."""

    def __init__(self, work: Work, registry: Any, model: RegisteredModel) -> None:
        self._work = work
        self._model = model
        self._place = f"model {model.name}"
        self._mark = work.target.mark(f"models/{model.name}").value
        self._versions = Versions(work, registry, model.name)

    def copy(self) -> None:
        """Brings the model over, as far as it is not here, and compares."""
        stored = self._found()
        if stored is None:
            return
        if stored.description != (self._model.description or ""):
            self._registry.update_model(id=stored.id, description=self._model.description or "")
        here = {tag.key: tag.value for tag in stored.tags}
        wanted = {**self._tags(), SOURCE_TAG: self._mark}
        new = [
            ModelTag(key=key, value=value)
            for key, value in wanted.items()
            if here.get(key) != value
        ]

        def send(tags: Sequence[ModelTag]) -> None:
            self._registry.set_model_tags(model_id=stored.id, tags=tags)

        for part in _parts(new):
            self._work.troubles.each(self._place, part, send, lambda tag: f"tag {tag.key}")
        self._versions.copy(stored)
        self._set_aliases(stored)
        self._compare(self._registry.get_model(id=stored.id))

    @property
    def _registry(self) -> Any:
        return self._work.target.client.registry

    def _found(self) -> Model | None:
        """The model here, made where there is none; None = the name is another model's."""
        project_id = self._work.target.connection.project_id
        name = ModelName(project_id=project_id, name=self._model.name)
        try:
            stored = self._registry.get_model(model=name)
        except CallError as error:
            if error.reason != "MODEL_NOT_FOUND":
                raise
            return self._made(project_id)
        marks = {tag.value for tag in stored.tags if tag.key == SOURCE_TAG}
        if self._mark in marks or (not marks and stored.last_ordinal == 0):
            return stored
        self._work.troubles.fail(
            self._place, "", "another model of this name is here: rename it, and import again"
        )
        return None

    def _made(self, project_id: str) -> Model:
        return made(
            lambda former: self._registry.create_model(
                project_id=project_id,
                name=self._model.name,
                description=self._model.description or "",
                tags=[ModelTag(key=SOURCE_TAG, value=self._mark)],
                idempotency_key=self._work.target.key("model", self._model.name, former),
            ),
            lambda uuid: self._registry.get_model(id=uuid),
            "MODEL_NOT_FOUND",
        )

    def _set_aliases(self, stored: Model) -> None:
        here = {one.alias: one.ordinal for one in stored.aliases}
        new = [
            (alias, int(version))
            for alias, version in self._aliases().items()
            if here.get(alias) != int(version)
        ]
        for one in new:
            self._work.troubles.each(
                self._place, [one],
                lambda items: self._registry.set_model_alias(
                    model_id=stored.id, alias=items[0][0], ordinal=items[0][1]
                ),
                lambda item: f"alias {item[0]}",
            )  # fmt: skip

    def _tags(self) -> dict[str, str]:
        """Its tags, also those that make it a prompt, with the experiments as they are here."""
        # What is public of a model leaves out that it is a prompt.
        found = {key: "" if one is None else str(one) for key, one in self._model._tags.items()}
        if _EXPERIMENTS in found:
            experiments = found[_EXPERIMENTS].split(",")
            found[_EXPERIMENTS] = ",".join(map(self._work.target.experiment_id, experiments))
        return found

    def _aliases(self) -> dict[str, str]:
        found = self._model.aliases or {}
        if isinstance(found, dict):
            return {alias: str(version) for alias, version in found.items()}
        return {one.alias: str(one.version) for one in found}

    def _compare(self, stored: Model) -> None:
        wanted = {
            "description": self._model.description or "",
            **{f"tag {key}": value for key, value in self._tags().items()},
            **{f"alias {alias}": version for alias, version in self._aliases().items()},
        }
        here = {
            "description": stored.description,
            **{f"tag {tag.key}": tag.value for tag in stored.tags},
            **{f"alias {one.alias}": str(one.ordinal) for one in stored.aliases},
        }
        ours = {key: value for key, value in here.items() if key in wanted}
        for key, why in digests.differences(wanted, ours):
            self._work.troubles.fail(self._place, key, why)
        sums = self._work.sums
        sums.count("models", 1, 1)
        sums.compare("models", self._model.name, digests.digest(wanted), digests.digest(ours))


def _parts(tags: list[ModelTag]) -> Iterator[list[ModelTag]]:
    for start in range(0, len(tags), _TAGS_PER_CALL):
        yield tags[start : start + _TAGS_PER_CALL]
