"""Scorers, with their versions in the order in which they were registered."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from needletail.errors import CallError

from needletail_mlflow.importing import crew, digests
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.source import is_unknown
from needletail_mlflow.importing.troubles import refuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.entities import Experiment, ScorerVersion
    from needletail.tracing import ScorerVersion as Stored

    from needletail_mlflow.importing.source import Source
    from needletail_mlflow.importing.work import Work

_PAGE = 500


def copy(work: Work, experiments: Sequence[Experiment]) -> None:
    """Brings the scorers of experiments over."""
    work.progress.stage("scorers")
    names = {one.experiment_id: one.name for one in experiments}

    def one(latest: ScorerVersion) -> None:
        place = f"scorer {latest.scorer_name} of {names[latest.experiment_id]}"
        patiently(work, place, lambda: _Copy(work, place, latest).copy())
        work.progress.step()

    found = listed(work.source, experiments)
    crew.each(found, one, work.options.threads, work.troubles)


def listed(source: Source, experiments: Sequence[Experiment]) -> Iterator[ScorerVersion]:
    """The latest version of each scorer; none where the source does not know what scorers are."""
    search = getattr(source.store, "list_scorers", None)
    if search is None:
        return
    for experiment in experiments:
        if experiment.lifecycle_stage == LifecycleStage.DELETED:
            # MLflow tells nothing of those.
            continue
        try:
            found = search(experiment.experiment_id)
        except (MlflowException, NotImplementedError) as error:
            if is_unknown(error):
                return
            raise
        yield from found


class _Copy:
    """A scorer of the source, and what it is here."""

    def __init__(self, work: Work, place: str, latest: ScorerVersion) -> None:
        self._work = work
        self._place = place
        self._id = f"{latest.experiment_id}/{latest.scorer_name}"
        self._name = latest.scorer_name
        self._owner = {
            "project_id": work.target.connection.project_id,
            "experiment_id": work.target.known_experiment_uuid(latest.experiment_id),
        }
        found = work.source.store.list_scorer_versions(latest.experiment_id, self._name)
        # The text as it is: what MLflow reads of it may need libraries that are not here.
        self._texts = {
            one.scorer_version: one._serialized_scorer
            for one in sorted(found, key=lambda one: one.scorer_version)
        }
        self._wanted = {number: digests.digest(text) for number, text in self._texts.items()}

    def copy(self) -> None:
        """Brings over what is newer than what is here, and compares."""
        here = self._here()
        known = _aligned(self._wanted, here)
        newest = max(known, default=0)
        new = [number for number in self._wanted if number > newest]
        for place, number in enumerate(new, max(here, default=0) + 1):
            self._work.troubles.check()
            self._register(number, place)
        if new:
            here = self._here()
        self._compare(here)

    @property
    def _tracing(self) -> Any:
        return self._work.target.client.tracing

    def _here(self) -> dict[int, str]:
        try:
            return {
                one.version: digests.digest(one.serialized_json)
                for one in self._tracing.iterate_scorer_versions(
                    **self._owner, name=self._name, page_size=_PAGE
                )
            }
        except CallError as error:
            if error.reason == "SCORER_NOT_FOUND":
                return {}
            raise

    def _register(self, number: int, place: int) -> None:
        """Registers a version of the source, which is to have the number `place` here."""
        former = ""
        while True:
            # The same for all imports that are under way.
            key = self._work.target.key(
                "scorer", *self._owner.values(), self._id, str(number), self._wanted[number],
                str(place), former,
            )  # fmt: skip
            try:
                made = self._tracing.register_scorer(
                    **self._owner, name=self._name, serialized_json=self._texts[number],
                    idempotency_key=key,
                )  # fmt: skip
            except CallError as error:
                if not refuses(error):
                    raise
                self._work.troubles.fail(self._place, f"version {number}", error)
                return
            told = f"{made.scorer_id} {made.version} {made.create_time_ms}"
            if self._is_there(made) or told == former:
                self._work.progress.add("versions", 1)
                return
            # An answer from before: that one was deleted since.
            former = told

    def _is_there(self, made: Stored) -> bool:
        try:
            found = self._tracing.get_scorer(**self._owner, name=self._name, version=made.version)
        except CallError as error:
            if error.reason in {"SCORER_NOT_FOUND", "SCORER_VERSION_NOT_FOUND"}:
                return False
            raise
        # With the last version a scorer is gone, and numbers begin anew.
        return (found.scorer_id, found.create_time_ms) == (made.scorer_id, made.create_time_ms)

    def _compare(self, here: dict[int, str]) -> None:
        work, known = self._work, _aligned(self._wanted, here)
        # What is deleted leaves its number free.
        has_deleted = len(here) < max(here, default=0)
        wanted = {}
        for number, digest in self._wanted.items():
            if number not in known and has_deleted and number < max(known, default=0):
                work.troubles.note(
                    self._place, f"version {number}", "was deleted here, and stays so"
                )
                continue
            wanted[number] = digest
            if number not in known:
                work.troubles.fail(self._place, f"version {number}", "is missing here")
        moved = [number for number, there in known.items() if number != there]
        if moved:
            work.troubles.note(
                self._place, "versions",
                f"have numbers of their own here: {moved[-1]} is {known[moved[-1]]}",
            )  # fmt: skip
        ours = {number: here[there] for number, there in known.items()}
        work.sums.count("scorers", 1, int(bool(ours)))
        work.sums.count("scorer versions", len(wanted), len(ours))
        work.sums.compare("scorer versions", self._id, digests.digest(wanted), digests.digest(ours))


def _aligned(wanted: dict[int, str], here: dict[int, str]) -> dict[int, int]:
    """The numbers of versions of the source that are here, each with the number here.

    Both are in their order. Versions may be missing on either side, and others between.
    """
    source, target = list(wanted.items()), list(here.items())
    texts = SequenceMatcher(
        None, [text for _, text in source], [text for _, text in target], autojunk=False
    )
    return {
        source[first + step][0]: target[second + step][0]
        for first, second, size in texts.get_matching_blocks()
        for step in range(size)
    }
