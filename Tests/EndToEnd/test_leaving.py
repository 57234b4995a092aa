"""Whoever leaves an organization leaves nothing in it that is theirs, whatever happens at once."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from estate_rows import rows_of
from organizations import uuid7
from team import IDENTITY, Team, identity
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Connection, UpServer
    from team import Person

OWNER = 1


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


@pytest.fixture
def holder(served: UpServer) -> Iterator[Connection]:
    """A session whose locks the server's transactions wait for."""
    with served.sql() as connection:
        yield connection


class Calls:
    """Calls that are under way, each on a connection of its own."""

    def __init__(self, team: Team) -> None:
        """Begin with none."""
        self.team = team
        self.statuses: dict[int, Any] = {}
        self._threads: list[threading.Thread] = []

    def start(self, method: str, request: Any, person: Person | None = None) -> None:
        """Start one."""
        number = len(self._threads)

        def work() -> None:
            with self.team.wire(person) as wire:
                self.statuses[number] = wire.call(f"{IDENTITY}/{method}", request).status

        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()

    def wait_until_held_or_done(self, count: int) -> None:
        """Wait until so many calls wait for a lock or have their answer."""
        wait_until("the calls are held or done", lambda: self._waiting() + len(self.statuses) >=
                   count)  # fmt: skip

    def _waiting(self) -> int:
        # Whoever waits for the holder, or for somebody who does.
        row = self.team.sql.execute(
            "select count(distinct pid) as n from pg_locks where not granted and database ="
            " (select oid from pg_database where datname = current_database())"
            " or not granted and locktype = 'transactionid'"
        ).fetchone()
        assert row is not None
        return int(row["n"])

    def reasons(self) -> list[str]:
        """Wait for every answer; return the reasons in the order of the starts."""
        for thread in self._threads:
            thread.join(60)
        return [self.statuses[number].reason for number in range(len(self._threads))]


def strays(team: Team) -> int:
    """Count the live members of projects who are no live members of the organization."""
    return int(
        team.value(
            "select count(*) from project_members as member where organization_id = %(org)s"
            " and deleted_at is null and not exists (select from organization_memberships as"
            " membership where membership.organization_id = member.organization_id"
            " and membership.user_id = member.user_id and membership.deleted_at is null)"
        )
    )


def test_nobody_joins_a_project_while_they_leave(team: Team, holder: Connection) -> None:
    eve = team.join("developer")
    with team.client() as client:
        project = client.identity.create_project(name="new").id
    calls = Calls(team)
    holder.execute("begin")
    # The call looks whether Eve is a member, and then waits with her row.
    holder.execute(
        "insert into project_members (organization_id, id, project_id, user_id, added_by)"
        " values (%s, %s, %s, %s, %s)",
        [team.id, uuid7(), project, eve.id, team.admin.id],
    )
    calls.start("SetProjectMember", identity("SetProjectMemberRequest", project_id=project,
                                             user_id=eve.id, role=2))  # fmt: skip
    calls.wait_until_held_or_done(1)
    calls.start("RemoveMember", identity("RemoveMemberRequest", user_id=eve.id))
    calls.wait_until_held_or_done(2)
    holder.execute("rollback")
    assert calls.reasons() == ["", ""]
    assert strays(team) == 0


def test_who_has_left_meanwhile_joins_no_project(team: Team, holder: Connection) -> None:
    eve = team.join("developer")
    with team.client() as client:
        project = client.identity.create_project(name="new").id
    calls = Calls(team)
    holder.execute("begin")
    holder.execute(
        "update organization_memberships set deleted_at = now() where organization_id = %s"
        " and user_id = %s",
        [team.id, eve.id],
    )
    calls.start("SetProjectMember", identity("SetProjectMemberRequest", project_id=project,
                                             user_id=eve.id, role=2))  # fmt: skip
    calls.wait_until_held_or_done(1)
    holder.execute("commit")
    assert calls.reasons() == ["USER_NOT_FOUND"]
    assert team.value(
        "select count(*) from project_members where organization_id = %(org)s"
        " and project_id = %(project)s",
        project=project,
    ) == 1  # fmt: skip


def test_nobody_makes_a_project_while_they_leave(team: Team, holder: Connection) -> None:
    eve = team.join("developer")
    calls = Calls(team)
    holder.execute("begin")
    # The new project waits for its slug.
    holder.execute(
        "insert into projects (organization_id, id, name, slug, created_by)"
        " values (%s, %s, 'x', 'taken', %s)",
        [team.id, uuid7(), team.admin.id],
    )
    request = identity("CreateProjectRequest", name="hers", slug="taken")
    calls.start("CreateProject", request, eve)
    calls.wait_until_held_or_done(1)
    calls.start("RemoveMember", identity("RemoveMemberRequest", user_id=eve.id))
    calls.wait_until_held_or_done(2)
    holder.execute("rollback")
    assert calls.reasons() == ["", ""]
    assert strays(team) == 0


def test_who_has_left_meanwhile_makes_no_project(team: Team, holder: Connection) -> None:
    eve = team.join("developer")
    before = rows_of(team.sql, team.id)
    calls = Calls(team)
    holder.execute("begin")
    holder.execute(
        "update organization_memberships set deleted_at = now() where organization_id = %s"
        " and user_id = %s",
        [team.id, eve.id],
    )
    calls.start("CreateProject", identity("CreateProjectRequest", name="hers"), eve)
    calls.wait_until_held_or_done(1)
    holder.execute("commit")
    assert calls.reasons() == ["PERMISSION_MISSING"]
    after = rows_of(team.sql, team.id)
    assert [name for name in after if after[name] != before[name]] == ["organization_memberships"]


def test_no_key_is_rotated_while_its_holder_leaves(team: Team, holder: Connection) -> None:
    eve = team.join("developer")
    key = team.value(
        "select id from api_keys where organization_id = %(org)s and user_id = %(user)s",
        user=eve.id,
    )
    calls = Calls(team)
    holder.execute("begin")
    holder.execute("select from api_keys where id = %s for update", [key])
    calls.start("RotateApiKey", identity("RotateApiKeyRequest", id=str(key)))
    calls.wait_until_held_or_done(1)
    calls.start("RemoveMember", identity("RemoveMemberRequest", user_id=eve.id))
    calls.wait_until_held_or_done(2)
    holder.execute("rollback")
    assert calls.reasons() == ["", ""]
    assert team.value(
        "select count(*) from api_keys where organization_id = %(org)s and user_id = %(user)s"
        " and revoked_at is null",
        user=eve.id,
    ) == 0  # fmt: skip


def owned(team: Team, *owners: Person) -> str:
    """Make a project that these people own."""
    with team.client(owners[0]) as client:
        project = client.identity.create_project(name=f"of {uuid.uuid4()}").id
        for owner in owners[1:]:
            client.identity.set_project_member(project_id=project, user_id=owner.id, role=OWNER)
    return project


def test_the_last_owner_of_a_project_does_not_leave_by_themselves(team: Team) -> None:
    eve, bob = team.join("developer"), team.join("developer")
    project = owned(team, eve)
    leave = identity("RemoveMemberRequest", user_id=eve.id)
    before = rows_of(team.sql, team.id)
    with team.wire(eve) as wire:
        status = wire.call(f"{IDENTITY}/RemoveMember", leave).status
        assert (status.code, status.reason) == (9, "LAST_OWNER")
        assert dict(status.details) == {"project_id": project}
        assert rows_of(team.sql, team.id) == before
        with team.client(eve) as client:
            client.identity.set_project_member(project_id=project, user_id=bob.id, role=OWNER)
        assert wire.call(f"{IDENTITY}/RemoveMember", leave).status.code == 0
    # An administrator, who owns every project, decides otherwise.
    with team.client() as client:
        client.identity.remove_member(user_id=bob.id)
    assert strays(team) == 0


@pytest.mark.parametrize("way", ["RemoveMember", "RemoveProjectMember"])
def test_of_two_owners_who_leave_in_two_ways_at_once_one_stays(
    team: Team, holder: Connection, way: str
) -> None:
    eve, bob = team.join("developer"), team.join("developer")
    project = owned(team, eve, bob)
    second = identity("RemoveMemberRequest", user_id=bob.id)
    if way == "RemoveProjectMember":
        second = identity("RemoveProjectMemberRequest", project_id=project, user_id=bob.id)
    calls = Calls(team)
    holder.execute("begin")
    holder.execute("select from projects where id = %s for update", [project])
    calls.start("RemoveMember", identity("RemoveMemberRequest", user_id=eve.id), eve)
    calls.start(way, second, bob)
    calls.wait_until_held_or_done(2)
    holder.execute("rollback")
    assert sorted(calls.reasons()) == ["", "LAST_OWNER"]
    assert team.value(
        "select count(*) from project_members where organization_id = %(org)s"
        " and project_id = %(project)s and deleted_at is null",
        project=project,
    ) == 1  # fmt: skip
