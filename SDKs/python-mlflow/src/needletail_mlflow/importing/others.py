"""What an MLflow store may have that is not copied: told by name, so that all know it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mlflow.entities import Experiment

    from needletail_mlflow.importing.work import Work

_PAGE = 100


def tell(work: Work, experiments: Sequence[Experiment]) -> None:
    """Tells of evaluation datasets of the experiments."""
    store = work.source.store
    ids = [one.experiment_id for one in experiments]
    if not ids:
        return
    for one in _all(lambda token: store.search_datasets(
        experiment_ids=ids, max_results=_PAGE, page_token=token
    )):  # fmt: skip
        work.troubles.fail(
            f"evaluation dataset {one.name}", "", "evaluation datasets are not copied"
        )


def _all(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every page of what a search finds; nothing of a store that knows none of it."""
    token = None
    while True:
        try:
            page: Iterable[Any] = search(token)
        except Exception:  # noqa: BLE001 file stores and servers of before have none of it
            return
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return
