"""What a role in a project lets its members do there, and how soon it ends."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.identity import ProjectRole, Visibility
from projects import Person, Team, open_team, refused
from waiting import wait_until
from wire import Wire, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program import Connection, UpServer

KEPT = (
    "select p::text as row from projects as p where id = %(project)s",
    "select e::text as row from experiments as e where project_id = %(project)s",
    "select r::text as row from runs as r where project_id = %(project)s",
    "select m::text as row from run_metric_summaries as m where run_id = %(run)s",
    "select count(*)::text as row from events where project_id = %(project)s",
    "select count(*)::text as row from audit_logs where project_id = %(project)s",
)

TAGS = [needletail.tracking.Tag(key="team", value="vision")]
PARAMETERS = [needletail.tracking.Parameter(key="rate", value="0.1")]


@pytest.fixture(scope="module")
def team(served: UpServer) -> Iterator[Team]:
    with served.sql() as sql, open_team(served, sql) as team:
        yield team


class Work:
    """A project with an experiment and a run, which its owner made."""

    def __init__(self, team: Team, **fields: Any) -> None:
        self.team = team
        self.project = team.project(**fields).id
        tracking = team.owner.client.tracking
        self.experiment = tracking.create_experiment(project_id=self.project, name="first").id
        self.run = tracking.create_run(experiment_id=self.experiment).id

    def give(self, person: Person, role: ProjectRole) -> None:
        """Make somebody a member."""
        self.team.owner.client.identity.set_project_member(
            project_id=self.project, user_id=person.id, role=role
        )

    @property
    def changes(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Calls that change something in it."""
        return (
            ("create_experiment", {"project_id": self.project, "name": f"e {uuid.uuid4()}"}),
            ("update_experiment", {"id": self.experiment, "description": "changed"}),
            ("create_run", {"experiment_id": self.experiment}),
            ("update_run", {"id": self.run, "description": "changed"}),
            ("set_experiment_tags", {"experiment_id": self.experiment, "tags": TAGS}),
            ("set_run_tags", {"run_id": self.run, "tags": TAGS}),
            ("log_parameters", {"run_id": self.run, "parameters": PARAMETERS}),
            ("log_batch", {"run_id": self.run, "tags": TAGS}),
            ("finish_run", {"id": self.run}),
            ("reopen_run", {"id": self.run}),
        )

    @property
    def looks(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Calls that look at something in it by its id."""
        return (
            ("get_experiment", {"id": self.experiment}),
            ("get_run", {"id": self.run}),
            ("list_experiment_tags", {"experiment_id": self.experiment}),
            ("list_run_tags", {"run_id": self.run}),
            ("list_run_parameters", {"run_id": self.run}),
            ("list_parameter_history", {"run_id": self.run, "key": "rate"}),
            ("list_run_metrics", {"run_id": self.run}),
            ("get_metric_history", {"run_id": self.run, "key": "loss"}),
        )

    def kept(self, sql: Connection) -> list[Any]:
        """Return everything that is stored of it."""
        names = {"project": self.project, "run": self.run}
        return [sql.execute(query, names).fetchall() for query in KEPT]


def append(served: UpServer, person: Person, run: str) -> str:
    """Log a point to a run; return the reason for which it was refused."""
    series = message("MetricSeries", key="loss", steps=[1], values=[1.0])
    runs = [message("RunMetrics", run_id=run, series=[series])]
    batch = message("AppendMetricsRequest", writer_id=str(uuid.uuid4()), sequence=1, runs=runs)
    with Wire.opened({**served.connection, "api_key": person.api_key}) as wire:
        return str(wire.end(wire.open("AppendMetrics", batch)).status.reason)


def test_a_viewer_of_a_project_looks_and_changes_nothing(
    team: Team, served: UpServer, sql: Connection
) -> None:
    for visibility in (Visibility.PRIVATE, Visibility.ORGANIZATION, Visibility.PUBLIC):
        work = Work(team, visibility=visibility)
        work.give(team.developer, ProjectRole.VIEWER)
        before = work.kept(sql)
        tracking = team.developer.client.tracking
        for method, fields in work.changes:
            error = refused("PERMISSION_MISSING", getattr(tracking, method), **fields)
            assert error.code is needletail.Code.PERMISSION_DENIED
        assert append(served, team.developer, work.run) == "PERMISSION_MISSING"
        assert work.kept(sql) == before
        for method, fields in work.looks:
            getattr(tracking, method)(**fields)
        assert [run.id for run in tracking.iterate_runs(project_id=work.project)] == [work.run]


@pytest.mark.parametrize("role", [ProjectRole.CONTRIBUTOR, ProjectRole.OWNER])
def test_a_contributor_changes_what_is_in_a_project(
    team: Team, served: UpServer, role: ProjectRole
) -> None:
    work = Work(team)
    work.give(team.developer, role)
    assert append(served, team.developer, work.run) == ""
    for method, fields in (*work.changes, *work.looks):
        getattr(team.developer.client.tracking, method)(**fields)


@pytest.mark.parametrize("role", list(ProjectRole)[1:])
def test_a_viewer_of_the_organization_never_does_more_than_look(
    team: Team, served: UpServer, sql: Connection, role: ProjectRole
) -> None:
    work = Work(team)
    work.give(team.viewer, role)
    before = work.kept(sql)
    for method, fields in work.changes:
        refused("PERMISSION_MISSING", getattr(team.viewer.client.tracking, method), **fields)
    assert append(served, team.viewer, work.run) == "PERMISSION_MISSING"
    assert work.kept(sql) == before
    for method, fields in work.looks:
        getattr(team.viewer.client.tracking, method)(**fields)


def test_a_private_project_is_not_there_for_those_who_are_no_members(
    team: Team, served: UpServer, sql: Connection
) -> None:
    work = Work(team)
    before = work.kept(sql)
    for person in (team.developer, team.viewer):
        for method, fields in (*work.looks, *(work.changes if person is team.developer else ())):
            error = _fails(getattr(person.client.tracking, method), **fields)
            assert error.code is needletail.Code.NOT_FOUND, method
    assert append(served, team.developer, work.run) == "RUN_NOT_FOUND"
    assert work.kept(sql) == before
    for method, fields in (*work.looks, *work.changes):
        getattr(team.admin.client.tracking, method)(**fields)


def _fails(call: Callable[..., Any], **fields: Any) -> needletail.CallError:
    with pytest.raises(needletail.CallError) as caught:
        call(**fields)
    return caught.value


@contextmanager
def connected(server: UpServer, person: Person) -> Iterator[needletail.Client]:
    found = server.connection
    with needletail.connect(
        f"needletail://{found['address']}:{found['port']}", api_key=person.api_key,
        ca_file=found["ca_file"],
    ) as client:  # fmt: skip
        yield client


def test_a_role_that_is_taken_on_one_server_ends_looking_on_all(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    one = own_server(postgres=scratch_url, folder="one")
    one.start()
    other = own_server(postgres=scratch_url, folder="other")
    other.start()
    with one.sql() as sql, open_team(one, sql) as team, connected(other, team.developer) as there:
        for end in (
            lambda work: team.owner.client.identity.remove_project_member(
                project_id=work.project, user_id=team.developer.id
            ),
            lambda work: team.owner.client.identity.delete_project(id=work.project),
            # Nobody tells of this; roles are too old after a second all the same.
            lambda work: sql.execute(
                "update project_members set deleted_at = now() where project_id = %s"
                " and user_id = %s",
                [work.project, team.developer.id],
            ),
        ):
            work = Work(team)
            work.give(team.developer, ProjectRole.CONTRIBUTOR)
            for client in (team.developer.client, there):
                assert client.tracking.get_run(id=work.run).id == work.run
            end(work)
            for client in (team.developer.client, there):
                for method, fields in work.looks:
                    call = getattr(client.tracking, method)
                    wait_until(f"{method} fails", lambda c=call, f=fields: is_not_found(c, f))
                for method, fields in work.changes:
                    assert is_not_found(getattr(client.tracking, method), fields), method
            assert _fails(there.tracking.get_run, id=work.run).reason == "RUN_NOT_FOUND"


def is_not_found(call: Callable[..., Any], fields: dict[str, Any]) -> bool:
    """Whether a call says that there is no such thing; it fails with nothing else."""
    try:
        call(**fields)
    except needletail.CallError as error:
        if error.code is not needletail.Code.NOT_FOUND:
            raise
        return True
    return False


def test_a_watcher_who_is_taken_out_hears_nothing_more(team: Team, served: UpServer) -> None:
    work = Work(team)
    work.give(team.developer, ProjectRole.VIEWER)
    with Wire.opened({**served.connection, "api_key": team.developer.api_key}) as wire:
        stream = wire.open("WatchRun", message("WatchRunRequest", run_id=work.run, stay=True))
        team.owner.client.identity.remove_project_member(
            project_id=work.project, user_id=team.developer.id
        )
        assert wire.end(stream).status.reason == "RUN_NOT_FOUND"
