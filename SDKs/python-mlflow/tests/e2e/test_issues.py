"""Issues of experiments, and the traces that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mlflow import entities
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.exceptions import MlflowException
from needletail.tracing import Assessment, AssessmentKind

if TYPE_CHECKING:
    import needletail

    from needletail_mlflow.tracking_store import TrackingStore

if not hasattr(entities, "Issue"):
    pytest.skip("this MLflow has no issues", allow_module_level=True)

from mlflow.entities import IssueSeverity, IssueStatus
from mlflow.entities.assessment import IssueReference


def show(store: TrackingStore, trace_id: str, issue_id: str, name: str = "slow") -> str:
    """Make a trace that shows an issue; return the assessment's id."""
    store.start_trace(TraceInfo(
        trace_id=trace_id, trace_location=TraceLocation.from_experiment_id("0"), request_time=1,
        execution_duration=1, state=TraceState.OK,
    ))  # fmt: skip
    reference = IssueReference(issue_id=issue_id, issue_name=name, trace_id=trace_id)
    return store.create_assessment(reference).assessment_id


def test_an_issue_is_what_the_project_has(store: TrackingStore, client: needletail.Client) -> None:
    run = store.create_run("0", "ada", 0, [], "r").info
    made = store.create_issue(
        "0", "slow", "takes long", severity=IssueSeverity.HIGH, root_causes=["a"],
        source_run_id=run.run_id, categories=["latency"], created_by="ada",
    )  # fmt: skip
    assert store.get_issue(made.issue_id) == made
    assert (made.status, made.source_run_id) == (IssueStatus.PENDING, run.run_id)
    assert (made.root_causes, made.categories) == (["a"], ["latency"])
    project = store._connection.project_id
    (kept,) = client.tracing.search_issues(project_id=project).issues
    assert made.issue_id == f"iss-{kept.id.replace('-', '')}"
    assert (kept.name, kept.severity.name) == ("slow", "HIGH")
    changed = store.update_issue(made.issue_id, status=IssueStatus.RESOLVED)
    assert (changed.status, changed.severity) == (IssueStatus.RESOLVED, IssueSeverity.HIGH)
    bare = store.create_issue("0", "bare", "")
    assert (bare.severity, bare.root_causes, bare.categories) == (None, None, None)
    assert (bare.source_run_id, bare.created_by, bare.trace_count) == (None, None, None)


def test_a_reference_names_the_issue_to_every_client(
    store: TrackingStore, client: needletail.Client
) -> None:
    made = store.create_issue("0", "slow", "").issue_id
    assessment = show(store, "tr-1", made)
    show(store, "tr-2", "of another system")
    project = store._connection.project_id
    (kept,) = client.tracing.search_issues(project_id=project, with_trace_counts=True).issues
    assert kept.trace_count == 1
    found = client.tracing.search_traces(project_id=project, filter=f"issue.id = '{kept.id}'")
    assert [one.trace_id for one in found.traces] == ["tr-1"]
    for name, trace in ((made, "tr-1"), ("of another system", "tr-2")):
        (told,), _ = store.search_traces(["0"], f"issue.id = '{name}'")
        assert told.trace_id == trace
        assert [one.issue_id for one in told.assessments] == [name]
    assert store.get_assessment("tr-1", assessment).issue_id == made
    again = store.update_assessment("tr-1", assessment, name=made, rationale="why")
    assert (again.issue_id, again.issue_name, again.rationale) == (made, "slow", "why")
    # What other clients write has a name, too.
    client.tracing.create_assessment(
        project_id=project, trace_id="tr-2",
        assessment=Assessment(
            kind=AssessmentKind.ISSUE, name=kept.id, value_json="true", source_type="CODE"
        ),
    )  # fmt: skip
    assert {one.issue_id for one in store.get_trace_info("tr-2").assessments} == {
        made, "of another system",
    }  # fmt: skip
    (found,) = store.search_issues("0", include_trace_count=True)
    assert found.trace_count == 2


def test_issues_are_found_by_what_mlflow_knows(store: TrackingStore) -> None:
    other = store.create_experiment("other")
    run = store.create_run(other, "ada", 0, [], "r").info.run_id
    low = store.create_issue("0", "low", "", severity=IssueSeverity.LOW, source_run_id=run)
    high = store.create_issue(other, "high", "", IssueStatus.REJECTED, IssueSeverity.HIGH)
    for arguments, expected in (
        ((), [high, low]), (("0",), [low]), ((other,), [high]), (("999999",), []),
        ((None, "status = 'rejected'"), [high]), ((None, "status != 'rejected'"), [low]),
        ((None, "status = 'none such'"), []), ((None, "status != 'none such'"), [high, low]),
        ((None, f"source_run_id = '{run}' AND status = 'pending'"), [low]),
        ((None, "source_run_id = 'none such'"), []),
    ):  # fmt: skip
        assert list(store.search_issues(*arguments)) == expected, arguments
    page = store.search_issues(max_results=1)
    assert list(page) == [high]
    page = store.search_issues(max_results=1, page_token=page.token)
    assert (list(page), page.token) == ([low], None)


def test_what_is_wrong_is_told(store: TrackingStore) -> None:
    for arguments, message in (
        (("999999", "x", ""), "No Experiment with id=999999 exists"),
        (("0", "x", "", None, None, None, "none"), "Run with id=none not found"),
        (("0", "x", "", None, None, None, "0" * 32), f"Run with id={'0' * 32} not found"),
    ):
        with pytest.raises(MlflowException, match=message) as caught:
            store.create_issue(*arguments)
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    made = store.create_issue("0", "x", "")
    for issue_id in ("none", "iss-", f"iss-{'0' * 32}", made.issue_id[4:]):
        for method in (store.get_issue, store.update_issue):
            with pytest.raises(MlflowException, match=f"Issue with ID '{issue_id}' not found"):
                method(issue_id)
    for arguments, message in (
        (("0", "", ""), "name: must be 1 to 250 characters"),
        (("0", "x", "", "open"), "for status: it must be one of pending, rejected, resolved"),
        (("0", "x", "", None, "worst"), "for severity: it must be one of not_an_issue, low"),
        (("0", "x", "", None, None, ["x" * 65_537]), "root_causes: must be at most 65536 bytes"),
    ):
        with pytest.raises(MlflowException, match=message) as caught:
            store.create_issue(*arguments)
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match="Invalid filter field 'name'"):
        store.search_issues(filter_string="name = 'x'")
    for wrong in (0, -1, 100_000):
        with pytest.raises(MlflowException, match=f"Invalid value {wrong} for parameter"):
            store.search_issues(max_results=wrong)


def test_issues_are_found_by_what_later_versions_say(store: TrackingStore) -> None:
    words = [
        ("Slow answer", "latency", IssueStatus.PENDING, IssueSeverity.LOW),
        ("100% wrong", "Correctness", IssueStatus.REJECTED, IssueSeverity.HIGH),
        ("slow start", "latency", IssueStatus.RESOLVED, None),
        ("1000 wrong", "cost", IssueStatus.PENDING, IssueSeverity.HIGH),
    ]
    made = [
        store.create_issue("0", name, "why", status, severity, ["because"], None, [category])
        for name, category, status, severity in words
    ]

    def found(**arguments: object) -> list[int]:
        return [made.index(one) for one in store.search_issues("0", **arguments)]

    oldest = ["created_timestamp"]
    for arguments, expected in (
        ({"name": "SLOW"}, [0, 2]), ({"name": "100%"}, [1]), ({"name": "100_"}, []),
        ({"statuses": ["pending", "rejected"]}, [0, 1, 3]), ({"statuses": []}, [0, 1, 2, 3]),
        ({"severities": ["high"]}, [1, 3]), ({"severities": ["high"], "name": "1000"}, [3]),
        ({"categories": [" correctness ", "COST"]}, [1, 3]), ({"categories": ["none"]}, []),
        ({"categories": ["latency"], "filter_string": "status = 'pending'"}, [0]),
    ):  # fmt: skip
        assert found(order_by=oldest, **arguments) == expected, arguments
    assert found(order_by=["severity DESC", "name ASC"]) == [1, 3, 0, 2]
    assert found(order_by=["status", "created_timestamp DESC"]) == [3, 0, 1, 2]
    store.update_issue(made[1].issue_id, last_seen_timestamp=1, last_updated_by="ada")
    latest = store.search_issues("0", order_by=["last_seen_timestamp DESC"], max_results=1)
    assert latest[0].issue_id == made[1].issue_id
    (basic,) = store.search_issues("0", name="answer", view="basic")
    assert (basic.description, basic.root_causes, basic.categories) == ("", None, ["latency"])


def test_a_page_of_a_category_ends_at_the_last_one_that_is_wanted(store: TrackingStore) -> None:
    made = [
        store.create_issue("0", f"i{n}", "", categories=["odd" if n % 2 else "even"]).issue_id
        for n in range(7)
    ]
    token, pages = None, []
    while not pages or token:
        page = store.search_issues(
            "0", max_results=2, page_token=token, categories=["odd"], include_total_count=True,
            order_by=["created_timestamp"],
        )  # fmt: skip
        assert page.total_count == 3
        pages.append([one.issue_id for one in page])
        token = page.token
    assert pages == [[made[1], made[3]], [made[5]]]
    assert store.search_issues("0", max_results=1, include_total_count=True).total_count == 7
    assert store.search_issues("999999", include_total_count=True).total_count == 0


def test_what_is_not_kept_of_issues_is_refused(store: TrackingStore) -> None:
    made = store.create_issue("0", "x", "", metadata={}).issue_id
    for name, value in (
        ("metadata", {"a": "b"}), ("issue_id", "iss-mine"), ("last_seen_timestamp", 1),
    ):  # fmt: skip
        with pytest.raises(NotImplementedError, match=f"what {name} in create_issue needs"):
            store.create_issue("0", "x", "", **{name: value})
    for name, value in (("metadata", {"a": "b"}), ("categories", [])):
        with pytest.raises(NotImplementedError, match=f"what {name} in update_issue needs"):
            store.update_issue(made, **{name: value})
    store.update_issue(made, delete_metadata_keys=["a"])
    for arguments, message in (
        ({"statuses": ["open"]}, "for status: it must be one of pending"),
        ({"severities": ["worst"]}, "for severity: it must be one of not_an_issue"),
        ({"statuses": "pending"}, "statuses must be a list of at most 100 strings"),
        ({"categories": [1]}, "categories must be a list of strings"),
        ({"name": "x" * 251}, "name must be a string of at most 250 characters"),
        ({"order_by": ["color"]}, "Invalid issue order_by: 'color'. Use one of name, status"),
        ({"order_by": ["name UP"]}, "Invalid issue order_by: 'name UP'"),
        ({"view": "all"}, "for view: it must be basic or full"),
    ):
        with pytest.raises(MlflowException, match=message) as caught:
            store.search_issues(**arguments)
        assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
