"""Issues of experiments: what is wrong with applications, as their traces show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow import entities
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils import search_utils
from needletail.errors import CallError
from needletail.tracing import IssueSeverity, IssueStatus

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.searching import NOBODY, by_id, check_max_results, gathered, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from needletail.tracing import Issue as Stored

    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments

_STANDARD = 100
_PAGE = 500
_STATUSES = {one.name.lower(): one for one in IssueStatus if one.value}
_SEVERITIES = {one.name.lower(): one for one in IssueSeverity if one.value}


class Issues:
    """The issues of a project. Versions of MLflow without issues do not ask for them."""

    def __init__(self, connection: Connection, experiments: Experiments) -> None:
        self._connection = connection
        self._experiments = experiments

    # What MLflow calls.

    def create(
        self, experiment_id, name, description, status, severity, root_causes, source_run_id,
        categories, created_by,
    ):  # fmt: skip
        wanted = {
            "status": _known("status", status, _STATUSES) or IssueStatus.PENDING,
            "severity": _known("severity", severity, _SEVERITIES) or IssueSeverity.UNSPECIFIED,
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

    def update(self, issue_id, status, name, description, severity):
        change = {
            "status": _known("status", status, _STATUSES), "name": name,
            "description": description, "severity": _known("severity", severity, _SEVERITIES),
        }  # fmt: skip
        with TRANSLATED:
            return self._told(self._called(self._tracing.update_issue, issue_id, **change))

    def search(self, experiment_id, filter_string, max_results, page_token, include_trace_count):
        if max_results is not None:
            check_max_results(max_results)
        condition = _filter(filter_string)
        uuids = [] if experiment_id is None else [self._experiments.uuid(experiment_id)]
        if uuids and not uuids[0]:
            return PagedList([], None)

        def read(size: int, token: str) -> tuple[Sequence[Stored], str]:
            page = self._tracing.search_issues(
                project_id=self._connection.project_id, experiment_ids=uuids, filter=condition,
                page_size=size, page_token=token, with_trace_counts=include_trace_count,
            )  # fmt: skip
            return page.issues, page.next_page_token

        with TRANSLATED:
            most = _STANDARD if max_results is None else max_results
            found, token = gathered(read, most, page_token or "", _PAGE)
            return PagedList([self._told(one) for one in found], token)

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

    def _told(self, stored: Stored):
        severity = stored.severity
        run = stored.source_run_id
        return entities.Issue(
            issue_id=ids.issue_to_mlflow(stored.id),
            experiment_id=self._experiments.public_id(stored.experiment_id),
            name=stored.name,
            description=stored.description,
            status=entities.IssueStatus(stored.status.name.lower()),
            created_timestamp=stored.create_time_ms,
            last_updated_timestamp=stored.update_time_ms,
            severity=entities.IssueSeverity(severity.name.lower()) if severity.value else None,
            root_causes=list(stored.root_causes) or None,
            source_run_id=ids.to_mlflow(run) if run else None,
            categories=list(stored.categories) or None,
            created_by=stored.author,
            trace_count=stored.trace_count,
        )


def _known(field: str, value: Any, known: dict[str, Any]) -> Any:
    if value is None:
        return None
    found = known.get(getattr(value, "value", value))
    if found is None:
        raise invalid(f"Invalid value {value!r} for {field}: it must be one of {', '.join(known)}")
    return found


def _no_such_run(run_id) -> Exception:
    return missing(f"Run with id={run_id} not found")


def _filter(text: str | None) -> str:
    if not text:
        return ""
    parsed = search_utils.SearchIssuesUtils.parse_search_filter(text)
    return " AND ".join(map(_comparison, parsed))


def _comparison(comparison: dict[str, Any]) -> str:
    if comparison["key"] == "source_run_id":
        return by_id("attributes.source_run_id", comparison, ids.to_uuid)
    if comparison["value"] not in _STATUSES:
        # To MLflow a status that there is not is a text like any other: no issue has it.
        return f"attributes.issue_id {comparison['comparator']} '{NOBODY}'"
    return written(comparison)
