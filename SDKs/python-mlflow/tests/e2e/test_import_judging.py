"""Imports of scorers and issues, once and again, into a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mlflow import entities
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
from needletail.tracing import IssueSeverity, IssueStatus

from judging import needs_issues, text
from labs import Lab, bring, here, new_project
from needletail_mlflow.importing import issues, scorers
from needletail_mlflow.importing.command import DONE, FAILED
from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import needletail


@pytest.fixture
def lab(client: needletail.Client, tmp_path: Path) -> Lab:
    del client
    return Lab(tmp_path, "sqlite")


def versions(client: needletail.Client, project: str, scorer: str) -> list[tuple[int, str]]:
    return [(number, told) for number, told, _ in here(client, project)[f"scorer {scorer}"]]


def there(client: needletail.Client, project: str) -> TrackingStore:
    return TrackingStore(f"needletail://{client.settings.address}/{project}")


def test_newer_versions_of_scorers_come_behind_those_that_are_here(
    lab: Lab, client: needletail.Client, project: str
) -> None:
    register, digits = lab.store.register_scorer, lab.experiments["digits"]
    for number in (1, 2, 1):
        register(digits, "polite", text(number))
    assert bring(lab, project) == DONE
    # Registered again, a text is another version, too.
    for number in (1, 3):
        register(digits, "polite", text(number))
    assert bring(lab, project) == DONE
    wanted = list(enumerate(map(text, (1, 2, 1, 1, 3)), 1))
    assert versions(client, project, "polite of digits") == wanted
    assert bring(lab, project) == DONE
    assert versions(client, project, "polite of digits") == wanted
    store = there(client, project)
    (found,) = store.list_scorers(store.get_experiment_by_name("digits").experiment_id)
    assert (found.scorer_version, found._serialized_scorer) == (5, text(3))


def test_versions_behind_deleted_ones_have_numbers_of_their_own(
    lab: Lab,
    client: needletail.Client,
    project: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digits = lab.experiments["digits"]
    for number in range(1, 5):
        lab.store.register_scorer(digits, "polite", text(number))
    lab.store.delete_scorer(digits, "polite", 1)
    assert bring(lab, project) == DONE
    told = "scorer polite of digits: versions: have numbers of their own here: 4 is 3"
    assert told in capsys.readouterr().out
    # What goes there later stays here, and does not bring others again.
    lab.store.delete_scorer(digits, "polite", 3)
    lab.store.register_scorer(digits, "polite", text(5))
    assert bring(lab, project) == DONE
    wanted = list(enumerate(map(text, (2, 3, 4, 5)), 1))
    assert versions(client, project, "polite of digits") == wanted
    # And what was deleted here stays so.
    store = there(client, project)
    store.delete_scorer(store.get_experiment_by_name("digits").experiment_id, "polite", 3)
    capsys.readouterr()
    assert bring(lab, project) == DONE
    assert "polite of digits: version 4: was deleted here" in capsys.readouterr().out
    assert [number for number, _ in versions(client, project, "polite of digits")] == [1, 2, 4]


def test_latest_versions_and_scorers_that_were_deleted_here_come_again(
    lab: Lab, client: needletail.Client, project: str
) -> None:
    for number in (1, 2):
        lab.store.register_scorer(lab.experiments["digits"], "polite", text(number))
    assert bring(lab, project) == DONE
    store = there(client, project)
    digits = store.get_experiment_by_name("digits").experiment_id
    for number in (2, None):
        store.delete_scorer(digits, "polite", number)
        assert bring(lab, project) == DONE
        assert [told for _, told in versions(client, project, "polite of digits")] == [
            text(1),
            text(2),
        ]


def test_a_version_that_is_refused_is_told_whenever_it_is_tried(
    lab: Lab,
    client: needletail.Client,
    project: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digits = lab.experiments["digits"]
    for told in (text(1), '{"score": NaN}', text(2)):
        lab.store.register_scorer(digits, "polite", told)
    for _ in range(2):
        assert bring(lab, project) == FAILED
        assert "scorer polite of digits: version 2: " in capsys.readouterr().out
    assert versions(client, project, "polite of digits") == [(1, text(1)), (2, text(2))]


@needs_issues
def test_issues_that_changed_change_here_and_none_is_doubled(
    lab: Lab, client: needletail.Client, project: str
) -> None:
    create, digits = lab.store.create_issue, lab.experiments["digits"]
    run = lab.run("finds", "digits", "FINISHED")
    slow = create(digits, "slow", "takes long", source_run_id=run, created_by="ada").issue_id
    wrong = create(digits, "wrong", "is wrong", root_causes=["a"]).issue_id
    assert bring(lab, project) == DONE
    lab.store.update_issue(
        slow, entities.IssueStatus.RESOLVED, description="took long",
        severity=entities.IssueSeverity.LOW,
    )  # fmt: skip
    lab.store.update_issue(wrong, name="false")
    create(digits, "new", "was not there", source_run_id=run)
    assert bring(lab, project) == DONE
    found = here(client, project)
    names = {key for key in found if key.startswith("issue")}
    assert names == {"issue slow", "issue false", "issue new"}
    changed = found["issue slow"]
    assert changed[1:4] == ("took long", IssueStatus.RESOLVED, IssueSeverity.LOW)
    assert changed[6].endswith(run)
    fresh = new_project(client)
    assert bring(lab, fresh) == DONE
    assert here(client, fresh) == found
    # What was changed here is again as in the source, and still there once.
    store = there(client, project)
    for one in store.search_issues(store.get_experiment_by_name("digits").experiment_id):
        store.update_issue(one.issue_id, entities.IssueStatus.REJECTED, f"{one.name}?")
    assert bring(lab, project) == DONE
    assert here(client, project) == found


@needs_issues
def test_issues_that_are_alike_stay_as_many(
    lab: Lab, client: needletail.Client, project: str
) -> None:
    for _ in range(3):
        lab.store.create_issue(lab.experiments["digits"], "slow", "")
    for _ in range(2):
        assert bring(lab, project) == DONE
        store = there(client, project)
        found = store.search_issues(store.get_experiment_by_name("digits").experiment_id)
        assert [one.name for one in found] == ["slow"] * 3


@needs_issues
def test_traces_show_the_issues_that_are_here(
    filled: dict[str, Lab], client: needletail.Client, project: str
) -> None:
    lab = filled["sqlite"]
    assert bring(lab, project) == DONE
    store = there(client, project)
    letters = store.get_experiment_by_name("letters").experiment_id
    (slow,) = store.search_issues(letters, include_trace_count=True)
    before = lab.store.get_issue(lab.issue_id)
    for fact in ("name", "description", "status", "severity", "root_causes", "categories"):
        assert getattr(slow, fact) == getattr(before, fact)
    assert (slow.created_by, slow.trace_count) == ("ada", 1)
    assert store.get_run(slow.source_run_id).info.run_name == "other"
    (shown,) = (one for one in store.get_trace_info(lab.trace_id).assessments if one.issue)
    assert (shown.issue_id, shown.issue_name) == (slow.issue_id, "slow")


@needs_issues
def test_an_issue_whose_run_comes_later_is_not_doubled(
    lab: Lab,
    client: needletail.Client,
    project: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = lab.run("gone", "digits", "FINISHED")
    lab.store.create_issue(lab.experiments["digits"], "slow", "", source_run_id=run)
    lab.client.delete_run(run)
    assert bring(lab, project) == DONE
    assert "source run: is not here: the issue names none" in capsys.readouterr().out
    assert bring(lab, project, "--deleted") == DONE
    assert here(client, project)["issue slow"][6] is None
    fresh = new_project(client)
    assert bring(lab, fresh, "--deleted") == DONE
    assert "issue slow" in here(client, fresh)


def test_what_is_left_out_does_not_come(
    filled: dict[str, Lab], client: needletail.Client, project: str
) -> None:
    lab = filled["sqlite"]
    without = ("--without", "traces", "--without", "evaluations", "--without", "artifacts")
    assert bring(lab, project, *without) == DONE
    found = here(client, project)
    assert not [key for key in found if key.startswith(("scorer", "issue"))]


def test_sources_that_know_neither_have_none(filled: dict[str, Lab]) -> None:
    lab = filled["sqlite"]
    (some,) = (one for one in lab.client.search_experiments() if one.name == "digits")

    class Old:
        """An MLflow without such calls."""

    class Refusing:
        """A server without such calls."""

        def list_scorers(self, experiment_id: str) -> Any:
            raise MlflowException(f"nothing for {experiment_id}", error_code=ENDPOINT_NOT_FOUND)

        def search_issues(self, **_: Any) -> Any:
            raise NotImplementedError

    class Source:
        def __init__(self, store: Any) -> None:
            self.store = store

    for store in (Old(), Refusing()):
        source: Any = Source(store)
        assert list(issues.listed(source, some)) == []
        assert list(scorers.listed(source, [some])) == []
