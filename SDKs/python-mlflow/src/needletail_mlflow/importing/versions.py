"""Versions of a model: with the numbers that they have in the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.entities.model_registry.model_version_stages import STAGE_NONE
from mlflow.exceptions import MlflowException
from needletail.errors import CallError
from needletail.registry import ModelTag

from needletail_mlflow import ids
from needletail_mlflow.importing import SOURCE_TAG, digests
from needletail_mlflow.registry_telling import (
    LOCATION_TAG,
    STAGES,
    STATUSES,
    STORED_STAGES,
    STORED_STATUSES,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from needletail.registry import Model
    from needletail.registry import ModelVersion as Stored

    from needletail_mlflow.importing.work import Work

_PAGE = 1_000
_GAP = "gap"
_READY = "READY"


class Versions:
    """The versions of one model."""

    def __init__(self, work: Work, registry: Any, name: str) -> None:
        self._work = work
        self._source = registry
        self._name = name

    def copy(self, model: Model) -> None:
        """Brings the versions over that are not here."""
        here = {
            one.ordinal: one
            for one in self._registry.iterate_model_versions(model_id=model.id, page_size=_PAGE)
        }
        for one in list(here.values()):
            if self._mark_of(one) == self._mark(_GAP):
                # An import ended between the two calls that keep a number free.
                self._delete(one.id)
                del here[one.ordinal]
        last = model.last_ordinal
        for version in self._versions():
            self._work.troubles.check()
            number = int(version.version)
            place = f"model {self._name} version {number}"
            if number > last:
                self._skip(model, last + 1, number)
                last = number
                self._create(model, version)
            elif number not in here:
                self._work.troubles.note(place, "", "was deleted here, and stays so")
                continue
            elif self._mark_of(here[number]) != self._mark(str(number)):
                self._work.troubles.fail(place, "", "another version has this number here")
                continue
            self._update(model, version, number)

    def _versions(self) -> list[ModelVersion]:
        quote = "'" if '"' in self._name else '"'
        found: list[ModelVersion] = []
        for prompts in ("", " AND tags.`mlflow.prompt.is_prompt` = 'true'"):
            token = None
            while True:
                page = self._source.search_model_versions(
                    f"name = {quote}{self._name}{quote}{prompts}", _PAGE,
                    ["version_number ASC"], token,
                )  # fmt: skip
                found += page
                token = page.token
                if not token:
                    break
        return sorted({int(one.version): one for one in found}.values(), key=_number)

    @property
    def _registry(self) -> Any:
        return self._work.target.client.registry

    def _mark(self, name: str) -> str:
        return self._work.target.mark(f"models/{self._name}/{name}").value

    @staticmethod
    def _mark_of(stored: Stored) -> str:
        return next((tag.value for tag in stored.tags if tag.key == SOURCE_TAG), "")

    def _skip(self, model: Model, first: int, number: int) -> None:
        """Uses up the numbers of versions that were deleted in the source."""
        for skipped in range(first, number):
            self._work.troubles.check()
            made = self._registry.create_model_version(
                model_id=model.id,
                tags=[ModelTag(key=SOURCE_TAG, value=self._mark(_GAP))],
                idempotency_key=self._work.target.key("gap", model.id, str(skipped)),
            )
            self._delete(made.id)

    def _create(self, model: Model, version: ModelVersion) -> None:
        facts = self._facts(version)
        self._registry.create_model_version(
            model_id=model.id,
            source=facts["source"],
            source_run=facts["run"],
            run_link=facts["run link"],
            logged_model=facts["logged model"],
            description=facts["description"],
            user=facts["user"],
            status=STORED_STATUSES[facts["status"]],
            status_message=facts["status message"],
            tags=[ModelTag(key=SOURCE_TAG, value=self._mark(str(version.version)))],
            idempotency_key=self._work.target.key("version", model.id, str(version.version)),
        )

    def _delete(self, version_id: str) -> None:
        try:
            self._registry.delete_model_version(id=version_id)
        except CallError as error:
            # Another import was faster.
            if error.reason != "MODEL_VERSION_NOT_FOUND":
                raise

    def _update(self, model: Model, version: ModelVersion, number: int) -> None:
        registry = self._registry
        stored = registry.get_model_version(model_id=model.id, ordinal=number)
        here = self._facts_here(stored)
        wanted = self._facts(version, here)
        if any(wanted[one] != here[one] for one in ("description", "status", "status message")):
            registry.update_model_version(
                id=stored.id,
                description=wanted["description"],
                status=STORED_STATUSES[wanted["status"]],
                status_message=wanted["status message"],
            )
        new = [
            ModelTag(key=key[len("tag ") :], value=value)
            for key, value in wanted.items()
            if key.startswith("tag ") and here.get(key) != value
        ]
        place = f"model {self._name} version {number}"
        self._work.troubles.each(
            place, new,
            lambda tags: registry.set_model_version_tags(model_version_id=stored.id, tags=tags),
            lambda tag: f"tag {tag.key}",
        )  # fmt: skip
        if wanted["stage"] != here["stage"]:
            registry.transition_model_version_stage(
                model_version_id=stored.id, stage=STORED_STAGES[wanted["stage"]]
            )
        self._compare(place, wanted, registry.get_model_version(id=stored.id))

    def _compare(self, place: str, wanted: dict[str, str], stored: Stored) -> None:
        here = self._facts_here(stored)
        ours = {key: value for key, value in here.items() if key in wanted}
        for key, why in digests.differences(wanted, ours):
            self._work.troubles.fail(place, key, why)
        sums = self._work.sums
        sums.count("model versions", 1, 1)
        sums.compare("model versions", place, digests.digest(wanted), digests.digest(ours))

    def _facts(self, version: ModelVersion, here: dict[str, str] | None = None) -> dict[str, str]:
        """A version as it is to be here: what it was made from is where it is here.

        What a version that is `here` was made from stays as it is; where its run came over later,
        a tag says where its files are.
        """
        known = self._work.target.known_run(version.run_id or "")
        run = ids.to_mlflow(known) if known else version.run_id or ""
        model_id = getattr(version, "model_id", None) or _model_of(version.source)
        source = self._here(version, version.source or "")
        if here is not None and here["source"] == version.source:
            source = version.source
        if here is not None and here["run"] != run and here["run"] == version.run_id:
            run = version.run_id
            self._work.troubles.note(
                f"model {self._name} version {version.version}", "run",
                "it came over after the version, which keeps its id of the source",
            )  # fmt: skip
        tags = {key: "" if value is None else str(value) for key, value in version.tags.items()}
        location = self._location(version)
        if location not in {"", source}:
            tags[LOCATION_TAG] = location
        if source.startswith("models:/m-") and not self._work.target.model_files(model_id):
            self._work.troubles.fail(
                f"model {self._name} version {version.version}", "files",
                f"their logged model is not here, and they stay at {location or source}; if it is"
                " deleted in the source, --deleted brings it, too",
            )  # fmt: skip
        return {
            "source": source,
            "run": run,
            "run link": version.run_link or "",
            "logged model": self._work.target.model_id(model_id),
            "description": version.description or "",
            "user": version.user_id or "",
            "status": version.status or _READY,
            "status message": version.status_message or "",
            "stage": version.current_stage or STAGE_NONE,
            **{f"tag {key}": value for key, value in tags.items()},
        }

    @staticmethod
    def _facts_here(stored: Stored) -> dict[str, str]:
        return {
            "source": stored.source,
            "run": stored.source_run,
            "run link": stored.run_link,
            "logged model": stored.logged_model,
            "description": stored.description,
            "user": stored.user,
            "status": STATUSES[stored.status],
            "status message": stored.status_message,
            "stage": STAGES[stored.stage],
            **{f"tag {tag.key}": tag.value for tag in stored.tags},
        }

    def _location(self, version: ModelVersion) -> str:
        """Where the version's files are here."""
        try:
            found = self._source.get_model_version_download_uri(self._name, version.version)
        except MlflowException:
            return ""
        return self._here(version, found or "")

    def _here(self, version: ModelVersion, address: str) -> str:
        """An address of files, where what they are of is here."""
        target = self._work.target
        if address.startswith("models:/m-"):
            return f"models:/{target.model_id(_model_of(address))}"
        model_id = getattr(version, "model_id", None) or _model_of(version.source)
        if target.model_files(model_id):
            root = self._work.source.store.get_logged_model(model_id).artifact_location
            if address == root:
                return target.model_files(model_id)
        if address.startswith("runs:/"):
            run_id, _, path = address[len("runs:/") :].partition("/")
            return self._of_run(run_id, path) or address
        run_id = version.run_id or ""
        if self._work.target.known_run(run_id):
            root = self._root(run_id)
            if root and address.startswith(f"{root}/"):
                return self._of_run(run_id, address[len(root) + 1 :]) or address
        return address

    def _root(self, run_id: str) -> str:
        try:
            return (self._work.source.run(run_id).info.artifact_uri or "").rstrip("/")
        except MlflowException:
            return ""

    def _of_run(self, run_id: str, path: str) -> str:
        uuid = self._work.target.known_run(run_id)
        return f"needletail:/runs/{uuid}/artifacts/{path}" if uuid else ""


def _model_of(address: str | None) -> str:
    """The id of a logged model in `models:/m-…`; empty = it is something else."""
    name = (address or "").removeprefix("models:/")
    return name if name.startswith("m-") and "/" not in name else ""


def _number(version: ModelVersion) -> int:
    return int(version.version)
