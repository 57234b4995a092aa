"""Who belongs to an organization, what they may do, and who may change that."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.identity import OrganizationRole
from team import IDENTITY, Team, identity
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Connection, UpServer

ADMIN, DEVELOPER, VIEWER = (
    OrganizationRole.ADMIN, OrganizationRole.DEVELOPER, OrganizationRole.VIEWER,
)  # fmt: skip


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def refused(reason: str, call: Callable[[], object]) -> needletail.CallError:
    with pytest.raises(needletail.CallError) as caught:
        call()
    assert caught.value.reason == reason, caught.value
    return caught.value


def waiting_for_locks(sql: Connection) -> int:
    # Of what pg_stat_activity shows, a transaction sees the first look only.
    row = sql.execute(
        "select count(distinct pid) as waiting from pg_locks where not granted"
    ).fetchone()
    assert row is not None
    return int(row["waiting"])


def test_a_member_is_shown_as_they_are_here(team: Team) -> None:
    eve = team.join("developer")
    team.join("viewer")
    with team.client() as client:
        member = client.identity.get_member(user_id=eve.id)
        assert member.user is not None
        assert (member.user.id, member.user.display_name) == (eve.id, "Eve")
        assert (member.role, member.is_active, member.invited_by) == (
            DEVELOPER, True, team.admin.id,
        )  # fmt: skip
        assert member.user.last_login_at is None
        page = client.identity.list_members(page_size=2)
        assert len(page.members) == 2
        rest = client.identity.list_members(page_size=2, page_token=page.next_page_token)
        everybody = [*page.members, *rest.members]
        assert [one.user.id for one in everybody if one.user][1:] == [eve.id, team.admin.id]
        assert rest.next_page_token == ""
        assert list(client.identity.iterate_members()) == everybody
        refused(
            "PAGE_TOKEN_INVALID",
            lambda: client.identity.list_service_accounts(page_token=page.next_page_token),
        )


def test_another_role_is_given_and_the_audit_log_tells_both(team: Team) -> None:
    eve = team.join("viewer")
    with team.client() as client:
        before = client.identity.get_member(user_id=eve.id)
        after = client.identity.update_member(user_id=eve.id, role=DEVELOPER, etag=before.etag)
        assert (after.role, after == client.identity.get_member(user_id=eve.id)) == (
            DEVELOPER, True,
        )  # fmt: skip
        assert after.etag != before.etag
        refused(
            "ETAG_MISMATCH",
            lambda: client.identity.update_member(user_id=eve.id, role=ADMIN, etag=before.etag),
        )
        refused(
            "FIELD_INVALID",
            lambda: client.identity.update_member(
                user_id=eve.id, role=OrganizationRole.UNSPECIFIED
            ),
        )
    assert team.journal("member.update", eve.id) == [
        {
            "actor": team.admin.id,
            "details": {"before": {"role": "viewer"}, "after": {"role": "developer"}},
        }
    ]
    assert team.events("member.updated", eve.id) == 1


@pytest.mark.parametrize("role", ["developer", "viewer"])
def test_only_administrators_change_members(team: Team, role: str) -> None:
    eve, other = team.join(role), team.join("viewer")
    with team.client(eve) as client:
        for call in (
            lambda: client.identity.update_member(user_id=other.id, role=VIEWER),
            lambda: client.identity.update_member(user_id=eve.id, role=ADMIN),
            lambda: client.identity.deactivate_member(user_id=other.id),
            lambda: client.identity.reactivate_member(user_id=other.id),
            lambda: client.identity.remove_member(user_id=other.id),
            lambda: client.identity.create_service_account(display_name="x", role=VIEWER),
            lambda: client.identity.update_organization(name="x"),
        ):
            refused("PERMISSION_MISSING", call)
        assert client.identity.get_member(user_id=other.id).role == VIEWER


def test_an_administrator_who_was_lowered_meanwhile_gives_nothing(team: Team) -> None:
    eve, other = team.join("admin"), team.join("viewer")
    with team.client(eve) as client:
        client.identity.who_am_i()
        team.sql.execute(
            "update organization_memberships set role = 'viewer' where user_id = %s", [eve.id]
        )
        with pytest.raises(needletail.CallError) as caught:
            client.identity.update_member(user_id=other.id, role=ADMIN)
        assert caught.value.reason in {"ROLE_TOO_HIGH", "PERMISSION_MISSING"}
        with pytest.raises(needletail.CallError) as caught:
            client.identity.create_service_account(display_name="x", role=ADMIN)
        assert caught.value.reason in {"ROLE_TOO_HIGH", "PERMISSION_MISSING"}
    assert team.value("select count(*) from organization_memberships where role = 'admin'"
                      " and organization_id = %(org)s") == 1  # fmt: skip


def test_who_is_removed_is_gone_with_everything_they_had_here(team: Team) -> None:
    eve = team.join("developer")
    second = team.key(eve.id)
    elsewhere = Team(team.sql, team.server, "elsewhere")
    team.sql.execute(
        "insert into organization_memberships (organization_id, id, user_id, role)"
        " values (%s, %s, %s, 'viewer')",
        [elsewhere.organization.id, uuid.uuid4(), eve.id],
    )
    third = elsewhere.key(eve.id)
    with team.client() as client:
        client.identity.remove_member(user_id=eve.id)
        assert [team.is_taken(key) for key in (eve.api_key, second)] == [False, False]
        assert elsewhere.is_taken(third)
        refused("USER_NOT_FOUND", lambda: client.identity.get_member(user_id=eve.id))
        refused("USER_NOT_FOUND", lambda: client.identity.remove_member(user_id=eve.id))
        listed = [one.user.id for one in client.identity.iterate_members() if one.user]
        assert listed == [team.admin.id]
    mine = "user_id = %(user)s and organization_id = %(org)s"
    for query, expected in (
        (f"organization_memberships where {mine} and deleted_at is not null", 1),
        (f"project_members where {mine} and deleted_at is null", 0),
        (f"api_keys where {mine} and revoked_at is not null and revoked_by = %(by)s", 2),
        ("users where id = %(user)s and deleted_at is null", 1),
    ):
        found = team.value(f"select count(*) from {query}", user=eve.id, by=team.admin.id)
        assert found == expected, query
    [entry] = team.journal("member.remove", eve.id)
    assert entry["details"] == {"before": {"role": "developer"}, "after": {}}
    assert team.events("member.removed", eve.id) == 1


@pytest.mark.parametrize("role", ["developer", "viewer"])
def test_everybody_may_leave(team: Team, role: str) -> None:
    eve = team.join(role)
    with team.client(eve) as client:
        client.identity.remove_member(user_id=eve.id)
    assert not team.is_taken(eve.api_key)
    [entry] = team.journal("member.remove", eve.id)
    assert entry["actor"] == eve.id


def test_a_key_of_a_job_does_not_end_its_owners_membership(team: Team) -> None:
    eve = team.join("developer", scopes=("run.*",))
    with team.client(eve) as client:
        refused("PERMISSION_MISSING", lambda: client.identity.remove_member(user_id=eve.id))
    assert team.is_taken(eve.api_key)


def test_deactivation_is_of_this_organization_alone(team: Team) -> None:
    eve = team.join("developer")
    elsewhere = Team(team.sql, team.server, "elsewhere")
    team.sql.execute(
        "insert into organization_memberships (organization_id, id, user_id, role)"
        " values (%s, %s, %s, 'viewer')",
        [elsewhere.organization.id, uuid.uuid4(), eve.id],
    )
    other = elsewhere.key(eve.id)
    with team.client() as client:
        stopped = client.identity.deactivate_member(user_id=eve.id)
        assert not stopped.is_active
        assert client.identity.get_member(user_id=eve.id) == stopped
        assert (team.is_taken(eve.api_key), elsewhere.is_taken(other)) == (False, True)
        with elsewhere.client() as there:
            assert there.identity.get_member(user_id=eve.id).is_active
        again = client.identity.reactivate_member(user_id=eve.id)
        assert again.is_active
        assert again.etag != stopped.etag
        assert team.is_taken(eve.api_key)
    [entry] = team.journal("member.deactivate", eve.id)
    assert entry["details"] == {"before": {"is_active": "true"}, "after": {"is_active": "false"}}
    [entry] = team.journal("member.reactivate", eve.id)
    assert entry["details"] == {"before": {"is_active": "false"}, "after": {"is_active": "true"}}


def test_the_last_active_administrator_stays(team: Team) -> None:
    stopped, program = team.join("admin"), None
    with team.client() as client:
        client.identity.deactivate_member(user_id=stopped.id)
        program = client.identity.create_service_account(display_name="bot", role=ADMIN)
        for call in (
            lambda: client.identity.remove_member(user_id=team.admin.id),
            lambda: client.identity.deactivate_member(user_id=team.admin.id),
            lambda: client.identity.update_member(user_id=team.admin.id, role=DEVELOPER),
        ):
            error = refused("LAST_ADMIN", call)
            assert error.code.name == "FAILED_PRECONDITION"
        # What changes nothing of that is no loss.
        assert client.identity.update_member(user_id=team.admin.id, role=ADMIN).role == ADMIN
        client.identity.reactivate_member(user_id=stopped.id)
        client.identity.delete_service_account(id=program.id)
        client.identity.remove_member(user_id=team.admin.id)
    with team.client(stopped) as client:
        refused("LAST_ADMIN", lambda: client.identity.remove_member(user_id=stopped.id))


def ways_out(user: str) -> list[tuple[str, Any]]:
    """Return every call that ends somebody's being an active administrator."""
    return [
        ("RemoveMember", identity("RemoveMemberRequest", user_id=user)),
        ("DeactivateMember", identity("DeactivateMemberRequest", user_id=user)),
        ("UpdateMember", identity("UpdateMemberRequest", user_id=user, role=3)),
    ]


@pytest.mark.parametrize("way", range(3))
@pytest.mark.parametrize("crosswise", [True, False])
def test_two_administrators_at_once_leave_one(team: Team, way: int, crosswise: bool) -> None:
    people = [team.admin, team.join("admin")]
    answers: dict[int, Any] = {}

    def work(number: int) -> None:
        with team.wire(people[number]) as wire:
            target = people[1 - number if crosswise else number]
            method, request = ways_out(target.id)[way]
            answers[number] = wire.call(f"{IDENTITY}/{method}", request, key=str(uuid.uuid4()))

    threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
    before = waiting_for_locks(team.sql)
    # Both calls are under way before either can look.
    with team.sql.transaction():
        team.sql.execute(
            "select from organization_memberships where organization_id = %s for update",
            [team.organization.id],
        )
        for thread in threads:
            thread.start()
        wait_until("both calls wait", lambda: waiting_for_locks(team.sql) >= before + 2)
    for thread in threads:
        thread.join(60)
    reasons = sorted(answer.status.reason for answer in answers.values())
    # Crosswise, the second caller is no administrator any more when their turn comes.
    expected = {"PERMISSION_MISSING", "ROLE_TOO_HIGH"} if crosswise else {"LAST_ADMIN"}
    assert reasons[0] == ""
    assert reasons[1] in expected
    left = team.value(
        "select count(*) from organization_memberships where organization_id = %(org)s"
        " and role = 'admin' and is_active and deleted_at is null"
    )
    assert left == 1


def test_a_program_is_no_member(team: Team) -> None:
    with team.client() as client:
        account = client.identity.create_service_account(display_name="bot", role=VIEWER)
        for call in (
            lambda: client.identity.get_member(user_id=account.id),
            lambda: client.identity.update_member(user_id=account.id, role=VIEWER),
            lambda: client.identity.remove_member(user_id=account.id),
            lambda: client.identity.deactivate_member(user_id=account.id),
            lambda: client.identity.reactivate_member(user_id=account.id),
        ):
            refused("USER_NOT_FOUND", call)
        for call in (
            lambda: client.identity.get_service_account(id=team.admin.id),
            lambda: client.identity.update_service_account(id=team.admin.id, role=VIEWER),
            lambda: client.identity.delete_service_account(id=team.admin.id),
        ):
            refused("SERVICE_ACCOUNT_NOT_FOUND", call)
        assert [one.user.id for one in client.identity.iterate_members() if one.user] == [
            team.admin.id
        ]


def test_a_change_sent_twice_is_made_once(team: Team) -> None:
    eve = team.join("developer")
    key = str(uuid.uuid4())
    with team.wire() as wire:
        request = identity("RemoveMemberRequest", user_id=eve.id)
        answers = [wire.call(f"{IDENTITY}/RemoveMember", request, key=key) for _ in range(2)]
    assert [answer.status.code for answer in answers] == [0, 0]
    assert len(team.journal("member.remove", eve.id)) == 1
