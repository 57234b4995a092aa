"""Issues of experiments: what is wrong with applications, as their traces show."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from mlflow import entities
from mlflow.store.entities.paged_list import PagedList
from needletail.errors import CallError
from needletail.tracing import IssueSeverity, IssueStatus

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.issue_searching import (
    SEVERITIES,
    STATUSES,
    issue_filter,
    issue_order,
    known_value,
    of_categories,
)
from needletail_mlflow.searching import check_max_results, gathered
from needletail_mlflow.unkept import NotKeptError

if TYPE_CHECKING:
    from needletail.tracing import Issue as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_STANDARD = 100
_PAGE = 500
# Later versions of MLflow say when an issue was seen last.
_SAYS_SEEN = hasattr(getattr(entities, "Issue", None), "last_seen_timestamp")
_VIEWS = {None, "basic", "full"}


class Issues:
    """The issues of a project. Versions of MLflow without issues do not ask for them."""

    def __init__(self, connection: Connection, experiments: Experiments) -> None:
        self._connection = connection
        self._experiments = experiments

    # What MLflow calls.

    def create(
        self, experiment_id, name, description, status, severity, root_causes, source_run_id,
        categories, created_by, *, issue_id=None, last_seen_timestamp=None, metadata=None,
    ):  # fmt: skip
        _refuse("create_issue", issue_id=issue_id, metadata=metadata or None)
        _refuse("create_issue", last_seen_timestamp=last_seen_timestamp)
        wanted = {
            "status": known_value("status", status, STATUSES) or IssueStatus.PENDING,
            "severity": known_value("severity", severity, SEVERITIES) or IssueSeverity.UNSPECIFIED,
        }
        with TRANSLATED:
            uuid = self._experiments.uuid(experiment_id)
            run = ids.to_uuid(source_run_id) if source_run_id else None
            if not uuid:
                self._experiments.check_is_active(experiment_id)
            if source_run_id and run is None:
                raise _no_such_run(source_run_id)
            try:
                return self._told(
                    self._tracing.create_issue(
                        project_id=self._connection.project_id,
                        experiment_id=uuid or "",
                        name=name,
                        description=description or "",
                        root_causes=list(root_causes or ()),
                        categories=list(categories or ()),
                        source_run_id=run,
                        author=created_by,
                        **wanted,
                    )
                )
            except CallError as error:
                if error.reason == "EXPERIMENT_NOT_FOUND":
                    self._experiments.check_is_active(experiment_id)
                if error.reason == "RUN_NOT_FOUND":
                    raise _no_such_run(source_run_id) from error
                raise

    def get(self, issue_id):
        with TRANSLATED:
            return self._told(self._called(self._tracing.get_issue, issue_id))

    def update(
        self, issue_id, status, name, description, severity, *, categories=None,
        last_seen_timestamp=None, last_updated_by=None, metadata=None, delete_metadata_keys=None,
    ):  # fmt: skip
        # Seen last is when it was changed last, which this is; who changes it the server knows; and
        # of metadata there is none to delete.
        del last_seen_timestamp, last_updated_by, delete_metadata_keys
        _refuse("update_issue", categories=categories, metadata=metadata or None)
        change = {
            "status": known_value("status", status, STATUSES), "name": name,
            "description": description, "severity": known_value("severity", severity, SEVERITIES),
        }  # fmt: skip
        with TRANSLATED:
            return self._told(self._called(self._tracing.update_issue, issue_id, **change))

    def search(
        self, experiment_id, filter_string, max_results, page_token, include_trace_count, *,
        name=None, statuses=None, severities=None, categories=None, order_by=None,
        include_total_count=False, view=None,
    ):  # fmt: skip
        if max_results is not None:
            check_max_results(max_results)
        if view not in _VIEWS:
            raise invalid(f"Invalid value {view!r} for view: it must be basic or full")
        condition = issue_filter(filter_string, name, statuses, severities)
        order, is_wanted = issue_order(order_by), of_categories(categories)
        uuids = [] if experiment_id is None else [self._experiments.uuid(experiment_id)]

        def read(size: int, token: str, *, counts: bool = include_trace_count) -> Any:
            if uuids and not uuids[0]:
                return [], ""
            page = self._tracing.search_issues(
                project_id=self._connection.project_id, experiment_ids=uuids, filter=condition,
                order_by=order, page_size=size, page_token=token, with_trace_counts=counts,
            )  # fmt: skip
            return page.issues, page.next_page_token

        with TRANSLATED:
            most = _STANDARD if max_results is None else max_results
            found, token = gathered(read, most, page_token or "", _PAGE, is_wanted)
            told = PagedList([self._told(one, is_basic=view == "basic") for one in found], token)
            if include_total_count:
                uncounted = functools.partial(read, counts=False)
                told.total_count = len(gathered(uncounted, None, "", _PAGE, is_wanted)[0])
            return told

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _called(self, method, issue_id, **fields: Any) -> Stored:
        uuid = ids.issue_to_uuid(issue_id)
        try:
            if uuid is not None:
                return method(project_id=self._connection.project_id, issue_id=uuid, **fields)
        except CallError as error:
            if error.reason != "ISSUE_NOT_FOUND":
                raise
        raise missing(f"Issue with ID '{issue_id}' not found")

    def _told(self, stored: Stored, *, is_basic: bool = False):
        severity = stored.severity
        run = stored.source_run_id
        return entities.Issue(
            issue_id=ids.issue_to_mlflow(stored.id),
            experiment_id=self._experiments.public_id(stored.experiment_id),
            name=stored.name,
            description="" if is_basic else stored.description,
            status=entities.IssueStatus(stored.status.name.lower()),
            created_timestamp=stored.create_time_ms,
            last_updated_timestamp=stored.update_time_ms,
            severity=entities.IssueSeverity(severity.name.lower()) if severity.value else None,
            root_causes=None if is_basic else list(stored.root_causes) or None,
            source_run_id=ids.to_mlflow(run) if run else None,
            categories=list(stored.categories) or None,
            created_by=stored.author,
            trace_count=stored.trace_count,
            **({"last_seen_timestamp": stored.update_time_ms} if _SAYS_SEEN else {}),
        )


def _no_such_run(run_id) -> Exception:
    return missing(f"Run with id={run_id} not found")


def _refuse(method: str, **fields: Any) -> None:
    for name, value in fields.items():
        if value is not None:
            raise NotKeptError(f"{name} in {method}")
