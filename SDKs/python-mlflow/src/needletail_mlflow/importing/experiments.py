"""Experiments: made or found, with their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities import LifecycleStage
from needletail.tracking import Tag

from needletail_mlflow.importing import digests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow.entities import Experiment

    from needletail_mlflow.importing.work import Work

_PAGE = 1_000


def copy(work: Work, experiment: Experiment) -> bool:
    """Brings an experiment over; False = it was deleted here, and stays so."""
    target, place = work.target, f"experiment {experiment.name}"
    is_deleted = experiment.lifecycle_stage == LifecycleStage.DELETED
    uuid = target.experiment(experiment).id
    stored = target.tracking.get_experiment(id=uuid, include_deleted=True)
    if stored.deleted_at is not None and not is_deleted:
        work.troubles.note(place, "", "was deleted here, and stays so, with its runs")
        return False
    here = _tags(work, uuid)
    new = [
        Tag(key=key, value=value)
        for key, value in experiment.tags.items()
        if here.get(key) != value
    ]
    if new and stored.deleted_at is not None:
        target.revive(experiment.experiment_id)

    def send(tags: Sequence[Tag]) -> None:
        target.tracking.set_experiment_tags(experiment_id=uuid, tags=tags)

    for start in range(0, len(new), _PAGE):
        work.troubles.each(place, new[start : start + _PAGE], send, lambda tag: f"tag {tag.key}")
    _compare(work, experiment, _tags(work, uuid) if new else here)
    return True


def delete(work: Work, experiment: Experiment) -> None:
    """Deletes an experiment that is deleted in the source, with its runs."""
    tracking = work.target.tracking
    uuid = work.target.experiment(experiment).id
    if tracking.get_experiment(id=uuid, include_deleted=True).deleted_at is None:
        tracking.delete_experiment(id=uuid)


def _tags(work: Work, uuid: str) -> dict[str, str]:
    found = work.target.tracking.iterate_experiment_tags(
        experiment_id=uuid, page_size=_PAGE, include_deleted=True
    )
    return {tag.key: tag.value for tag in found}


def _compare(work: Work, experiment: Experiment, here: dict[str, str]) -> None:
    wanted = dict(experiment.tags)
    ours = {key: value for key, value in here.items() if key in wanted}
    for key, why in digests.differences(wanted, ours):
        work.troubles.fail(f"experiment {experiment.name}", f"tag {key}", why)
    work.sums.count("experiments", 1, 1)
    work.sums.compare(
        "experiments", experiment.experiment_id, digests.digest(wanted), digests.digest(ours)
    )
