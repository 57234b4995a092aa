"""Of the projects of one organization, another hears nothing and changes nothing."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from organizations import create_organization
from projects import open_team
from wire import IDENTITY, Wire, identity_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Connection, UpServer

NOT_FOUND = 5
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRET = f"canary-{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Theirs:
    """What another organization has; every text in it holds the canary."""

    project: str
    slug: str
    deleted: str
    user: str

    @property
    def ids(self) -> tuple[str, ...]:
        """Every identifier."""
        return (self.project, self.deleted, self.user)


@pytest.fixture(scope="module")
def theirs(served: UpServer) -> Theirs:
    with served.sql() as sql, open_team(served, sql, "theirs") as team:
        project, deleted = (
            team.project(
                name=f"{SECRET} {kind}",
                slug=f"{SECRET}-{kind}",
                description=SECRET,
                settings_json=f'{{"key": "{SECRET}"}}',
            )
            for kind in ("live", "deleted")
        )
        user = team.developer.id
        team.owner.client.identity.set_project_member(project_id=project.id, user_id=user)
        team.owner.client.identity.delete_project(id=deleted.id)
    return Theirs(project.id, project.slug, deleted.id, user)


@pytest.fixture
def intruder(served: UpServer, sql: Connection) -> Iterator[Wire]:
    rival = create_organization(sql, "rival")
    with Wire.opened(rival.connection(served.connection)) as wire:
        yield wire


def attempts(theirs: Theirs) -> dict[str, list[Any]]:
    """Every method that takes an id, with theirs."""
    member = {"project_id": theirs.project, "user_id": theirs.user}
    return {
        "GetProject": [
            identity_message("GetProjectRequest", id=text)
            for text in (theirs.project, theirs.slug, theirs.deleted)
        ],
        "UpdateProject": [identity_message("UpdateProjectRequest", id=theirs.project, name="mine")],
        "DeleteProject": [identity_message("DeleteProjectRequest", id=theirs.project)],
        "UndeleteProject": [
            identity_message("UndeleteProjectRequest", id=text)
            for text in (theirs.project, theirs.deleted)
        ],
        "SetProjectMember": [identity_message("SetProjectMemberRequest", **member, role=3)],
        "RemoveProjectMember": [identity_message("RemoveProjectMemberRequest", **member)],
        "ListProjectMembers": [
            identity_message("ListProjectMembersRequest", project_id=theirs.project)
        ],
    }


def exchange(wire: Wire, method: str, request: Any) -> tuple[Any, bytes]:
    """Make a call; return its status and everything that was sent for it."""
    end = wire.call(f"{IDENTITY}/{method}", request)
    return end.status, end.SerializeToString()


def stored(sql: Connection, theirs: Theirs) -> list[Any]:
    """Return everything that is kept of their projects, and how much was ever done to them."""
    ids = [theirs.project, theirs.deleted]
    rows: list[Any] = []
    for statement in (
        "select projects::text as text from projects where id = any(%s) order by id",
        "select m::text as text from project_members as m where project_id = any(%s) order by id",
        "select count(*)::text as text from audit_logs where project_id = any(%s)",
        "select count(*)::text as text from events where project_id = any(%s)",
    ):
        rows += sql.execute(statement, [ids]).fetchall()
    return rows


@pytest.mark.parametrize("method", sorted(attempts(Theirs("", "", "", ""))))
def test_an_id_of_another_organization_is_not_found(
    intruder: Wire, theirs: Theirs, sql: Connection, method: str
) -> None:
    before = stored(sql, theirs)
    for request in attempts(theirs)[method]:
        status, heard = exchange(intruder, method, request)
        assert (status.code, status.reason) == (NOT_FOUND, "PROJECT_NOT_FOUND")
        # The slug stands in the answer because the request had it.
        assert SECRET.encode() not in heard.replace(theirs.slug.encode(), b"")
        # What was never there is answered alike.
        text = request.SerializeToString()
        for identifier in theirs.ids:
            text = text.replace(identifier.encode(), str(uuid.uuid4()).encode())
        absent = type(request).FromString(text.replace(theirs.slug.encode(), b"x" * 44))
        other, _ = exchange(intruder, method, absent)
        assert (other.code, other.reason) == (status.code, status.reason)
        assert UUID_TEXT.sub("…", other.message) == UUID_TEXT.sub(
            "…", status.message.replace(theirs.slug, "x" * 44)
        )
    assert stored(sql, theirs) == before


@pytest.mark.parametrize("deleted", [False, True])
def test_no_list_shows_what_another_organization_has(
    intruder: Wire, theirs: Theirs, deleted: bool
) -> None:
    request = identity_message("ListProjectsRequest", deleted=deleted)
    status, heard = exchange(intruder, "ListProjects", request)
    assert status.code == 0
    for text in (SECRET, *theirs.ids):
        assert text.encode() not in heard


def test_a_user_of_another_organization_is_not_found(
    intruder: Wire, theirs: Theirs, sql: Connection
) -> None:
    created = intruder.call(
        f"{IDENTITY}/CreateProject", identity_message("CreateProjectRequest", name="mine")
    )
    project = identity_message("CreateProjectResponse").FromString(created.message).project.id
    for method in ("SetProjectMember", "RemoveProjectMember"):
        heard = {}
        for user in (theirs.user, str(uuid.uuid4())):
            status, _ = exchange(
                intruder, method,
                identity_message(f"{method}Request", project_id=project, user_id=user),
            )  # fmt: skip
            assert (status.code, status.reason) == (NOT_FOUND, "USER_NOT_FOUND")
            heard[user] = UUID_TEXT.sub("…", status.message)
        assert len(set(heard.values())) == 1
    rows = sql.execute(
        "select user_id from project_members where project_id = %s", [project]
    ).fetchall()
    assert theirs.user not in [str(row["user_id"]) for row in rows]
    assert len(rows) == 1


def test_a_slug_of_another_organization_is_free(intruder: Wire, theirs: Theirs) -> None:
    request = identity_message("CreateProjectRequest", name="mine", slug=theirs.slug)
    assert intruder.call(f"{IDENTITY}/CreateProject", request).status.code == 0
