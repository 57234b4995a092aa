"""Evaluation datasets, with their records, tags and links to experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from needletail.tracing import TracePair

from needletail_mlflow.evaluation_datasets import mlflow_id
from needletail_mlflow.importing import SOURCE_TAG, crew, digests
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.source import pages
from needletail_mlflow.importing.target import made
from needletail_mlflow.searching import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlflow.entities import DatasetRecord, EvaluationDataset, Experiment
    from needletail.tracing import EvaluationDataset as Stored

    from needletail_mlflow.importing.work import Work

_PAGE = 100
_RECORDS = 500
_TAGS_PER_CALL = 1_000
_EXPERIMENTS_PER_CALL = 1_000

Facts = dict[str, str]
"""What a record has, by name: of each the digest."""


def copy(work: Work, experiments: Sequence[Experiment]) -> None:
    """Brings the evaluation datasets of experiments over; all of them, where all come."""
    work.progress.stage("evaluation datasets")

    def one(dataset: EvaluationDataset) -> None:
        patiently(work, f"evaluation dataset {dataset.name}", lambda: _Copy(work, dataset).copy())
        work.progress.step()

    crew.each(listed(work, experiments), one, work.options.threads, work.troubles)


def listed(work: Work, experiments: Sequence[Experiment]) -> Iterator[EvaluationDataset]:
    """The evaluation datasets of experiments; all of them, where all come."""
    ids = [one.experiment_id for one in experiments] if work.options.experiments else None
    if ids == []:
        return iter(())
    return pages(
        lambda token: work.source.store.search_datasets(
            experiment_ids=ids, max_results=_PAGE,
            order_by=["created_time ASC"], page_token=token,
        )
    )  # fmt: skip


class _Copy:
    """An evaluation dataset of the source, and what it is here."""

    def __init__(self, work: Work, dataset: EvaluationDataset) -> None:
        self._work = work
        self._dataset = dataset
        self._place = f"evaluation dataset {dataset.name}"
        self._mark = work.target.mark(f"evaluations/{dataset.dataset_id}").value
        self._tags = {key: str(value) for key, value in (dataset.tags or {}).items()}
        self._has_written = False
        linked = work.source.store.get_dataset_experiment_ids(dataset.dataset_id)
        self._experiments = {
            work.target.known_experiment_uuid(one): one
            for one in linked
            if work.target.has_experiment(one)
        }

    def copy(self) -> None:
        """Brings it over, as far as it is not here, and compares."""
        stored = self._found() or self._made()
        self._describe(stored)
        here = self._here(stored.id)
        wanted = dict(self._written(stored.id, here))
        if self._has_written:
            here = self._here(stored.id)
        self._compare(self._read(stored.id), wanted, here)

    @property
    def _tracing(self) -> Any:
        return self._work.target.client.tracing

    @property
    def _project(self) -> str:
        return self._work.target.connection.project_id

    def _read(self, uuid: str) -> Stored:
        return self._tracing.get_evaluation_dataset(
            project_id=self._project, evaluation_dataset_id=uuid
        )

    def _found(self) -> Stored | None:
        page = self._tracing.search_evaluation_datasets(
            project_id=self._project, filter=f"tags.`{SOURCE_TAG}` = {quoted(self._mark)}",
            order_by=["attributes.created_time ASC"], page_size=1,
        )  # fmt: skip
        return page.datasets[0] if page.datasets else None

    def _made(self) -> Stored:
        return made(
            lambda former: self._tracing.create_evaluation_dataset(
                project_id=self._project,
                name=self._dataset.name,
                author=self._dataset.created_by,
                tags=[TracePair(key=SOURCE_TAG, value=self._mark)],
                idempotency_key=self._work.target.key(
                    "evaluation dataset", self._dataset.dataset_id, former
                ),
            ),
            self._read,
            "EVALUATION_DATASET_NOT_FOUND",
        )

    def _describe(self, stored: Stored) -> None:
        """Tags and experiments."""
        here = {one.key: one.value for one in stored.tags}
        tags = [
            TracePair(key=key, value=value)
            for key, value in self._tags.items()
            if here.get(key) != value
        ]
        used = set(stored.experiment_ids)
        links = [uuid for uuid in self._experiments if uuid not in used]

        def update(**change: Any) -> None:
            self._tracing.update_evaluation_dataset(
                project_id=self._project, evaluation_dataset_id=stored.id, **change
            )

        for start in range(0, len(tags), _TAGS_PER_CALL):
            self._work.troubles.each(
                self._place, tags[start : start + _TAGS_PER_CALL],
                lambda items: update(tags=items), lambda one: f"tag {one.key}",
            )  # fmt: skip
        for uuid in links:
            if self._experiments[uuid] in self._work.target.deleted_experiments:
                self._work.target.revive(self._experiments[uuid])
        for start in range(0, len(links), _EXPERIMENTS_PER_CALL):
            self._work.troubles.each(
                self._place, links[start : start + _EXPERIMENTS_PER_CALL],
                lambda items: update(add_experiment_ids=items), self._link,
            )  # fmt: skip

    # Records, by the digest of their inputs.

    def _written(self, uuid: str, here: dict[str, Facts]) -> Iterator[tuple[str, Facts]]:
        """Writes what is not here of the source's records; tells all of them."""
        evaluations, troubles = self._work.target.evaluations, self._work.troubles
        public_id = mlflow_id(uuid)
        for page in _pages(self._work.source.store._load_dataset_records, self._dataset.dataset_id):
            new = []
            for record in page:
                name, facts = digests.digest(record.inputs), _facts(record)
                if not facts.items() <= here.get(name, {}).items():
                    new.append(record)
                yield name, facts
            self._has_written |= bool(new)
            troubles.each(
                self._place, new,
                lambda records: evaluations.upsert(public_id, [_plain(one) for one in records]),
                lambda one: f"record {one.dataset_record_id}",
            )  # fmt: skip
            self._work.progress.add("records", len(new))

    def _here(self, uuid: str) -> dict[str, Facts]:
        self._work.troubles.check()
        pages = _pages(self._work.target.evaluations.records, mlflow_id(uuid))
        return {digests.digest(one.inputs): _facts(one) for page in pages for one in page}

    # What is compared.

    def _compare(self, stored: Stored, wanted: dict[str, Facts], records: dict[str, Facts]) -> None:
        about = {
            "name": self._dataset.name,
            **({"author": self._dataset.created_by} if self._dataset.created_by else {}),
            **{f"tag {key}": value for key, value in self._tags.items()},
            **{self._link(uuid): "yes" for uuid in self._experiments},
        }
        here = {
            "name": stored.name,
            "author": stored.author or "",
            **{f"tag {one.key}": one.value for one in stored.tags},
            **{self._link(uuid): "yes" for uuid in stored.experiment_ids},
        }
        work, name = self._work, self._dataset.dataset_id
        ours = {key: value for key, value in here.items() if key in about}
        for key, why in digests.differences(about, ours):
            work.troubles.fail(self._place, key, why)
        found = {
            one: {key: value for key, value in records[one].items() if key in facts}
            for one, facts in wanted.items()
            if one in records
        }
        for one, facts in wanted.items():
            if found.get(one) != facts:
                work.troubles.fail(self._place, *_difference(one, facts, found.get(one)))
        work.sums.count("evaluation datasets", 1, 1)
        work.sums.compare("evaluation datasets", name, digests.digest(about), digests.digest(ours))
        work.sums.count("evaluation records", len(wanted), len(found))
        work.sums.compare("evaluation records", name, digests.digest(wanted), digests.digest(found))

    def _link(self, uuid: str) -> str:
        return f"experiment {self._experiments.get(uuid, uuid)}"


def _pages(read: Callable[..., Any], dataset_id: str) -> Iterator[list[DatasetRecord]]:
    token = None
    while True:
        page, token = read(dataset_id, max_results=_RECORDS, page_token=token)
        yield page
        if not token:
            return


def _facts(record: DatasetRecord) -> Facts:
    source = record.source.to_dict() if record.source else None
    return {
        "outputs": digests.digest(record.outputs),
        **{f"expectation {key}": digests.digest(one) for key, one in _members(record.expectations)},
        **{f"tag {key}": digests.digest(one) for key, one in _members(record.tags)},
        **({"source": digests.digest(source)} if source else {}),
    }


def _members(content: dict[str, Any] | None) -> Any:
    return (content or {}).items()


def _plain(record: DatasetRecord) -> dict[str, Any]:
    """A record as it is written."""
    return {
        "inputs": record.inputs,
        "outputs": record.outputs,
        "expectations": record.expectations,
        "tags": record.tags,
        "source": record.source,
    }


def _difference(name: str, wanted: Facts, here: Facts | None) -> tuple[str, str]:
    what = f"record of the inputs {name[:8]}…"
    if here is None:
        return what, "is missing here"
    different = [key for key, value in wanted.items() if here.get(key) != value]
    return what, f"is not as in the source: {', '.join(sorted(different))}"
