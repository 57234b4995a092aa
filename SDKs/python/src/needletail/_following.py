"""Reading on where one call ends: pages of a search, and what follows an experiment."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from needletail.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from needletail._generated.tracking import FoundRun, SearchInclude, WatchExperimentResponse
    from needletail.client import Client

_PAUSE_SECONDS = (0.1, 5.0)


def iterate_search_runs(
    client: Client,
    *,
    project_id: str,
    experiment_ids: Sequence[str],
    filter_text: str,
    order_by: Sequence[str],
    page_size: int,
    parameters: SearchInclude | None,
    tags: SearchInclude | None,
    metrics: SearchInclude | None,
    include_archived: bool,
) -> Iterator[FoundRun]:
    """What `Client.iterate_search_runs` does."""
    page_token = ""
    while True:
        page = client.tracking.search_runs(
            project_id=project_id,
            experiment_ids=experiment_ids,
            filter=filter_text,
            order_by=order_by,
            page_size=page_size,
            page_token=page_token,
            parameters=parameters,
            tags=tags,
            metrics=metrics,
            include_archived=include_archived,
        )
        yield from page.runs
        page_token = page.next_page_token
        if not page_token:
            return


def watch_experiment(
    client: Client,
    experiment_id: str,
    *,
    resume_token: str,
    skip_history: bool,
    point_keys: Sequence[str],
    summary_keys: Sequence[str],
    patience_seconds: float,
) -> Iterator[WatchExperimentResponse]:
    """What `Client.watch_experiment` does."""
    until = time.monotonic() + patience_seconds
    failures = 0
    while True:
        try:
            stream = client.tracking.watch_experiment(
                experiment_id=experiment_id,
                resume_token=resume_token,
                skip_history=skip_history,
                point_keys=point_keys,
                summary_keys=summary_keys,
            )
            with stream:
                for change in stream:
                    failures, until = 0, time.monotonic() + patience_seconds
                    resume_token = change.resume_token
                    yield change
        except CallError as error:
            if not error.is_retryable or time.monotonic() >= until:
                raise
            failures += 1
            first, longest = _PAUSE_SECONDS
            longest = min(longest, first * 2 ** min(failures, 10))
            pause = random.uniform(0.5 * longest, longest)  # noqa: S311 only spreads retries
            time.sleep(max(pause, error.retry_after or 0.0))
        else:
            return
