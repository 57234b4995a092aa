"""Issues and scorers of MLflow stores to import from, and what an import made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import entities

if TYPE_CHECKING:
    import needletail

    from labs import Lab

HAS_ISSUES = hasattr(entities, "Issue")
needs_issues = pytest.mark.skipif(not HAS_ISSUES, reason="this MLflow has no issues")


def text(number: int) -> str:
    """A scorer as MLflow's database tells it, whatever form it was written in."""
    return json.dumps({"name": "ü", "call_source": f"return {number}"})


def fill(lab: Lab) -> None:
    """Scorers of one name in two experiments, and issues, of which a trace shows one."""
    for name, numbers in (("digits", (1, 2)), ("letters", (1,))):
        for number in numbers:
            lab.store.register_scorer(lab.experiments[name], "polite", text(number))
    if not HAS_ISSUES:
        return
    from mlflow.entities.assessment import IssueReference  # noqa: PLC0415 others have none

    slow = lab.store.create_issue(
        lab.experiments["letters"], "slow", "takes\nlong", severity=entities.IssueSeverity.HIGH,
        root_causes=["a", "b"], source_run_id=lab.runs["other"], categories=["latency"],
        created_by="ada",
    )  # fmt: skip
    lab.issue_id = slow.issue_id
    lab.store.create_issue(lab.experiments["digits"], "bare", "")
    lab.store.create_assessment(
        IssueReference(issue_id=slow.issue_id, issue_name="slow", trace_id=lab.trace_id)
    )


def here(
    client: needletail.Client,
    project_id: str,
    experiments: dict[str, str],
    runs: dict[str, str],
    *,
    whole: bool,
) -> dict[str, Any]:
    """Scorers and issues that were imported, by what they are called in the source."""
    tracing = client.tracing
    found: dict[str, Any] = {}
    for one in tracing.iterate_scorers(project_id=project_id):
        found[f"scorer {one.name} of {experiments[one.experiment_id]}"] = [
            (version.version, version.serialized_json, version.scorer_id if whole else "")
            for version in tracing.iterate_scorer_versions(
                project_id=project_id, experiment_id=one.experiment_id, name=one.name
            )
        ]
    for issue in tracing.search_issues(project_id=project_id).issues:
        assert f"issue {issue.name}" not in found, "an issue is there twice"
        traces = tracing.search_traces(
            project_id=project_id, filter=f"issue.id = '{issue.id}'"
        ).traces
        found[f"issue {issue.name}"] = (
            experiments[issue.experiment_id], issue.description, issue.status, issue.severity,
            issue.root_causes, issue.categories, runs.get(issue.source_run_id or ""),
            issue.author, [trace.trace_id for trace in traces],
            issue.update_time_ms if whole else 0,
        )  # fmt: skip
    return found
