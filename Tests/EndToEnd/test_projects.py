"""Projects: who makes, sees, changes, deletes and recovers them."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.identity import ProjectRole, Visibility
from projects import Person, Team, audited, open_team, refused
from wire import IDENTITY, Wire, identity_message, message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Connection, UpServer

ABSENT = str(uuid.UUID(int=7))


@pytest.fixture(scope="module")
def team(served: UpServer) -> Iterator[Team]:
    with served.sql() as sql, open_team(served, sql) as team:
        yield team


def test_who_creates_a_project_owns_it(team: Team, sql: Connection) -> None:
    name = f"Vision & Speech, {uuid.uuid4().hex}"
    project = team.developer.client.identity.create_project(
        name=name, description="of all kinds", settings_json='{"a": 1}'
    )
    assert project.slug == name.lower().replace(" & ", "-").replace(", ", "-")
    assert (project.created_by, project.etag) == (team.developer.id, "1")
    assert project.visibility is Visibility.PRIVATE
    assert (project.deleted_at, project.purge_after) == (None, None)
    assert team.developer.client.identity.get_project(id=project.id) == project
    (member,) = team.developer.client.identity.iterate_project_members(project_id=project.id)
    assert (member.user_id, member.role) == (team.developer.id, ProjectRole.OWNER)
    (details,) = audited(sql, project.id, "project.create")
    assert details["before"] == {}
    assert details["after"]["slug"] == project.slug
    assert details["after"]["description"] == "of all kinds"


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"name": ""}, ["name", "slug"]),
        ({"name": "x" * 501}, ["name"]),
        ({"name": "日本"}, ["slug"]),
        ({"name": "x", "slug": "With-Capitals"}, ["slug"]),
        ({"name": "x", "slug": ABSENT}, ["slug"]),
        ({"name": "x", "slug": "x" * 101}, ["slug"]),
        ({"name": "x", "description": "x" * 16_385}, ["description"]),
        ({"name": "x", "settings_json": "[]", "visibility": 9}, ["visibility", "settings_json"]),
    ],
)
def test_a_project_is_not_made_of_bad_fields(
    team: Team, fields: dict[str, Any], bad: list[str]
) -> None:
    error = refused("FIELD_INVALID", team.owner.client.identity.create_project, **fields)
    assert [violation.field for violation in error.field_violations] == bad


def test_a_slug_is_used_once_in_an_organization(team: Team, served: UpServer) -> None:
    project = team.project()
    for fields in ({"name": "other", "slug": project.slug}, {"name": project.name}):
        refused("SLUG_TAKEN", team.owner.client.identity.create_project, **fields)
    other = team.project()
    refused("SLUG_TAKEN", team.owner.client.identity.update_project, id=other.id, slug=project.slug)
    assert team.owner.client.identity.get_project(id=other.id) == other
    with served.sql() as sql, open_team(served, sql, "rival") as rival:
        assert rival.project(name="x", slug=project.slug).slug == project.slug


def test_of_creations_at_once_with_one_slug_one_succeeds(team: Team, sql: Connection) -> None:
    slug = f"s-{uuid.uuid4()}"
    together = threading.Barrier(8)
    made: list[str] = []
    reasons: list[str] = []

    def create(client: needletail.Client) -> None:
        together.wait()
        try:
            made.append(client.identity.create_project(name="x", slug=slug).id)
        except needletail.CallError as error:
            reasons.append(error.reason)

    clients = [team.admin.client, team.owner.client] * 4
    threads = [threading.Thread(target=create, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reasons == ["SLUG_TAKEN"] * 7
    rows = sql.execute("select id from projects where slug = %s", [slug]).fetchall()
    assert [str(row["id"]) for row in rows] == made
    assert len(audited(sql, made[0], "project.create")) == 1


def test_a_creation_is_replayed_by_its_key(team: Team, served: UpServer, sql: Connection) -> None:
    key, slug = str(uuid.uuid4()), f"s-{uuid.uuid4()}"
    request = identity_message("CreateProjectRequest", name="once", slug=slug)
    with Wire.opened(team.organization.connection(served.connection)) as wire:
        first, second = (wire.call(f"{IDENTITY}/CreateProject", request, key=key) for _ in "12")
    assert first.status.code == 0
    assert first.message == second.message
    rows = sql.execute("select id from projects where slug = %s", [slug]).fetchall()
    assert len(rows) == 1
    assert len(audited(sql, str(rows[0]["id"]), "project.create")) == 1


def test_a_project_is_found_by_id_and_by_slug(team: Team) -> None:
    project = team.project()
    for client in (team.owner.client, team.admin.client):
        for text in (project.id, project.id.upper(), project.slug):
            assert client.identity.get_project(id=text) == project
    for text in (ABSENT, "no-such-slug"):
        refused("PROJECT_NOT_FOUND", team.owner.client.identity.get_project, id=text)
    refused("FIELD_INVALID", team.owner.client.identity.get_project, id="No Slug")


@pytest.mark.parametrize("visibility", list(Visibility)[1:])
def test_visibility_decides_who_sees_a_project(team: Team, visibility: Visibility) -> None:
    project = team.project(visibility=visibility)
    is_open = visibility is not Visibility.PRIVATE
    for person in (team.developer, team.viewer):
        listed = [found.id for found in person.client.identity.iterate_projects(page_size=3)]
        assert (project.id in listed) is is_open
        for text in (project.id, project.slug):
            if is_open:
                assert person.client.identity.get_project(id=text) == project
            else:
                refused("PROJECT_NOT_FOUND", person.client.identity.get_project, id=text)
    assert project in list(team.admin.client.identity.iterate_projects())
    team.owner.client.identity.set_project_member(
        project_id=project.id, user_id=team.viewer.id, role=ProjectRole.VIEWER
    )
    assert team.viewer.client.identity.get_project(id=project.id) == project


def test_projects_are_listed_newest_first_in_pages(team: Team) -> None:
    made = [team.project().id for _ in range(5)]
    page = team.owner.client.identity.list_projects(page_size=2)
    assert [project.id for project in page.projects] == made[:-3:-1]
    refused(
        "PAGE_TOKEN_INVALID", team.owner.client.identity.list_projects,
        page_token=page.next_page_token, deleted=True,
    )  # fmt: skip
    walked = [p.id for p in team.owner.client.identity.iterate_projects(page_size=2)]
    assert [identifier for identifier in walked if identifier in made] == made[::-1]


def changes(team: Team, project: Any) -> dict[str, dict[str, Any]]:
    """Every method that changes a project or its members."""
    member = {"project_id": project.id, "user_id": team.viewer.id}
    return {
        "update_project": {"id": project.id, "name": "mine"},
        "delete_project": {"id": project.id},
        "undelete_project": {"id": project.id},
        "set_project_member": {**member, "role": ProjectRole.VIEWER},
        "remove_project_member": member,
    }


@pytest.mark.parametrize("role", [None, ProjectRole.VIEWER, ProjectRole.CONTRIBUTOR])
def test_only_owners_and_administrators_change_a_project(
    team: Team, role: ProjectRole | None
) -> None:
    project = team.project(visibility=Visibility.ORGANIZATION)
    if role is not None:
        team.owner.client.identity.set_project_member(
            project_id=project.id, user_id=team.developer.id, role=role
        )
    for method, fields in changes(team, project).items():
        error = refused(
            "PERMISSION_MISSING", getattr(team.developer.client.identity, method), **fields
        )
        assert "owners" in str(error), method
    assert team.owner.client.identity.get_project(id=project.id) == project


def test_a_project_that_is_not_seen_cannot_be_changed_either(team: Team) -> None:
    project = team.project()
    for method, fields in changes(team, project).items():
        refused("PROJECT_NOT_FOUND", getattr(team.developer.client.identity, method), **fields)
    assert team.owner.client.identity.get_project(id=project.id) == project


def test_a_viewer_of_the_organization_only_looks_even_as_owner(team: Team) -> None:
    project = team.project()
    team.owner.client.identity.set_project_member(
        project_id=project.id, user_id=team.viewer.id, role=ProjectRole.OWNER
    )
    for method, fields in changes(team, project).items():
        error = refused(
            "PERMISSION_MISSING", getattr(team.viewer.client.identity, method), **fields
        )
        assert "needs the permission project" in str(error)
    refused("PERMISSION_MISSING", team.viewer.client.identity.create_project, name="mine")
    assert team.viewer.client.identity.get_project(id=project.id) == project


def test_an_update_changes_what_is_given_and_the_audit_log_keeps_both_sides(
    team: Team, sql: Connection
) -> None:
    project = team.project(description="before", visibility=Visibility.PUBLIC)
    slug = f"s-{uuid.uuid4()}"
    changed = team.admin.client.identity.update_project(
        id=project.id, etag=project.etag, slug=slug, description="", settings_json='{"b": 2}'
    )
    assert (changed.slug, changed.description, changed.etag) == (slug, "", "2")
    assert (changed.name, changed.visibility) == (project.name, project.visibility)
    assert team.owner.client.identity.get_project(id=slug) == changed
    assert audited(sql, project.id, "project.update") == [
        {
            "before": {"slug": project.slug, "description": "before", "settings_json": "{}"},
            "after": {"slug": slug, "description": "", "settings_json": '{"b": 2}'},
        }
    ]
    for method in ("update_project", "delete_project"):
        error = refused(
            "ETAG_MISMATCH", getattr(team.owner.client.identity, method), id=project.id,
            etag=project.etag,
        )  # fmt: skip
        assert error.details == {"current_etag": "2"}
    assert team.owner.client.identity.get_project(id=slug) == changed


def test_a_deleted_project_is_away_until_it_is_brought_back(team: Team, sql: Connection) -> None:
    project = team.project(visibility=Visibility.ORGANIZATION)
    identity = team.owner.client.identity
    deleted = identity.delete_project(id=project.id, etag=project.etag)
    assert deleted.deleted_at is not None
    assert deleted.purge_after == deleted.deleted_at + timedelta(days=30)
    for client in (team.owner.client, team.admin.client, team.developer.client):
        for method, fields in changes(team, project).items():
            if method != "undelete_project":
                refused("PROJECT_NOT_FOUND", getattr(client.identity, method), **fields)
        for text in (project.id, project.slug):
            refused("PROJECT_NOT_FOUND", client.identity.get_project, id=text)
        refused("PROJECT_NOT_FOUND", client.identity.list_project_members, project_id=project.id)
        assert deleted not in list(client.identity.iterate_projects())
    refused("PROJECT_NOT_FOUND", team.developer.client.identity.undelete_project, id=project.id)
    for client, is_theirs in (
        (team.owner.client, True), (team.admin.client, True), (team.developer.client, False),
    ):  # fmt: skip
        assert (deleted in list(client.identity.iterate_projects(deleted=True))) is is_theirs
    restored = identity.undelete_project(id=project.id)
    assert (restored.deleted_at, restored.purge_after, restored.etag) == (None, None, "3")
    assert team.developer.client.identity.get_project(id=project.slug) == restored
    (details,) = audited(sql, project.id, "project.delete")
    assert details["before"] == {}
    assert set(details["after"]) == {"deleted_at", "purge_after"}
    (details,) = audited(sql, project.id, "project.undelete")
    assert (set(details["before"]), details["after"]) == ({"deleted_at", "purge_after"}, {})


def test_a_project_is_brought_back_within_its_days_only(team: Team, sql: Connection) -> None:
    project = team.project()
    identity = team.owner.client.identity
    refused("RECOVERY_OVER", identity.undelete_project, id=project.id)
    identity.delete_project(id=project.id)
    sql.execute("update projects set purge_after = now() where id = %s", [project.id])
    for client in (team.owner.client, team.admin.client):
        refused("RECOVERY_OVER", client.identity.undelete_project, id=project.id)
        listed = client.identity.iterate_projects(deleted=True)
        assert project.id not in [found.id for found in listed]


def test_a_project_whose_slug_was_taken_meanwhile_stays_deleted(team: Team) -> None:
    project = team.project()
    identity = team.owner.client.identity
    identity.delete_project(id=project.id)
    other = team.project(slug=project.slug)
    refused("SLUG_TAKEN", identity.undelete_project, id=project.id)
    refused("PROJECT_NOT_FOUND", identity.get_project, id=project.id)
    identity.update_project(id=other.id, slug=f"s-{uuid.uuid4()}")
    assert identity.undelete_project(id=project.id).slug == project.slug


def test_what_is_in_a_deleted_project_is_not_found_until_it_is_back(
    team: Team, served: UpServer
) -> None:
    project = team.project(visibility=Visibility.ORGANIZATION).id
    tracking = team.owner.client.tracking
    experiment = tracking.create_experiment(project_id=project, name="inside")
    run = tracking.create_run(experiment_id=experiment.id, name="inside")
    team.owner.client.identity.delete_project(id=project)
    for person in (team.admin, team.owner, team.developer):
        inside = person.client.tracking
        for reason, method, fields in (
            ("EXPERIMENT_NOT_FOUND", "get_experiment", {"id": experiment.id}),
            ("EXPERIMENT_NOT_FOUND", "update_experiment", {"id": experiment.id, "name": "mine"}),
            ("EXPERIMENT_NOT_FOUND", "create_run", {"experiment_id": experiment.id}),
            ("PROJECT_NOT_FOUND", "create_experiment", {"project_id": project, "name": "x"}),
            ("RUN_NOT_FOUND", "update_run", {"id": run.id, "name": "mine"}),
            ("RUN_NOT_FOUND", "finish_run", {"id": run.id}),
            ("RUN_NOT_FOUND", "get_run", {"id": run.id}),
            ("RUN_NOT_FOUND", "list_run_metrics", {"run_id": run.id}),
            ("RUN_NOT_FOUND", "get_metric_history", {"run_id": run.id, "key": "loss"}),
        ):
            refused(reason, getattr(inside, method), **fields)
        assert list(inside.iterate_experiments()) == []
        assert list(inside.iterate_experiments(project_id=project)) == []
        for filters in ({}, {"project_id": project}, {"experiment_id": experiment.id}):
            assert run.id not in [found.id for found in inside.iterate_runs(**filters)]
        assert append(served, person, run.id) == "RUN_NOT_FOUND"
    team.owner.client.identity.undelete_project(id=project)
    for person in (team.admin, team.owner, team.developer):
        inside = person.client.tracking
        assert inside.get_experiment(id=experiment.id) == experiment
        assert inside.get_run(id=run.id).etag == run.etag
        assert append(served, person, run.id) == ""


def append(served: UpServer, person: Person, run: str) -> str:
    """Log a point to a run; return the reason for which it was refused."""
    series = message("MetricSeries", key="loss", steps=[1], values=[1.0])
    runs = [message("RunMetrics", run_id=run, series=[series])]
    batch = message("AppendMetricsRequest", writer_id=str(uuid.uuid4()), sequence=1, runs=runs)
    with Wire.opened({**served.connection, "api_key": person.api_key}) as wire:
        return str(wire.end(wire.open("AppendMetrics", batch)).status.reason)
