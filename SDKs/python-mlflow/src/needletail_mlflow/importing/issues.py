"""Issues of experiments, before the traces that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from needletail.errors import CallError
from needletail.tracing import IssueSeverity, IssueStatus

from needletail_mlflow import ids
from needletail_mlflow.importing import crew, digests
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.source import pages
from needletail_mlflow.importing.troubles import refuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.entities import Experiment, Issue
    from needletail.tracing import Issue as Stored

    from needletail_mlflow.importing.source import Source
    from needletail_mlflow.importing.work import Work

_PAGE = 100

Facts = dict[str, Any]
"""What an issue says, by name."""

# An issue has no tag that could name the source. What MLflow never changes of one tells it from
# others, with as much as possible of what it may change.
_LASTING = ("root causes", "categories", "author")
_CHANGING = ("name", "description", "status", "severity")
_LIKENESSES = (
    (*_LASTING, "source run", *_CHANGING),
    (*_LASTING, "source run", "name", "description"),
    (*_LASTING, "source run", "name"),
    (*_LASTING, "source run", "description"),
    # The run is deleted here, or came after the issue.
    (*_LASTING, "name"),
)


def copy(work: Work, experiments: Sequence[Experiment]) -> None:
    """Brings the issues of experiments over; `target.issues` has their ids then."""
    work.progress.stage("issues")

    def one(experiment: Experiment) -> None:
        if work.target.is_gone(experiment):
            # It was deleted with an import before, and was whole then.
            return
        place = f"issues of {experiment.name}"
        patiently(work, place, lambda: _Copy(work, place, experiment).copy())

    crew.each(experiments, one, work.options.threads, work.troubles)


def listed(source: Source, experiment: Experiment) -> Iterator[Issue]:
    """The issues of an experiment; none where the source does not know what issues are."""
    search = getattr(source.store, "search_issues", None)
    if search is None:
        return iter(())
    return pages(
        lambda token: search(
            experiment_id=experiment.experiment_id, max_results=_PAGE, page_token=token
        )
    )


class _Copy:
    """The issues of an experiment, and what they are here."""

    def __init__(self, work: Work, place: str, experiment: Experiment) -> None:
        self._work = work
        self._place = place
        self._uuid = work.target.known_experiment_uuid(experiment.experiment_id)
        found = listed(work.source, experiment)
        self._issues = {
            one.issue_id: one
            for one in sorted(found, key=lambda one: (one.created_timestamp, one.issue_id))
        }

    def copy(self) -> None:
        """Brings them over, as far as they are not here, and compares."""
        if not self._issues:
            return
        here = self._here()
        wanted = {name: self._facts(issue) for name, issue in self._issues.items()}
        pairs = _paired(wanted, here)
        has_written = False
        for name, facts in wanted.items():
            self._work.troubles.check()
            uuid = pairs.get(name)
            if uuid is None:
                uuid = pairs[name] = self._made(name, facts)
                has_written = True
            ours = here.get(uuid, facts)
            if change := {key: facts[key] for key in _CHANGING if facts[key] != ours[key]}:
                self._update(name, uuid, change)
                has_written = True
            self._work.progress.step()
        self._compare(wanted, pairs, self._here() if has_written else here)

    @property
    def _tracing(self) -> Any:
        return self._work.target.client.tracing

    @property
    def _project(self) -> str:
        return self._work.target.connection.project_id

    def _here(self) -> dict[str, Facts]:
        found: dict[str, Facts] = {}
        token = ""
        while True:
            page = self._tracing.search_issues(
                project_id=self._project, experiment_ids=[self._uuid], page_size=_PAGE,
                order_by=["attributes.created_time ASC"], page_token=token,
            )  # fmt: skip
            found |= {one.id: _stored(one) for one in page.issues}
            token = page.next_page_token
            if not token:
                return found

    def _facts(self, issue: Issue) -> Facts:
        run = self._work.target.known_run(issue.source_run_id or "")
        if issue.source_run_id and run is None:
            self._work.troubles.note(
                f"issue {issue.issue_id}", "source run", "is not here: the issue names none"
            )
        return {
            "name": issue.name,
            "description": issue.description or "",
            "status": _word(issue.status),
            "severity": _word(issue.severity),
            "root causes": list(issue.root_causes or ()),
            "categories": list(issue.categories or ()),
            "source run": run or "",
            "author": issue.created_by or "",
        }

    def _made(self, name: str, facts: Facts) -> str:
        """The UUID of a new issue; empty = it was refused."""
        try:
            try:
                return self._create(name, facts, facts["source run"] or None)
            except CallError as error:
                if error.reason != "RUN_NOT_FOUND":
                    raise
                self._work.troubles.note(
                    f"issue {name}", "source run", "is deleted here: the issue names none"
                )
                return self._create(name, facts, None)
        except CallError as error:
            self._refused(name, error)
            return ""

    def _create(self, name: str, facts: Facts, run: str | None) -> str:
        key = self._work.target.key("issue", name, self._uuid, digests.digest(facts), run or "")
        made = self._tracing.create_issue(
            project_id=self._project,
            experiment_id=self._uuid,
            name=facts["name"],
            description=facts["description"],
            status=_status(facts),
            severity=_severity(facts),
            root_causes=facts["root causes"],
            categories=facts["categories"],
            source_run_id=run,
            author=facts["author"] or None,
            idempotency_key=key,
        )
        self._work.progress.add("issues", 1)
        return made.id

    def _update(self, name: str, uuid: str, change: Facts) -> None:
        try:
            self._tracing.update_issue(
                project_id=self._project,
                issue_id=uuid,
                name=change.get("name"),
                description=change.get("description"),
                status=_status(change) if "status" in change else None,
                severity=_severity(change) if "severity" in change else None,
            )
        except CallError as error:
            self._refused(name, error)

    def _refused(self, name: str, error: CallError) -> None:
        if not refuses(error):
            raise error
        self._work.troubles.fail(f"issue {name}", "", error)

    def _compare(
        self, wanted: dict[str, Facts], pairs: dict[str, str], here: dict[str, Facts]
    ) -> None:
        work = self._work
        for name, facts in wanted.items():
            uuid = pairs[name]
            ours = here.get(uuid, {})
            if uuid:
                work.target.issues[name] = ids.issue_to_mlflow(uuid)
            if ours and not ours["source run"]:
                # The run is deleted here, or came later: an issue's never changes.
                facts["source run"] = ""
            for key, why in digests.differences(facts, ours) if uuid else ():
                work.troubles.fail(f"issue {name}", key, why)
            work.sums.count("issues", 1, int(bool(ours)))
            work.sums.compare("issues", name, digests.digest(facts), digests.digest(ours))


def _paired(wanted: dict[str, Facts], here: dict[str, Facts]) -> dict[str, str]:
    """Ids of issues of the source that are here, each with the UUID here; the likest first."""
    found: dict[str, str] = {}
    for likeness in _LIKENESSES:
        left: dict[str, list[str]] = {}
        taken = set(found.values())
        for uuid in reversed([one for one in here if one not in taken]):
            if "source run" in likeness or not here[uuid]["source run"]:
                left.setdefault(_key(here[uuid], likeness), []).append(uuid)
        for name, facts in wanted.items():
            if name in found or not ("name" in likeness or facts["description"]):
                continue
            if alike := left.get(_key(facts, likeness)):
                found[name] = alike.pop()
    return found


def _key(facts: Facts, likeness: Sequence[str]) -> str:
    return digests.digest([facts[key] for key in likeness])


def _word(value: Any) -> str:
    return "" if value is None else str(getattr(value, "value", value))


def _status(facts: Facts) -> IssueStatus:
    return IssueStatus.__members__.get(facts["status"].upper(), IssueStatus.PENDING)


def _severity(facts: Facts) -> IssueSeverity:
    return IssueSeverity.__members__.get(facts["severity"].upper(), IssueSeverity.UNSPECIFIED)


def _stored(one: Stored) -> Facts:
    return {
        "name": one.name,
        "description": one.description,
        "status": one.status.name.lower(),
        "severity": one.severity.name.lower() if one.severity.value else "",
        "root causes": list(one.root_causes),
        "categories": list(one.categories),
        "source run": one.source_run_id or "",
        "author": one.author or "",
    }
