"""The review queues of an experiment of a test's own."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from needletail.tracing import AssessmentKind, LabelInput, ReviewQueueKind, ReviewStatus, TextInput
from traces import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail
    from needletail.tracing import ReviewItem, ReviewQueue

CUSTOM, USER = ReviewQueueKind.CUSTOM, ReviewQueueKind.USER


class Tray:
    """The review queues of one experiment."""

    def __init__(self, client: needletail.Client, project: str, experiment: str) -> None:
        self.tracing, self.project = client.tracing, {"project_id": project}
        self.at = {**self.project, "experiment_id": experiment}
        self.bench = Bench(client, self.project, experiment)

    def create(
        self, name: str = "team", kind: ReviewQueueKind = CUSTOM, **fields: Any
    ) -> ReviewQueue:
        """Create a review queue."""
        return self.tracing.create_review_queue(**{**self.at, "name": name, "kind": kind, **fields})

    def ask(self, name: str, **fields: Any) -> str:
        """Create a label schema; return its id."""
        return self.tracing.create_label_schema(
            **{**self.at, "name": name, "kind": AssessmentKind.FEEDBACK, **fields},
            input=LabelInput(text=TextInput()),
        ).id

    def where(self, queue: ReviewQueue) -> dict[str, str]:
        """Return what names a review queue."""
        return {**self.project, "review_queue_id": queue.id}

    def get(self, queue: ReviewQueue) -> ReviewQueue:
        """Return a review queue as it is now."""
        return self.tracing.get_review_queue(**self.where(queue))

    def update(self, queue: ReviewQueue, **fields: Any) -> ReviewQueue:
        """Change a review queue."""
        return self.tracing.update_review_queue(**self.where(queue), **fields)

    def delete(self, queue: ReviewQueue) -> None:
        """Delete a review queue."""
        self.tracing.delete_review_queue(**self.where(queue))

    def listed(self, **fields: Any) -> list[str]:
        """Return the names of review queues, from all pages."""
        return [one.name for one in self.tracing.iterate_review_queues(**self.at, **fields)]

    def add(self, queue: ReviewQueue, *traces: str, **fields: Any) -> list[ReviewItem]:
        """Add traces to a review queue."""
        found = self.tracing.add_review_items(**self.where(queue), trace_ids=traces, **fields)
        return list(found.items)

    def remove(self, queue: ReviewQueue, *traces: str) -> int:
        """Take traces out of a review queue."""
        return self.tracing.remove_review_items(**self.where(queue), trace_ids=traces).count

    def items(self, queue: ReviewQueue, **fields: Any) -> list[str]:
        """Return the traces of a review queue, from all pages."""
        found = self.tracing.iterate_review_items(**self.where(queue), **fields)
        return [one.trace_id for one in found]

    def review(
        self, queue: ReviewQueue, trace: str, status: ReviewStatus, who: str = ""
    ) -> ReviewItem:
        """Say what has become of a trace."""
        return self.tracing.update_review_item(
            **self.where(queue), trace_id=trace, status=status, completed_by=who
        )


@contextmanager
def open_tray(client: needletail.Client) -> Iterator[Tray]:
    """Make a project: others count on the organization's only one, so this one goes afterwards."""
    project = client.identity.create_project(name="q", slug=f"q-{uuid.uuid4()}").id
    experiment = client.tracking.create_experiment(project_id=project, name="x").id
    yield Tray(client, project, experiment)
    client.identity.delete_project(id=project)
