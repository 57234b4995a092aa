"""Review queues: traces that people are to review.

Versions of MLflow without them ask for none; what is MLflow's is imported when they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS
from mlflow.store.entities.paged_list import PagedList
from needletail.errors import CallError
from needletail.tracing import ReviewLabelSchemas, ReviewQueueKind, ReviewStatus, ReviewUsers

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import check_max_results, gathered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from needletail.tracing import ReviewItem, ReviewQueue

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_STANDARD = 1_000
_PAGE = 100
_ITEMS_PAGE = 500
_ITEMS = 1_000


class ReviewQueues:
    """What a tracking store does with review queues."""

    _connection: Connection
    _experiments: Experiments
    _reviews_of: Callable[[Any], dict[str, str]]

    def create_review_queue(
        self, experiment_id, *, name, queue_type, created_by=None, users=None, schema_ids=None
    ):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        wanted = validation.validate_queue_for_create(
            name=name, queue_type=queue_type, users=users, schema_ids=schema_ids
        )
        with TRANSLATED:
            where = self._reviews_of(experiment_id)
            schemas = _uuids(wanted.schema_ids, experiment_id)
            try:
                return self._told_queue(
                    self._tracing.create_review_queue(
                        **where,
                        name=wanted.name,
                        kind=ReviewQueueKind[str(wanted.queue_type).upper()],
                        users=wanted.users,
                        label_schema_ids=schemas,
                        owner=created_by or None,
                    )
                )
            except CallError as error:
                raise self._queue_error(error, wanted.name, experiment_id) from error

    def get_or_create_user_queue(self, experiment_id, *, user):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        name = validation.normalize_user(user)
        with TRANSLATED:
            found = self._named_queue(experiment_id, name)
            if found is None:
                try:
                    return self.create_review_queue(
                        experiment_id, name=name, queue_type="user", created_by=name
                    )
                except MlflowException as error:
                    # Somebody else was quicker.
                    found = self._named_queue(experiment_id, name)
                    if found is None or error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
            if found.kind is not ReviewQueueKind.USER:
                raise MlflowException(
                    f"A non-user queue named '{name}' already exists: it is not made the queue of"
                    " a user.",
                    RESOURCE_ALREADY_EXISTS,
                )
            return self._told_queue(found)

    def get_review_queue(self, queue_id):
        with TRANSLATED:
            return self._told_queue(self._of_queue("get_review_queue", queue_id))

    def get_review_queue_by_name(self, experiment_id, *, name):
        with TRANSLATED:
            if found := self._named_queue(experiment_id, name):
                return self._told_queue(found)
        raise missing(
            f"Review queue with name '{name}' not found for experiment '{experiment_id}'."
        )

    def list_review_queues(
        self, experiment_id, *, user=None, item_id=None, max_results=None, page_token=None
    ):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        most = _most(max_results)
        wanted = {}
        if user is not None:
            wanted["user"] = validation.normalize_user(user)
        if item_id is not None:
            wanted["trace_id"] = item_id
        with TRANSLATED:
            where = self._reviews_of(experiment_id)

            def read(size: int, token: str) -> tuple[Sequence[ReviewQueue], str]:
                page = self._tracing.list_review_queues(
                    **where, **wanted, page_size=size, page_token=token
                )
                return page.review_queues, page.next_page_token

            if not all(wanted.values()):
                # Nobody is called that.
                return PagedList([], None)
            try:
                found, token = gathered(read, most, page_token or "", _PAGE)
            except CallError as error:
                raise self._queue_error(error, "", experiment_id) from error
            return PagedList([self._told_queue(one) for one in found], token)

    def update_review_queue(
        self, queue_id, *, users=None, schema_ids=None, name=None, new_owner=None
    ):
        with TRANSLATED:
            before = self._of_queue("get_review_queue", queue_id)
            if before.kind is ReviewQueueKind.USER:
                raise invalid(
                    "The name, the user, the schemas and the owner of a user queue are fixed and"
                    " cannot be updated."
                )
            experiment_id = self._experiments.public_id(before.experiment_id)
            change = _change(experiment_id, users, schema_ids, name, new_owner)
            if not change:
                return self._told_queue(before)
            try:
                return self._told_queue(self._of_queue("update_review_queue", queue_id, **change))
            except CallError as error:
                if error.reason == "REVIEW_QUEUE_HAS_ITEMS":
                    raise invalid(
                        "The questions of a review queue are locked once items are assigned to it:"
                        " remove them first."
                    ) from error
                raise self._queue_error(error, name, experiment_id) from error

    def delete_review_queue(self, queue_id):
        uuid = ids.review_queue_to_uuid(queue_id)
        with TRANSLATED:
            try:
                if uuid is not None:
                    self._tracing.delete_review_queue(
                        project_id=self._connection.project_id, review_queue_id=uuid
                    )
            except CallError as error:
                # To MLflow one that is not there is deleted.
                if error.reason != "REVIEW_QUEUE_NOT_FOUND":
                    raise

    # What is in them.

    def add_items_to_review_queue(self, queue_id, *, item_ids, item_type="trace"):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        validation.coerce_item_type(item_type)
        wanted = validation.validate_item_ids_for_attach(item_ids)
        with TRANSLATED:
            return [
                _told_item(one)
                for part in _parts(wanted)
                for one in self._of_queue("add_review_items", queue_id, trace_ids=part).items
            ]

    def remove_items_from_review_queue(self, queue_id, *, item_ids):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        wanted = validation.validate_item_ids_for_attach(item_ids)
        with TRANSLATED:
            for part in _parts(wanted):
                self._of_queue("remove_review_items", queue_id, trace_ids=part)

    def list_review_queue_items(self, queue_id, *, status=None, max_results=None, page_token=None):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        most = _most(max_results)
        kept = ReviewStatus.UNSPECIFIED
        if status is not None:
            kept = ReviewStatus[str(validation.coerce_status(status)).upper()]

        def read(size: int, token: str) -> tuple[Sequence[ReviewItem], str]:
            page = self._of_queue(
                "list_review_items", queue_id, status=kept, page_size=size, page_token=token
            )
            return page.items, page.next_page_token

        with TRANSLATED:
            found, token = gathered(read, most, page_token or "", _ITEMS_PAGE)
            return PagedList([_told_item(one) for one in found], token)

    def set_review_queue_item_status(self, queue_id, *, item_id, status, completed_by=None):
        from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

        wanted = validation.coerce_status(status)
        item = validation.normalize_item_id(item_id)
        by = None if completed_by is None else validation.normalize_user(completed_by)
        _check_reviewer(wanted, by, validation.USER_MAX_LENGTH)
        with TRANSLATED:
            try:
                return _told_item(
                    self._of_queue(
                        "update_review_item",
                        queue_id,
                        trace_id=item,
                        status=ReviewStatus[str(wanted).upper()],
                        completed_by=by or "",
                    )
                )
            except CallError as error:
                if error.reason != "REVIEW_ITEM_NOT_FOUND":
                    raise
                raise missing(
                    f"Item '{item}' is not attached to review queue '{queue_id}'."
                ) from error

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _named_queue(self, experiment_id, name) -> ReviewQueue | None:
        where = self._reviews_of(experiment_id)
        if not name:
            return None
        try:
            page = self._tracing.list_review_queues(**where, name=name)
        except CallError as error:
            raise self._queue_error(error, name, experiment_id) from error
        return page.review_queues[0] if page.review_queues else None

    def _of_queue(self, method: str, queue_id, **fields: Any) -> Any:
        """Calls a method of one queue."""
        uuid = ids.review_queue_to_uuid(queue_id)
        try:
            if uuid is not None:
                return getattr(self._tracing, method)(
                    project_id=self._connection.project_id, review_queue_id=uuid, **fields
                )
        except CallError as error:
            if error.reason != "REVIEW_QUEUE_NOT_FOUND":
                raise
        raise missing(f"Review queue with id '{queue_id}' not found.")

    def _queue_error(self, error: CallError, name, experiment_id) -> Exception:
        match error.reason:
            case "EXPERIMENT_NOT_FOUND":
                return self._experiments.no_such(experiment_id)
            case "REVIEW_QUEUE_NAME_TAKEN":
                return MlflowException(
                    f"Review queue with name '{name}' already exists (names are case-insensitive).",
                    RESOURCE_ALREADY_EXISTS,
                )
            case "LABEL_SCHEMA_NOT_FOUND":
                gone = str(error.details.get("label_schema_ids", "")).split()
                return _no_such_schemas(map(ids.label_schema_to_mlflow, gone), experiment_id)
        return error

    def _told_queue(self, stored: ReviewQueue):
        from mlflow.genai import review_queues  # noqa: PLC0415 it takes seconds

        return review_queues.ReviewQueue(
            queue_id=ids.review_queue_to_mlflow(stored.id),
            experiment_id=self._experiments.public_id(stored.experiment_id),
            name=stored.name,
            queue_type=review_queues.ReviewQueueType(stored.kind.name.lower()),
            created_by=stored.owner,
            creation_time_ms=stored.create_time_ms,
            last_update_time_ms=stored.update_time_ms,
            users=list(stored.users),
            schema_ids=[ids.label_schema_to_mlflow(one) for one in stored.label_schema_ids],
        )


def _told_item(stored: ReviewItem):
    from mlflow.genai import review_queues  # noqa: PLC0415 it takes seconds

    return review_queues.ReviewQueueItem(
        queue_id=ids.review_queue_to_mlflow(stored.review_queue_id),
        item_type=review_queues.ReviewItemType.TRACE,
        item_id=stored.trace_id,
        status=review_queues.ReviewStatus(stored.status.name.lower()),
        creation_time_ms=stored.create_time_ms,
        last_update_time_ms=stored.update_time_ms,
        completed_by=stored.completed_by,
        completed_time_ms=stored.complete_time_ms,
    )


def _most(max_results) -> int:
    if max_results is None:
        return _STANDARD
    check_max_results(max_results)
    return int(max_results)


def _parts(item_ids: list[str]) -> Iterator[list[str]]:
    return (item_ids[start : start + _ITEMS] for start in range(0, len(item_ids), _ITEMS))


def _change(experiment_id, users, schema_ids, name, new_owner) -> dict[str, Any]:
    """What a change says, by the server's names."""
    from mlflow.genai.review_queues import validation  # noqa: PLC0415 it takes seconds

    change: dict[str, Any] = {}
    if new_owner is not None:
        change["owner"] = validation.validate_queue_owner(new_owner)
    if name is not None:
        change["name"] = validation.validate_custom_queue_name(name)
    if users is not None:
        change["users"] = ReviewUsers(users=tuple(validation.normalize_users(users)))
    if schema_ids is not None:
        uuids = _uuids(validation.normalize_schema_ids(schema_ids), experiment_id)
        change["label_schemas"] = ReviewLabelSchemas(label_schema_ids=tuple(uuids))
    return change


def _uuids(schema_ids, experiment_id) -> list[str]:
    found = {one: ids.label_schema_to_uuid(one) for one in schema_ids}
    if gone := [one for one, uuid in found.items() if uuid is None]:
        raise _no_such_schemas(gone, experiment_id)
    return [uuid for uuid in found.values() if uuid]


def _no_such_schemas(gone, experiment_id) -> Exception:
    return invalid(f"Label schema id(s) {list(gone)} not found for experiment '{experiment_id}'.")


def _check_reviewer(status, by: str | None, most: int) -> None:
    """Refuses who may not be named with a status, as MLflow does, before anybody is asked."""
    if str(status) == "pending":
        if by is not None:
            raise invalid("`completed_by` must not be set when reopening an item to `pending`.")
    elif not by:
        raise invalid(f"`completed_by` is required when setting status to `{status}`.")
    if by is not None and len(by) > most:
        raise invalid(f"`completed_by` must be at most {most} characters; got {len(by)}.")
