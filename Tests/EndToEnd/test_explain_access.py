"""What ExplainAccess says is what the calls themselves answer."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.identity import AccessRule, OrganizationRole, ProjectRole, Visibility
from organizations import create_member
from program import run_program
from projects import Team, open_team, refused
from team import Team as Keyring
from wire import (
    IDENTITY,
    TRACING,
    TRACKING,
    Wire,
    identity_message,
    message,
    tracing_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from program import Connection, UpServer

# What access is refused with; any other answer comes after it.
CODES = {5: "NOT_FOUND", 7: "PERMISSION_DENIED", 16: "UNAUTHENTICATED"}
SCOPES: tuple[tuple[str, ...], ...] = (("*",), ("run.get", "project.*"), ())
PROJECT_ROLES = (None, ProjectRole.VIEWER, ProjectRole.CONTRIBUTOR, ProjectRole.OWNER)
VISIBILITIES = (Visibility.PRIVATE, Visibility.ORGANIZATION, Visibility.PUBLIC)
Place = tuple[str, str, str]


@pytest.fixture(scope="module")
def team(served: UpServer) -> Iterator[Team]:
    with served.sql() as sql, open_team(served, sql) as team:
        yield team


def calls(place: Place) -> Iterator[tuple[str, str, Any]]:
    """Yield methods with what they are about and a request that does no harm."""
    project, experiment, run = place
    yield f"{TRACKING}/GetRun", run, message("GetRunRequest", id=run)
    yield f"{TRACKING}/ListRunMetrics", run, message("ListRunMetricsRequest", run_id=run)
    yield f"{TRACKING}/UpdateRun", run, message("UpdateRunRequest", id=run, description="x")
    yield f"{TRACKING}/GetExperiment", experiment, message("GetExperimentRequest", id=experiment)
    yield f"{TRACKING}/CreateRun", experiment, message("CreateRunRequest", experiment_id=experiment)
    yield f"{TRACKING}/ListRuns", project, message("ListRunsRequest", project_id=project)
    yield (
        f"{TRACKING}/CreateExperiment", project,
        message("CreateExperimentRequest", project_id=project, name=f"e {uuid.uuid4()}"),
    )  # fmt: skip
    yield f"{IDENTITY}/GetProject", project, identity_message("GetProjectRequest", id=project)
    yield (
        f"{IDENTITY}/ListProjectMembers", project,
        identity_message("ListProjectMembersRequest", project_id=project),
    )  # fmt: skip
    yield (
        f"{IDENTITY}/UpdateProject", project,
        identity_message("UpdateProjectRequest", id=project, description="x"),
    )  # fmt: skip
    for method, fields in (
        ("GetTraces", {"trace_ids": ["t"]}),
        ("SearchTraces", {}),
        ("StartTrace", {"experiment_id": experiment, "trace_id": "t"}),
        ("DeleteTraces", {"experiment_id": experiment, "trace_ids": ["u"]}),
    ):
        request = tracing_message(f"{method}Request", project_id=project, **fields)
        yield f"{TRACING}/{method}", project, request
    yield f"{IDENTITY}/UpdateOrganization", "", identity_message("UpdateOrganizationRequest")


def make_place(team: Team, visibility: Visibility) -> Place:
    """Make a project with an experiment and a run."""
    project = team.project(visibility=visibility).id
    tracking = team.owner.client.tracking
    experiment = tracking.create_experiment(project_id=project, name="first").id
    return project, experiment, tracking.create_run(experiment_id=experiment).id


@pytest.fixture(scope="module")
def places(team: Team) -> dict[Visibility, Place]:
    """A place of each visibility."""
    return {visibility: make_place(team, visibility) for visibility in VISIBILITIES}


@pytest.mark.parametrize("role", ["admin", "developer", "viewer"])
@pytest.mark.parametrize("scopes", SCOPES)
def test_what_is_said_is_what_happens(
    team: Team, served: UpServer, sql: Connection, places: dict[Visibility, Place], role: str,
    scopes: tuple[str, ...],
) -> None:  # fmt: skip
    organization = team.organization.id
    member = create_member(sql, organization, role=role)
    [key] = sql.execute(
        "update api_keys set scopes = %s where user_id = %s returning id::text as id",
        [list(scopes), member.id],
    ).fetchall()
    asked = 0
    with Wire.opened({**served.connection, "api_key": member.api_key}) as wire:
        for visibility, given in itertools.product(VISIBILITIES, PROJECT_ROLES):
            place = places[visibility]
            if given is not None:
                team.owner.client.identity.set_project_member(
                    project_id=place[0], user_id=str(member.id), role=given
                )
            for method, resource, request in calls(place):
                said = team.admin.client.identity.explain_access(
                    principal_id=str(member.id), api_key_id=key["id"], method=method,
                    resource_id=resource,
                )  # fmt: skip
                status = wire.call(method, request).status
                case = (method, visibility, given, status, said)
                assert said.code == CODES.get(status.code, ""), case
                assert said.is_allowed is (said.code == ""), case
                assert [d.is_decisive for d in said.decisions][-1:] == [True], case
                refusing = [d for d in said.decisions if not d.is_allowed]
                assert refusing == ([] if said.is_allowed else [said.decisions[-1]]), case
                asked += 1
    assert asked == 15 * 12


def test_one_asks_for_oneself_without_saying_who(team: Team) -> None:
    place = make_place(team, Visibility.PRIVATE)
    team.owner.client.identity.set_project_member(
        project_id=place[0], user_id=team.developer.id, role=ProjectRole.VIEWER
    )
    said = team.developer.client.identity.explain_access(
        method=f"{TRACKING}/UpdateRun", resource_id=place[2]
    )
    assert (said.is_allowed, said.code, said.permission) == (
        False, "PERMISSION_DENIED", "run.update",
    )  # fmt: skip
    assert [decision.rule for decision in said.decisions] == [
        AccessRule.ORGANIZATION, AccessRule.USER, AccessRule.MEMBERSHIP, AccessRule.API_KEY,
        AccessRule.ORGANIZATION_ROLE, AccessRule.KEY_SCOPES, AccessRule.PROJECT_STATE,
        AccessRule.PROJECT_VISIBILITY, AccessRule.PROJECT_ROLE,
    ]  # fmt: skip
    assert "needs the role contributor" in said.decisions[-1].explanation
    own = team.developer.client.identity.explain_access(method=f"{IDENTITY}/RevokeApiKey")
    assert own.decisions[-1].rule is AccessRule.OWNERSHIP


def test_only_administrators_ask_for_others(team: Team, served: UpServer, sql: Connection) -> None:
    method = f"{TRACKING}/GetRun"
    for person in (team.developer, team.viewer):
        refused(
            "PERMISSION_MISSING", person.client.identity.explain_access, method=method,
            principal_id=team.admin.id,
        )  # fmt: skip
        assert person.client.identity.explain_access(
            method=method, principal_id=person.id
        ).is_allowed
    with open_team(served, sql, "rival") as rival:
        theirs = make_place(rival, Visibility.PUBLIC)
        [key] = sql.execute(
            "select id::text as id from api_keys where user_id = %s", [rival.owner.id]
        ).fetchall()
    identity = team.admin.client.identity
    for person in (rival.owner.id, str(uuid.uuid4())):
        refused("USER_NOT_FOUND", identity.explain_access, method=method, principal_id=person)
    for other in (key["id"], str(uuid.uuid4())):
        refused("API_KEY_NOT_FOUND", identity.explain_access, method=method, api_key_id=other)
    private = make_place(team, Visibility.PRIVATE)
    for resource in (*theirs, str(uuid.uuid4())):
        for person in (team.admin, team.developer):
            refused(
                "RESOURCE_NOT_FOUND", person.client.identity.explain_access, method=method,
                resource_id=resource,
            )  # fmt: skip
    for resource in private:
        # Nor does somebody hear so that there is what they do not see.
        refused(
            "RESOURCE_NOT_FOUND", team.developer.client.identity.explain_access, method=method,
            resource_id=resource,
        )  # fmt: skip
    error = refused(
        "FIELD_INVALID", identity.explain_access, method="CreateRun", principal_id="x",
        api_key_id="y", resource_id="z",
    )  # fmt: skip
    assert [violation.field for violation in error.field_violations] == [
        "principal_id", "api_key_id", "resource_id", "method",
    ]  # fmt: skip


def test_a_deleted_project_is_not_found_and_its_owner_may_bring_it_back(team: Team) -> None:
    place = make_place(team, Visibility.ORGANIZATION)
    team.owner.client.identity.delete_project(id=place[0])
    identity = team.admin.client.identity
    for person in (team.admin, team.owner, team.developer):
        for method, resource, _ in list(calls(place))[:3]:
            said = identity.explain_access(
                principal_id=person.id, method=method, resource_id=resource
            )
            assert (said.code, said.decisions[-1].rule) == ("NOT_FOUND", AccessRule.PROJECT_STATE)
        back = identity.explain_access(
            principal_id=person.id, method=f"{IDENTITY}/UndeleteProject", resource_id=place[0]
        )
        assert back.is_allowed is (person is not team.developer)
    assert team.owner.client.identity.explain_access(
        method=f"{IDENTITY}/UndeleteProject", resource_id=place[0]
    ).is_allowed


@pytest.mark.parametrize(
    ("change", "undo", "rule"),
    [
        (
            "update api_keys set revoked_at = now() where user_id = %s",
            "update api_keys set revoked_at = null where user_id = %s", AccessRule.API_KEY,
        ),
        (
            "update api_keys set expires_at = now() where user_id = %s",
            "update api_keys set expires_at = null where user_id = %s", AccessRule.API_KEY,
        ),
        (
            "update users set is_active = false where id = %s",
            "update users set is_active = true where id = %s", AccessRule.USER,
        ),
        (
            "update organization_memberships set is_active = false where user_id = %s",
            "update organization_memberships set is_active = true where user_id = %s",
            AccessRule.MEMBERSHIP,
        ),
        (
            "update organization_memberships set deleted_at = now() where user_id = %s",
            "update organization_memberships set deleted_at = null where user_id = %s",
            AccessRule.MEMBERSHIP,
        ),
    ],
)  # fmt: skip
def test_what_ends_a_key_decides_before_anything_else(
    team: Team, served: UpServer, sql: Connection, change: str, undo: str, rule: AccessRule
) -> None:
    member = create_member(sql, team.organization.id)
    [key] = sql.execute(
        "select id::text as id from api_keys where user_id = %s", [member.id]
    ).fetchall()

    def said() -> Any:
        return team.admin.client.identity.explain_access(
            principal_id=str(member.id), api_key_id=key["id"], method=f"{TRACKING}/GetRun"
        )

    keyring = Keyring(sql, served.connection, "unused")
    assert said().is_allowed
    assert keyring.is_taken(member.api_key)
    sql.execute(change, [member.id])
    answer = said()
    assert (answer.code, answer.decisions[-1].rule) == ("UNAUTHENTICATED", rule)
    assert not keyring.is_taken(member.api_key)
    sql.execute(undo, [member.id])
    assert said().is_allowed


def test_permissions_are_listed_with_roles_methods_and_what_the_caller_has(
    team: Team, served: UpServer, sql: Connection
) -> None:
    for person in (team.admin, team.developer, team.viewer):
        identity = person.client.identity
        listed = {p.name: p for p in identity.list_permissions().permissions}
        assert list(listed) == sorted(listed)
        granted = {name for name, found in listed.items() if found.is_granted}
        assert granted == {"anonymous", "self", *identity.who_am_i().permissions}
    assert listed["run.update"].methods == tuple(
        f"{TRACKING}/{name}" for name in ("FinishRun", "ReopenRun", "UpdateRun")
    )
    assert listed["run.update"].roles == (OrganizationRole.ADMIN, OrganizationRole.DEVELOPER)
    assert listed["audit_log.list"].roles == (OrganizationRole.ADMIN,)
    for of_all in ("anonymous", "self"):
        assert listed[of_all].roles == tuple(list(OrganizationRole)[1:])
    assert f"{IDENTITY}/Login" in listed["anonymous"].methods
    explained = team.viewer.client.identity.explain_access(method=f"{IDENTITY}/Login")
    assert explained.is_allowed
    keyring = Keyring(sql, served.connection, "scoped")
    narrow = keyring.join(scopes=("run.get",))
    with keyring.client(narrow) as client:
        found = client.identity.list_permissions().permissions
        assert [p.name for p in found if p.is_granted] == ["anonymous", "run.get", "self"]
        refused("PERMISSION_MISSING", client.identity.explain_access, method=f"{TRACKING}/GetRun")


def test_the_command_line_says_why(team: Team, served: UpServer, place: Path) -> None:
    work = make_place(team, Visibility.PRIVATE)
    team.owner.client.identity.set_project_member(
        project_id=work[0], user_id=team.developer.id, role=ProjectRole.VIEWER
    )
    found = served.connection
    key_file = place / "key"
    key_file.write_text(team.developer.api_key)
    key_file.chmod(0o600)

    def run(*arguments: str) -> str:
        result = run_program(
            *arguments, "--url", f"needletail://{found['address']}:{found['port']}",
            "--api-key-file", key_file, "--ca-file", found["ca_file"],
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    first, _, *rules = run("access", "explain", "UpdateRun", "--resource", work[2]).splitlines()
    assert first == f"refused with PERMISSION_DENIED: {TRACKING}/UpdateRun (run.update)"
    assert [line.split()[0] for line in rules].count(">") == 1
    assert rules[-1].split()[:3] == [">", "project-role", "no"]
    allowed = json.loads(
        run("access", "explain", "GetRun", "--resource", work[2], "--output", "json")
    )
    assert allowed["isAllowed"] is True
    lines = {line.split()[0]: line.split()[1:] for line in run("permissions").splitlines()}
    assert lines["run.update"] == ["yes", "admin", "developer"]
    assert lines["audit_log.list"] == ["no", "admin"]
    assert f"{TRACKING}/FinishRun" in run("permissions", "--methods")
