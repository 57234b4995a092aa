"""Members that are programs: they have keys, count as members, and go with their keys."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.identity import OrganizationRole
from team import IDENTITY, Team, identity
from test_members import refused, waiting_for_locks
from waiting import wait_until

if TYPE_CHECKING:
    from program import Connection, UpServer

DEVELOPER, VIEWER = OrganizationRole.DEVELOPER, OrganizationRole.VIEWER


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def test_a_service_account_is_made_shown_and_listed(team: Team) -> None:
    with team.client() as client:
        first = client.identity.create_service_account(display_name="nightly", role=DEVELOPER)
        assert (first.display_name, first.role, first.is_active, first.created_by) == (
            "nightly", DEVELOPER, True, team.admin.id,
        )  # fmt: skip
        second = client.identity.create_service_account(display_name="nightly", role=VIEWER)
        assert client.identity.get_service_account(id=first.id) == first
        assert list(client.identity.iterate_service_accounts(page_size=1)) == [second, first]
    assert team.journal("service_account.create", first.id) == [
        {
            "actor": team.admin.id,
            "details": {
                "before": {},
                "after": {"display_name": "nightly", "role": "developer", "is_active": "true"},
            },
        }
    ]
    assert team.events("service_account.created", first.id) == 1


def test_its_keys_act_for_it(team: Team) -> None:
    with team.client() as client:
        account = client.identity.create_service_account(display_name="nightly", role=DEVELOPER)
    with team.client(key=team.key(account.id)) as program:
        who = program.identity.who_am_i()
        assert (who.user_id, who.email, who.display_name, who.role) == (
            account.id, "", "nightly", "developer",
        )  # fmt: skip
        refused(
            "PERMISSION_MISSING",
            lambda: program.identity.create_service_account(display_name="x", role=VIEWER),
        )


def test_only_what_is_given_changes(team: Team) -> None:
    with team.client() as client:
        account = client.identity.create_service_account(display_name="nightly", role=DEVELOPER)
        key = team.key(account.id)
        renamed = client.identity.update_service_account(
            id=account.id, etag=account.etag, display_name="daily"
        )
        assert (renamed.display_name, renamed.role, renamed.is_active) == ("daily", DEVELOPER, True)
        assert renamed.etag != account.etag
        assert client.identity.get_service_account(id=account.id) == renamed
        refused(
            "ETAG_MISMATCH",
            lambda: client.identity.update_service_account(
                id=account.id, etag=account.etag, role=VIEWER
            ),
        )
        stopped = client.identity.update_service_account(id=account.id, is_active=False)
        assert (stopped.is_active, team.is_taken(key)) == (False, False)
        again = client.identity.update_service_account(id=account.id, is_active=True, role=VIEWER)
        assert (again.role, again.is_active, team.is_taken(key)) == (VIEWER, True, True)
        assert client.identity.get_service_account(id=account.id) == again
        for bad in ("", " x", "x" * 501, "a\nb"):
            refused(
                "FIELD_INVALID",
                lambda bad=bad: client.identity.update_service_account(  # type: ignore[misc]
                    id=account.id, display_name=bad
                ),
            )
            refused(
                "FIELD_INVALID",
                lambda bad=bad: client.identity.create_service_account(  # type: ignore[misc]
                    display_name=bad, role=VIEWER
                ),
            )
    details = [entry["details"] for entry in team.journal("service_account.update", account.id)]
    assert details == [
        {"before": {"display_name": "nightly"}, "after": {"display_name": "daily"}},
        {"before": {"is_active": "true"}, "after": {"is_active": "false"}},
        {
            "before": {"role": "developer", "is_active": "false"},
            "after": {"role": "viewer", "is_active": "true"},
        },
    ]


def test_a_deleted_one_is_gone_and_its_name_stays(team: Team) -> None:
    with team.client() as client:
        account = client.identity.create_service_account(display_name="nightly", role=DEVELOPER)
        key = team.key(account.id)
        with team.client(key=key) as program:
            made = program.tracking.create_experiment(
                project_id=str(team.organization.project_id), name="made by a program"
            )
        client.identity.delete_service_account(id=account.id)
        assert not team.is_taken(key)
        for call in (
            lambda: client.identity.get_service_account(id=account.id),
            lambda: client.identity.update_service_account(id=account.id, display_name="x"),
            lambda: client.identity.delete_service_account(id=account.id),
        ):
            refused("SERVICE_ACCOUNT_NOT_FOUND", call)
        assert list(client.identity.iterate_service_accounts()) == []
        assert client.tracking.get_experiment(id=made.id).created_by == account.id
    assert team.value("select display_name from users where id = %(id)s", id=account.id) == (
        "nightly"
    )
    [entry] = team.journal("service_account.delete", account.id)
    assert entry["details"]["after"] == {}
    assert entry["details"]["before"]["display_name"] == "nightly"


def test_programs_count_as_members_of_the_plan(team: Team) -> None:
    team.allow(3)
    eve = team.join("viewer")
    with team.client() as client:
        organization = client.identity.get_organization()
        assert (organization.plan, organization.max_users) == ("enterprise", 3)
        first = client.identity.create_service_account(display_name="first", role=VIEWER)

        def create() -> object:
            return client.identity.create_service_account(display_name="second", role=VIEWER)

        error = refused("PLAN_LIMIT_REACHED", create)
        assert error.code.name == "RESOURCE_EXHAUSTED"
        assert error.details == {"max_users": "3"}
        # Whoever is inactive has their place still.
        client.identity.update_service_account(id=first.id, is_active=False)
        client.identity.deactivate_member(user_id=eve.id)
        refused("PLAN_LIMIT_REACHED", create)
        client.identity.delete_service_account(id=first.id)
        create()
        refused("PLAN_LIMIT_REACHED", create)
    assert team.value("select count(*) from users where display_name = 'second' and id in"
                      " (select user_id from organization_memberships"
                      " where organization_id = %(org)s)") == 1  # fmt: skip


def test_the_plans_own_bound_holds_where_the_organization_has_none(team: Team) -> None:
    team.sql.execute(
        "update organizations set subscription_plan = 'starter', max_users = null where id = %s",
        [team.organization.id],
    )
    with team.client() as client:
        assert client.identity.get_organization().max_users == 1
        refused(
            "PLAN_LIMIT_REACHED",
            lambda: client.identity.create_service_account(display_name="x", role=VIEWER),
        )


def test_many_at_once_do_not_pass_the_bound(team: Team) -> None:
    team.allow(3)
    answers: list[Any] = []

    def work() -> None:
        request = identity("CreateServiceAccountRequest", display_name="racer", role=3)
        with team.wire() as wire:
            answers.append(
                wire.call(f"{IDENTITY}/CreateServiceAccount", request, key=str(uuid.uuid4()))
            )

    threads = [threading.Thread(target=work) for _ in range(4)]
    before = waiting_for_locks(team.sql)
    # All calls are under way before any of them can count.
    with team.sql.transaction():
        team.sql.execute(
            "select from organizations where id = %s for update", [team.organization.id]
        )
        for thread in threads:
            thread.start()
        wait_until("all calls wait", lambda: waiting_for_locks(team.sql) >= before + 4)
    for thread in threads:
        thread.join(60)
    reasons = sorted(answer.status.reason for answer in answers)
    assert reasons == ["", "", "PLAN_LIMIT_REACHED", "PLAN_LIMIT_REACHED"]
    assert team.value("select count(*) from organization_memberships"
                      " where organization_id = %(org)s") == 3  # fmt: skip


def test_creating_one_twice_with_one_key_makes_one(team: Team) -> None:
    key = str(uuid.uuid4())
    request = identity("CreateServiceAccountRequest", display_name="once", role=2)
    with team.wire() as wire:
        answers = [
            wire.call(f"{IDENTITY}/CreateServiceAccount", request, key=key) for _ in range(2)
        ]
    assert answers[0].status.code == 0
    assert answers[1].message == answers[0].message
    with team.client() as client:
        assert len(list(client.identity.iterate_service_accounts())) == 1


def test_without_a_role_there_is_none(team: Team) -> None:
    with team.client() as client, pytest.raises(needletail.CallError) as caught:
        client.identity.create_service_account(display_name="x", role=OrganizationRole.UNSPECIFIED)
    assert [violation.field for violation in caught.value.field_violations] == ["role"]
