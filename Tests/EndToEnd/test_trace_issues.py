"""Issues of experiments: what is stored, changed, found, counted and refused."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.identity import AuditLogFilter
from needletail.tracing import AssessmentKind, IssueSeverity, IssueStatus
from projects import refused
from test_purged_runs import purge
from traces import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail
    from needletail.tracing import Issue
    from program import Connection, UpServer


class Desk:
    """Issues of one experiment."""

    def __init__(self, client: needletail.Client, project: str, experiment: str) -> None:
        self.tracing, self.at, self.experiment = client.tracing, {"project_id": project}, experiment
        self.bench = Bench(client, self.at, experiment)

    def create(self, name: str = "slow", **fields: Any) -> Issue:
        """Tell of an issue."""
        return self.tracing.create_issue(
            **{**self.at, "experiment_id": self.experiment, "name": name, **fields}
        )

    def where(self, issue: Issue) -> dict[str, str]:
        """Return what names an issue."""
        return {**self.at, "issue_id": issue.id}

    def get(self, issue: Issue) -> Issue:
        """Return an issue as it is now."""
        return self.tracing.get_issue(**self.where(issue))

    def show(self, issue: Issue, count: int = 1) -> list[str]:
        """Make traces that show an issue; return their identifiers."""
        traces = [self.bench.start() for _ in range(count)]
        for trace in traces:
            self.bench.assess(trace, issue.id, {"issue_name": "x"}, kind=AssessmentKind.ISSUE)
        return traces

    def search(self, condition: str = "", **fields: Any) -> list[Issue]:
        """Return what a search finds, from all its pages."""
        found, token = [], ""
        while True:
            page = self.tracing.search_issues(
                **self.at, filter=condition, page_token=token, **fields
            )
            found += page.issues
            token = page.next_page_token
            if not token:
                return found

    def found(self, condition: str = "", **fields: Any) -> list[str]:
        """Return the names of what a search finds."""
        return [one.name for one in self.search(condition, **fields)]


@pytest.fixture
def desk(client: needletail.Client) -> Iterator[Desk]:
    """Others count on the organization's only project: this one goes when the test is over."""
    project = client.identity.create_project(name="i", slug=f"i-{uuid.uuid4()}").id
    experiment = client.tracking.create_experiment(project_id=project, name="x").id
    yield Desk(client, project, experiment)
    client.identity.delete_project(id=project)


def test_an_issue_is_created_with_all_it_has(desk: Desk, client: needletail.Client) -> None:
    run = client.tracking.create_run(experiment_id=desk.experiment).id
    made = desk.create(
        "Too slow", description="Calls\ntake long", status=IssueStatus.RESOLVED,
        severity=IssueSeverity.HIGH, root_causes=["long prompts", "é" * 300],
        categories=["latency", "cost"], source_run_id=run, author="ada",
    )  # fmt: skip
    assert (made.project_id, made.experiment_id) == (desk.at["project_id"], desk.experiment)
    assert (made.name, made.description) == ("Too slow", "Calls\ntake long")
    assert (made.status, made.severity) == (IssueStatus.RESOLVED, IssueSeverity.HIGH)
    assert list(made.root_causes) == ["long prompts", "é" * 300]
    assert list(made.categories) == ["latency", "cost"]
    assert (made.source_run_id, made.author, made.trace_count) == (run, "ada", None)
    assert made.create_time_ms == made.update_time_ms > 0
    assert desk.get(made) == made
    bare = desk.create("bare")
    assert (bare.status, bare.severity) == (IssueStatus.PENDING, IssueSeverity.UNSPECIFIED)
    assert (bare.description, bare.source_run_id, bare.author) == ("", None, None)
    assert (list(bare.root_causes), list(bare.categories)) == ([], [])


def test_what_is_present_is_changed_and_logged(desk: Desk, client: needletail.Client) -> None:
    made = desk.create("old", description="before", severity=IssueSeverity.LOW, categories=["a"])
    update = desk.tracing.update_issue
    changed = update(**desk.where(made), status=IssueStatus.REJECTED)
    assert (changed.status, changed.name) == (IssueStatus.REJECTED, "old")
    changed = update(
        **desk.where(made), name="new", description="after", severity=IssueSeverity.MEDIUM
    )
    assert (changed.name, changed.description) == ("new", "after")
    assert (changed.status, changed.severity) == (IssueStatus.REJECTED, IssueSeverity.MEDIUM)
    assert (list(changed.categories), changed.create_time_ms) == (["a"], made.create_time_ms)
    assert changed.update_time_ms >= made.update_time_ms
    assert desk.get(made) == changed
    taken = update(**desk.where(made), severity=IssueSeverity.UNSPECIFIED)
    assert taken.severity == desk.get(made).severity == IssueSeverity.UNSPECIFIED
    entries = client.identity.list_audit_logs(filter=AuditLogFilter(resource_id=made.id)).audit_logs
    assert [entry.action for entry in entries] == [*["issue.update"] * 3, "issue.create"]
    details = json.loads(entries[1].details_json)
    assert details["before"] == {"name": "old", "description": "before", "severity": "low"}
    assert details["after"] == {"name": "new", "description": "after", "severity": "medium"}


def test_a_request_that_is_sent_again_makes_one_issue(desk: Desk) -> None:
    key = str(uuid.uuid4())
    first, second = (desk.create("once", idempotency_key=key) for _ in range(2))
    assert first == second
    assert desk.found() == ["once"]


def test_issues_are_found_the_worst_first(desk: Desk, client: needletail.Client) -> None:
    run = client.tracking.create_run(experiment_id=desk.experiment).id
    other = client.tracking.create_experiment(project_id=desk.at["project_id"], name="y").id
    medium = desk.create("medium", severity=IssueSeverity.MEDIUM, author="ada")
    desk.create("none")
    desk.create("high", severity=IssueSeverity.HIGH, status=IssueStatus.RESOLVED)
    desk.create("not", severity=IssueSeverity.NOT_AN_ISSUE, source_run_id=run)
    desk.create("low", severity=IssueSeverity.LOW, experiment_id=other)
    everything = ["high", "medium", "low", "not", "none"]
    for size in (0, 2, 1):
        assert desk.found(page_size=size) == everything
    for condition, expected in (
        ("status = 'RESOLVED'", ["high"]),
        ("status != 'pending'", ["high"]),
        ("severity = 'LOW'", ["low"]),
        ("severity IN ('HIGH', 'low')", ["high", "low"]),
        ("severity IS NULL", ["none"]),
        ("severity_rank >= 3", ["high", "medium"]),
        (f"source_run_id = '{run}'", ["not"]),
        (f"experiment_id = '{other}'", ["low"]),
        (f"issue_id = '{medium.id}'", ["medium"]),
        ("name LIKE 'no%' AND status = 'PENDING'", ["not", "none"]),
        ("created_by = 'ada' OR name = 'low'", ["medium", "low"]),
        ("trace_count > 0", []),
    ):
        assert desk.found(condition) == expected, condition
        assert desk.found(condition, page_size=1) == expected, condition
    assert desk.found(order_by=["severity"]) == everything[::-1]
    assert desk.found(order_by=["name"]) == sorted(everything)
    assert desk.found(experiment_ids=[other]) == ["low"]
    assert desk.found(experiment_ids=[other, desk.experiment]) == everything
    search = desk.tracing.search_issues
    refused("FILTER_INVALID", search, **desk.at, filter="nothing = 1")
    refused("FILTER_INVALID", search, **desk.at, filter="status = 'OPEN'")
    refused("ORDER_INVALID", search, **desk.at, order_by=["severity", "severity_rank"])
    refused("PAGE_TOKEN_INVALID", search, **desk.at, page_token="none")  # noqa: S106
    token = search(**desk.at, page_size=1).next_page_token
    refused("PAGE_TOKEN_INVALID", search, **desk.at, page_token=token, with_trace_counts=True)


def test_traces_that_show_an_issue_are_counted_and_found(
    desk: Desk, client: needletail.Client
) -> None:
    few = desk.create("few", severity=IssueSeverity.HIGH)
    many = desk.create("many", severity=IssueSeverity.HIGH)
    desk.create("new", severity=IssueSeverity.HIGH)
    low = desk.create("low", severity=IssueSeverity.LOW)
    shown = desk.show(many, 3)
    desk.show(few)
    desk.show(low, 4)
    # Twice the same trace, another kind, what was replaced, and another project do not count.
    desk.bench.assess(shown[0], many.id, 1, kind=AssessmentKind.ISSUE)
    desk.bench.assess(desk.bench.start(), few.id, 1)
    wrong = desk.bench.start()
    over = desk.bench.assess(wrong, few.id, 1, kind=AssessmentKind.ISSUE)
    desk.bench.assess(wrong, "other", 1, kind=AssessmentKind.ISSUE, overrides=over.assessment_id)
    foreign = client.identity.create_project(name="f", slug=f"f-{uuid.uuid4()}").id
    outside = Desk(
        client, foreign, client.tracking.create_experiment(project_id=foreign, name="x").id
    )
    outside.show(few)
    client.identity.delete_project(id=foreign)
    expected = [("many", 3), ("few", 1), ("new", 0), ("low", 4)]
    for size in (0, 1, 3):
        found = desk.search(with_trace_counts=True, page_size=size)
        assert [(one.name, one.trace_count) for one in found] == expected
    assert desk.found() == ["new", "many", "few", "low"]
    assert {one.trace_count for one in desk.search()} == {None}
    assert desk.found("trace_count >= 3", order_by=["trace_count DESC"]) == ["low", "many"]
    assert set(desk.bench.found(f"issue.id = '{many.id}'")) == set(shown)
    desk.tracing.delete_traces(**desk.at, experiment_id=desk.experiment, trace_ids=shown[:1])
    (found,) = desk.search("name = 'many'", with_trace_counts=True)
    assert found.trace_count == 2


def test_long_issues_come_in_several_pages(desk: Desk) -> None:
    for number in range(10):
        desk.create(f"{number}", description="x" * 65_536, root_causes=["x" * 65_536])
    assert len(desk.tracing.search_issues(**desk.at).issues) < 10
    assert desk.found(order_by=["name"]) == [f"{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "x" * 251), ("name", "a\nb"), ("description", "x" * 65_537),
        ("status", 9), ("severity", 9), ("author", "x" * 251), ("source_run_id", "x"),
        ("root_causes", [""] * 101), ("root_causes", ["x" * 40_000] * 2),
        ("categories", ["x"] * 101), ("categories[1]", ["x", ""]),
        ("categories[0]", ["x" * 251]),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_its_name(desk: Desk, field: str, value: Any) -> None:
    name = field.partition("[")[0]
    error = refused("FIELD_INVALID", desk.create, **{"name": "x", name: value})
    assert [one.field for one in error.field_violations] == [field]
    assert desk.found() == []
    if name in {"name", "description", "status", "severity"}:
        made = desk.create("x" * 250)
        error = refused(
            "FIELD_INVALID", desk.tracing.update_issue, **desk.where(made), **{name: value}
        )
        assert [one.field for one in error.field_violations] == [field]
        refused("FIELD_INVALID", desk.tracing.update_issue, **desk.where(made), status=0)
        assert desk.get(made) == made


def test_what_is_not_there_is_refused(
    desk: Desk, client: needletail.Client, experiment_id: str
) -> None:
    for wrong in (str(uuid.uuid4()), experiment_id):
        refused("EXPERIMENT_NOT_FOUND", desk.create, experiment_id=wrong)
    elsewhere = client.tracking.create_run(experiment_id=experiment_id).id
    for wrong in (str(uuid.uuid4()), elsewhere):
        refused("RUN_NOT_FOUND", desk.create, source_run_id=wrong)
    assert desk.found() == []
    made = desk.create()
    project = client.tracking.get_experiment(id=experiment_id).project_id
    for method in (desk.tracing.get_issue, desk.tracing.update_issue):
        refused("ISSUE_NOT_FOUND", method, **desk.at, issue_id=str(uuid.uuid4()))
        refused("ISSUE_NOT_FOUND", method, project_id=project, issue_id=made.id)
        refused("PROJECT_NOT_FOUND", method, project_id=str(uuid.uuid4()), issue_id=made.id)


def test_issues_are_away_with_their_experiment_and_back_with_it(
    desk: Desk, client: needletail.Client
) -> None:
    made = desk.create()
    desk.show(made)
    client.tracking.delete_experiment(id=desk.experiment)
    assert desk.found() == []
    for method in (desk.tracing.get_issue, desk.tracing.update_issue):
        refused("ISSUE_NOT_FOUND", method, **desk.where(made))
    refused("EXPERIMENT_NOT_FOUND", desk.create)
    client.tracking.undelete_experiment(id=desk.experiment)
    (found,) = desk.search(with_trace_counts=True)
    assert (found.id, found.trace_count) == (made.id, 1)


def test_an_issue_outlives_its_run_and_goes_with_its_experiment(
    desk: Desk, client: needletail.Client, served: UpServer, sql: Connection
) -> None:
    run = client.tracking.create_run(experiment_id=desk.experiment).id
    made = desk.create("first", source_run_id=run)
    desk.create("second")
    client.tracking.delete_run(id=run, purge=True)
    assert desk.get(made).source_run_id == run
    purge(served, sql, "runs", run)
    assert desk.get(made) == dataclasses.replace(made, source_run_id=None)
    client.tracking.delete_experiment(id=desk.experiment, purge=True)
    purge(served, sql, "experiments", desk.experiment)
    of = "project_id = %s"
    assert sql.execute(f"select from issues where {of}", [desk.at["project_id"]]).fetchall() == []
