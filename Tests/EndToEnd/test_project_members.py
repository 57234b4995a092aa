"""Who belongs to a project, and who may say so."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

import needletail
import pytest
from needletail.identity import ProjectRole
from projects import Team, open_team, refused
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Connection, UpServer

OWNER, CONTRIBUTOR, VIEWER = (
    ProjectRole.OWNER, ProjectRole.CONTRIBUTOR, ProjectRole.VIEWER,
)  # fmt: skip


@pytest.fixture(scope="module")
def team(served: UpServer) -> Iterator[Team]:
    with served.sql() as sql, open_team(served, sql) as team:
        yield team


def roles(team: Team, project: str) -> dict[str, ProjectRole]:
    """Return the role of each member."""
    members = team.admin.client.identity.iterate_project_members(project_id=project, page_size=1)
    return {member.user_id: member.role for member in members}


def test_a_member_is_added_lowered_and_taken_out(team: Team, sql: Connection) -> None:
    project = team.project().id
    identity = team.owner.client.identity
    added = identity.set_project_member(project_id=project, user_id=team.developer.id)
    assert (added.user_id, added.role, added.added_by) == (
        team.developer.id, CONTRIBUTOR, team.owner.id,
    )  # fmt: skip
    assert (added.display_name, added.etag) == (f"member {team.developer.id}", "1")
    assert added.email == f"{team.developer.id}@example.com"
    assert added in identity.list_project_members(project_id=project).members
    lowered = team.admin.client.identity.set_project_member(
        project_id=project, user_id=team.developer.id, role=VIEWER
    )
    assert (lowered.role, lowered.etag) == (VIEWER, "2")
    assert (lowered.added_by, lowered.created_at) == (added.added_by, added.created_at)
    assert roles(team, project) == {team.owner.id: OWNER, team.developer.id: VIEWER}
    identity.remove_project_member(project_id=project, user_id=team.developer.id)
    assert roles(team, project) == {team.owner.id: OWNER}
    refused("PROJECT_NOT_FOUND", team.developer.client.identity.get_project, id=project)
    again = identity.set_project_member(project_id=project, user_id=team.developer.id, role=OWNER)
    assert (again.role, again.etag) == (OWNER, "1")
    kept = sql.execute(
        "select action, details from audit_logs where project_id = %s and resource_id = %s"
        " order by id",
        [project, team.developer.id],
    ).fetchall()
    assert [(row["action"], row["details"]) for row in kept] == [
        ("project_member.update", {"before": {}, "after": {"role": "contributor"}}),
        (
            "project_member.update",
            {"before": {"role": "contributor"}, "after": {"role": "viewer"}},
        ),
        ("project_member.remove", {"before": {"role": "viewer"}, "after": {}}),
        ("project_member.update", {"before": {}, "after": {"role": "owner"}}),
    ]


def test_only_members_of_the_organization_are_added(
    team: Team, served: UpServer, sql: Connection
) -> None:
    project = team.project().id
    with open_team(served, sql, "rival") as rival:
        for user in (str(uuid.uuid4()), rival.owner.id):
            for method in ("set_project_member", "remove_project_member"):
                refused(
                    "USER_NOT_FOUND", getattr(team.owner.client.identity, method),
                    project_id=project, user_id=user,
                )  # fmt: skip
    sql.execute(
        "update organization_memberships set deleted_at = now() where user_id = %s",
        [team.viewer.id],
    )
    try:
        refused(
            "USER_NOT_FOUND", team.owner.client.identity.set_project_member, project_id=project,
            user_id=team.viewer.id,
        )  # fmt: skip
    finally:
        sql.execute(
            "update organization_memberships set deleted_at = null where user_id = %s",
            [team.viewer.id],
        )
    assert roles(team, project) == {team.owner.id: OWNER}
    error = refused(
        "FIELD_INVALID", team.owner.client.identity.set_project_member, project_id="x",
        user_id="y", role=9,
    )  # fmt: skip
    assert [v.field for v in error.field_violations] == ["project_id", "user_id", "role"]


def test_nobody_gives_a_role_above_their_own(team: Team) -> None:
    project = team.project().id
    for own, given, reason in (
        (VIEWER, CONTRIBUTOR, "ROLE_TOO_HIGH"),
        (VIEWER, OWNER, "ROLE_TOO_HIGH"),
        (CONTRIBUTOR, OWNER, "ROLE_TOO_HIGH"),
        (CONTRIBUTOR, CONTRIBUTOR, "PERMISSION_MISSING"),
        (CONTRIBUTOR, VIEWER, "PERMISSION_MISSING"),
    ):
        team.owner.client.identity.set_project_member(
            project_id=project, user_id=team.developer.id, role=own
        )
        for user in (team.developer.id, team.viewer.id):
            error = refused(
                reason, team.developer.client.identity.set_project_member, project_id=project,
                user_id=user, role=given,
            )  # fmt: skip
            assert error.code is needletail.Code.PERMISSION_DENIED
        assert roles(team, project) == {team.owner.id: OWNER, team.developer.id: own}


def test_the_last_owner_stays_unless_an_administrator_decides(team: Team) -> None:
    project = team.project().id
    identity = team.owner.client.identity
    mine = {"project_id": project, "user_id": team.owner.id}
    for role in (CONTRIBUTOR, VIEWER):
        error = refused("LAST_OWNER", identity.set_project_member, **mine, role=role)
        assert error.code is needletail.Code.FAILED_PRECONDITION
    refused("LAST_OWNER", identity.remove_project_member, **mine)
    assert identity.set_project_member(**mine, role=OWNER).role is OWNER
    identity.set_project_member(project_id=project, user_id=team.developer.id, role=OWNER)
    identity.remove_project_member(**mine)
    assert roles(team, project) == {team.developer.id: OWNER}
    team.admin.client.identity.remove_project_member(project_id=project, user_id=team.developer.id)
    assert roles(team, project) == {}


def test_an_owner_who_has_left_the_organization_does_not_count(team: Team, sql: Connection) -> None:
    project = team.project().id
    team.owner.client.identity.set_project_member(
        project_id=project, user_id=team.viewer.id, role=OWNER
    )
    sql.execute(
        "update organization_memberships set deleted_at = now() where user_id = %s",
        [team.viewer.id],
    )
    try:
        refused(
            "LAST_OWNER", team.owner.client.identity.remove_project_member, project_id=project,
            user_id=team.owner.id,
        )  # fmt: skip
        assert roles(team, project) == {team.owner.id: OWNER}
    finally:
        sql.execute(
            "update organization_memberships set deleted_at = null where user_id = %s",
            [team.viewer.id],
        )


@pytest.mark.parametrize("round_", range(5))
def test_of_two_owners_who_leave_at_once_one_stays(
    team: Team, sql: Connection, round_: int
) -> None:
    project = team.project(name=f"round {round_} {uuid.uuid4()}").id
    people = [team.owner, team.developer]
    team.owner.client.identity.set_project_member(
        project_id=project, user_id=team.developer.id, role=OWNER
    )
    together = threading.Barrier(2)
    reasons: list[str] = []

    def leave(client: needletail.Client, user: str) -> None:
        together.wait()
        try:
            client.identity.remove_project_member(project_id=project, user_id=user)
        except needletail.CallError as error:
            reasons.append(error.reason)

    threads = [threading.Thread(target=leave, args=[person.client, person.id]) for person in people]
    # Both wait for the project, so that neither has seen the other's change when it begins.
    with sql.transaction():
        sql.execute("select from projects where id = %s for update", [project])
        for thread in threads:
            thread.start()
        wait_for_two(sql)
    for thread in threads:
        thread.join()
    assert reasons == ["LAST_OWNER"]
    assert list(roles(team, project).values()) == [OWNER]


def wait_for_two(sql: Connection) -> None:
    """Wait until two sessions wait for a lock that this one holds."""
    wait_until("both wait for the lock", lambda: waiting(sql) >= 2)


def waiting(sql: Connection) -> int:
    """Count the sessions that wait for this one."""
    row = sql.execute("select count(*) as found from pg_locks where not granted").fetchone()
    assert row is not None
    return int(row["found"])
