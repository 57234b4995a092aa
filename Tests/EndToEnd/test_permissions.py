"""Every method and every role: who is let through, and that whoever is not changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from needletail._generated.descriptors import message_class
from needletail.identity import ProjectRole
from organizations import create_member, create_organization
from program import UpServer, new_folder, remove
from projects import open_team, refused
from waiting import wait_until
from wire import Wire

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from organizations import Organization
    from program import Connection

ROLES = ("admin", "developer", "viewer")
DENIED = (7, "PERMISSION_MISSING")
# Resources, and verbs that anybody may use; written out here, so that a change of what a role may
# do has to be made twice.
LOOKING = ("get", "list")
OWN = ("access", "api_key", "user")
# What is asked of everybody, or of nobody.
FREE = ("self", "anonymous")
WORK = (
    "artifact", "evaluation_dataset", "experiment", "issue", "label_schema", "logged_model",
    "model", "model_version", "project", "project_member", "review_queue", "run", "scorer",
    "trace", "webhook",
)  # fmt: skip


def permits(role: str, permission: str) -> bool:
    """Whether a role in the organization includes a permission."""
    if role == "admin" or permission in FREE or permission == "organization.create":
        return True
    resource, verb = permission.split(".")
    if resource in OWN or (verb in LOOKING and resource != "audit_log"):
        return True
    return role == "developer" and resource in WORK


def called(wire: Wire, method: str) -> tuple[int, str]:
    """Call a method with an empty request; return code and reason."""
    status = wire.call(method, message_class("needletail.rpc.v1.HealthRequest")()).status
    return status.code, status.reason


class Matrix:
    """An organization with a member and an open connection for each role."""

    def __init__(self, served: UpServer, sql: Connection) -> None:
        self.sql = sql
        self.organization: Organization = create_organization(sql, "matrix")
        self.members: dict[str, uuid.UUID] = {}
        self.wires: dict[str, Wire] = {}
        for role in ROLES:
            member = create_member(sql, self.organization.id, role=role)
            self.members[role] = member.id
            self.wires[role] = Wire.opened({**served.connection, "api_key": member.api_key})
        end = self.wires["admin"].call(
            "needletail.rpc.v1.Server/ListMethods",
            message_class("needletail.rpc.v1.ListMethodsRequest")(),
        )
        answer = message_class("needletail.rpc.v1.ListMethodsResponse")
        self.methods = list(answer.FromString(end.message).methods)

    def close(self) -> None:
        """Close every connection."""
        for wire in self.wires.values():
            wire.__exit__(None, None, None)

    def outcome(self, role: str, method: str) -> tuple[int, str]:
        """Call a method with an empty request."""
        return called(self.wires[role], method)

    def kept(self) -> list[Any]:
        """Return everything that is stored of the organization, less the attempts."""
        found: list[Any] = []
        for table in (
            "organization_memberships", "projects", "project_members", "api_keys", "experiments",
            "runs", "events",
        ):  # fmt: skip
            # The use of a key is noted, whoever uses it.
            row = "to_jsonb(t) - 'last_used_at'"
            found.append(
                self.sql.execute(
                    f"select {row} as row from {table} as t where organization_id = %s order by id",
                    [self.organization.id],
                ).fetchall()
            )
        return found

    def refusals(self, role: str) -> set[str]:
        """Return the actions of the refusals that are on record."""
        rows = self.sql.execute(
            "select action from audit_logs where organization_id = %s and actor_id = %s"
            " and outcome = 'denied' and reason = 'PERMISSION_MISSING'",
            [self.organization.id, self.members[role]],
        ).fetchall()
        return {row["action"] for row in rows}


@pytest.fixture(scope="module")
def prompt() -> Iterator[UpServer]:
    """A server that writes refusals down at once."""
    folder = new_folder()
    server = UpServer(folder, "--set", "audit-refusal-interval=50ms")
    try:
        server.start()
        yield server
        assert server.stop() == 0, server.log[-4_000:]
    finally:
        server.discard()
        remove(folder)


@pytest.fixture(scope="module")
def matrix(prompt: UpServer) -> Iterator[Matrix]:
    with prompt.sql() as sql:
        matrix = Matrix(prompt, sql)
        yield matrix
        matrix.close()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_calls_what_it_permits_and_nothing_else(matrix: Matrix, role: str) -> None:
    before = matrix.kept()
    denied = set()
    assert matrix.methods
    for method in matrix.methods:
        if permits(role, method.permission):
            continue
        assert matrix.outcome(role, method.name) == DENIED, method.name
        denied.add(method.permission)
    assert matrix.kept() == before
    wait_until("every refusal is on record", lambda: matrix.refusals(role) >= denied)
    for method in matrix.methods:
        if permits(role, method.permission):
            assert matrix.outcome(role, method.name) != DENIED, method.name
    assert matrix.refusals(role) == denied


def test_no_role_is_let_through_without_scopes(matrix: Matrix, prompt: UpServer) -> None:
    bare = create_organization(matrix.sql, "bare", scopes=())
    with Wire.opened(bare.connection(prompt.connection)) as wire:
        for method in matrix.methods:
            if method.permission not in FREE:
                assert called(wire, method.name) == DENIED, method.name


def test_what_a_project_does_not_permit_is_on_record_too(prompt: UpServer) -> None:
    with prompt.sql() as sql, open_team(prompt, sql) as team:
        project = team.project().id
        team.owner.client.identity.set_project_member(
            project_id=project, user_id=team.developer.id, role=ProjectRole.VIEWER
        )
        tracking = team.owner.client.tracking
        experiment = tracking.create_experiment(project_id=project, name="first").id
        run = tracking.create_run(experiment_id=experiment).id
        refused("PERMISSION_MISSING", team.developer.client.tracking.finish_run, id=run)

        def denied() -> list[Any]:
            return sql.execute(
                "select action, reason from audit_logs where actor_id = %s and outcome = 'denied'",
                [team.developer.id],
            ).fetchall()

        (entry,) = wait_until("the refusal is written", denied)
        assert entry == {"action": "run.update", "reason": "PERMISSION_MISSING"}
