"""How people come into an organization."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from guests import PHRASE, Guest, accept, address, give_password
from needletail.identity import OrganizationRole
from program import run_program
from team import Team
from test_members import refused, waiting_for_locks
from waiting import wait_until

if TYPE_CHECKING:
    from program import Connection, UpServer

ADMIN, DEVELOPER, VIEWER = (
    OrganizationRole.ADMIN, OrganizationRole.DEVELOPER, OrganizationRole.VIEWER,
)  # fmt: skip


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def invite(team: Team, email: str, role: OrganizationRole = DEVELOPER, **more: Any) -> str:
    with team.client() as client:
        return client.identity.invite_member(email=email, role=role, **more).token


def memberships(team: Team, user: str) -> int:
    return int(
        team.value(
            "select count(*) from organization_memberships where organization_id = %(org)s"
            " and user_id = %(user)s and deleted_at is null",
            user=user,
        )
    )


def test_somebody_new_is_invited_accepts_and_has_an_account(team: Team) -> None:
    email = address("New.Person")
    with team.client() as client:
        made = client.identity.invite_member(email=email, role=DEVELOPER)
        invitation = made.invitation
        assert invitation is not None
        assert (invitation.email, invitation.role, invitation.invited_by) == (
            email, DEVELOPER, team.admin.id,
        )  # fmt: skip
        assert list(client.identity.iterate_invitations()) == [invitation]
        reason, answer = accept(team, made.token, display_name="New Person")
        assert reason == ""
        assert (answer.organization_id, answer.member.role) == (team.id, DEVELOPER)
        member = client.identity.get_member(user_id=answer.member.user.id)
        assert member.user is not None
        assert (member.user.email, member.user.display_name) == (email, "New Person")
        assert member.user.email_verified_at is None
        assert (member.invited_by, member.etag) == (team.admin.id, answer.member.etag)
        assert list(client.identity.iterate_invitations()) == []
        # It is over, whoever comes with it.
        refused("INVITATION_NOT_FOUND", lambda: client.identity.delete_invitation(id=invitation.id))
    assert accept(team, made.token)[0] == "INVITATION_NOT_FOUND"
    [entry] = team.journal("invitation.create", invitation.id)
    assert entry["details"]["after"]["email"] == email
    [entry] = team.journal("invitation.accept", invitation.id)
    assert entry["actor"] == answer.member.user.id
    assert entry["details"]["after"] == {
        "user_id": answer.member.user.id, "email": email, "role": "developer",
        "is_new_account": "true",
    }  # fmt: skip
    assert team.events("invitation.accepted", invitation.id) == 1
    keys = "select count(*) from audit_logs where organization_id = %(org)s and api_key_id = %(no)s"
    assert team.value(keys, no=uuid.UUID(int=0)) == 0


def test_only_the_hash_of_a_token_is_kept(team: Team) -> None:
    token = invite(team, address())
    stored = team.value("select token_hash from invitations where organization_id = %(org)s")
    assert bytes(stored) == hashlib.sha256(token.encode()).digest()
    for table in ("audit_logs", "events", "idempotency_records", "invitations"):
        found = team.value(
            f"select count(*) from {table} as row where organization_id = %(org)s"
            " and row::text like %(text)s",
            text=f"%{token[:20]}%",
        )
        assert found == 0, table


def test_a_replayed_invitation_does_not_show_its_token_again(team: Team) -> None:
    with Guest(team, team.admin.api_key) as admin:
        fields = {"email": address(), "role": 3}
        first, made = admin.call("InviteMember", key="nightly", **fields)
        again, _ = admin.call("InviteMember", key="nightly", **fields)
    assert (first, again) == ("", "SECRET_ALREADY_SHOWN")
    assert made.token.startswith("nti_")


def test_a_new_invitation_of_an_address_ends_the_older_one(team: Team) -> None:
    email = address()
    old, new = invite(team, email), invite(team, email.upper(), VIEWER)
    with team.client() as client:
        assert [one.role for one in client.identity.iterate_invitations()] == [VIEWER]
    assert accept(team, old)[0] == "INVITATION_NOT_FOUND"
    assert accept(team, new)[1].member.role == VIEWER


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"), ("email", "a@"), ("email", ""), ("email", "a b@c.de"),
        ("role", OrganizationRole.UNSPECIFIED), ("expires_in_seconds", 59),
        ("expires_in_seconds", 2_592_001),
    ],
)  # fmt: skip
def test_a_bad_invitation_is_refused(team: Team, field: str, value: Any) -> None:
    fields: dict[str, Any] = {"email": address(), "role": VIEWER, field: value}
    with team.client() as client:
        error = refused("FIELD_INVALID", lambda: client.identity.invite_member(**fields))
        assert {violation.field for violation in error.field_violations} == {field}
        assert list(client.identity.iterate_invitations()) == []


def test_who_may_not_invite_does_not(team: Team) -> None:
    eve, lowered = team.join("developer"), team.join("admin")
    waiting = invite(team, address())
    with team.client(eve) as client:
        refused(
            "PERMISSION_MISSING",
            lambda: client.identity.invite_member(email=address(), role=VIEWER),
        )
        [invitation] = client.identity.iterate_invitations()
        refused("PERMISSION_MISSING", lambda: client.identity.delete_invitation(id=invitation.id))
    with team.client(lowered) as client:
        client.identity.who_am_i()
        team.sql.execute(
            "update organization_memberships set role = 'developer' where user_id = %s",
            [lowered.id],
        )
        with pytest.raises(needletail.CallError) as caught:
            client.identity.invite_member(email=address(), role=ADMIN)
        assert caught.value.reason in {"ROLE_TOO_HIGH", "PERMISSION_MISSING"}
    assert waiting
    assert team.value("select count(*) from invitations where organization_id = %(org)s") == 1


def test_a_member_is_not_invited(team: Team) -> None:
    eve = team.join("viewer")
    email = give_password(team, eve.id)
    with team.client() as client:
        refused(
            "ALREADY_MEMBER",
            lambda: client.identity.invite_member(email=email.upper(), role=ADMIN),
        )


def test_an_invitation_that_was_taken_back_is_over(team: Team) -> None:
    token = invite(team, address())
    with team.client() as client:
        [invitation] = client.identity.iterate_invitations()
        rival = Team(team.sql, team.server, "rival")
        with rival.client() as other:
            assert list(other.identity.iterate_invitations()) == []
            refused(
                "INVITATION_NOT_FOUND", lambda: other.identity.delete_invitation(id=invitation.id)
            )
        client.identity.delete_invitation(id=invitation.id)
        assert list(client.identity.iterate_invitations()) == []
    assert accept(team, token)[0] == "INVITATION_NOT_FOUND"
    [entry] = team.journal("invitation.delete", invitation.id)
    assert entry["details"]["before"]["email"] == invitation.email


@pytest.mark.parametrize("token", ["", "nti_", "x" * 53, "nti_" + "0" * 49, "ntl_" + "0" * 49])
def test_what_is_no_token_opens_nothing(team: Team, token: str) -> None:
    assert accept(team, token)[0] == "INVITATION_NOT_FOUND"


def test_an_expired_invitation_is_shown_and_not_accepted(team: Team) -> None:
    eve = Team(team.sql, team.server, "elsewhere").join("viewer")
    token = invite(team, give_password(team, eve.id))
    team.sql.execute(
        "update invitations set expires_at = now() - interval '1 second'"
        " where organization_id = %s",
        [team.id],
    )
    assert accept(team, token)[0] == "INVITATION_EXPIRED"
    with team.client() as client:
        assert len(list(client.identity.iterate_invitations())) == 1
    assert memberships(team, eve.id) == 0


def test_who_has_an_account_gives_its_password_and_burns_nothing_by_a_wrong_one(
    team: Team,
) -> None:
    eve = Team(team.sql, team.server, "elsewhere").join("viewer")
    email = give_password(team, eve.id)
    token = invite(team, email.upper(), ADMIN)
    for wrong in ("", "wrong", PHRASE + " "):
        assert accept(team, token, wrong)[0] == "CREDENTIALS_INVALID"
    assert memberships(team, eve.id) == 0
    reason, answer = accept(team, token, display_name="Somebody Else")
    assert (reason, answer.member.user.id, answer.member.role) == ("", eve.id, ADMIN)
    # Who is there keeps their name and address.
    assert (answer.member.user.display_name, answer.member.user.email) == ("Eve", email)
    assert memberships(team, eve.id) == 1


@pytest.mark.parametrize("state", ["no password", "stopped"])
def test_an_account_that_nobody_logs_in_to_accepts_nothing(team: Team, state: str) -> None:
    eve = Team(team.sql, team.server, "elsewhere").join("viewer")
    token = invite(team, give_password(team, eve.id))
    change = "password_hash = null" if state == "no password" else "is_active = false"
    team.sql.execute(f"update users set {change} where id = %s", [eve.id])
    assert accept(team, token)[0] == "CREDENTIALS_INVALID"


def test_on_a_connection_of_theirs_no_password_is_needed(team: Team) -> None:
    elsewhere = Team(team.sql, team.server, "elsewhere")
    eve, other = elsewhere.join("viewer"), elsewhere.join("admin")
    token = invite(team, give_password(team, eve.id))
    with Guest(team, other.api_key) as guest:
        # Not even with the right password: whose connection it is has been said.
        reason, _ = guest.call("AcceptInvitation", token=token, password=PHRASE)
        assert reason == "INVITATION_NOT_FOUND"
    with Guest(team, eve.api_key) as guest:
        reason, answer = guest.call("AcceptInvitation", token=token)
        assert (reason, answer.organization_id) == ("", team.id)
        # The connection stays one of its own organization.
        assert guest.call("WhoAmI")[1].organization_id == elsewhere.id
    entry = team.sql.execute(
        "select actor_id::text as actor, api_key_id from audit_logs where organization_id = %s"
        " and action = 'invitation.accept'", [team.id],
    ).fetchone()  # fmt: skip
    # Their key is another organization's.
    assert entry == {"actor": eve.id, "api_key_id": None}


def test_a_new_password_is_long_enough(team: Team) -> None:
    token = invite(team, address())
    for bad in ("", "eleven char", "x" * 1_025):
        assert accept(team, token, bad)[0] == "FIELD_INVALID"
    with team.client() as client:
        assert len(list(client.identity.iterate_invitations())) == 1


def test_the_same_acceptance_twice_has_one_effect_and_one_answer(team: Team) -> None:
    token, key = invite(team, address()), str(uuid.uuid4())
    with Guest(team) as one, Guest(team) as two:
        fields = {"token": token, "password": PHRASE}
        streams = [guest.send("AcceptInvitation", key=key, **fields) for guest in (one, two)]
        answers = [
            guest.answer("AcceptInvitation", stream)
            for guest, stream in zip((one, two), streams, strict=True)
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == ""
        user = answers[0][1].member.user.id
        assert one.call("AcceptInvitation", key=key, **fields) == answers[0]
        # Neither another request with the key nor a wrong password is told anything.
        reused = one.call("AcceptInvitation", key=key, **fields, display_name="Eve")
        assert reused[0] == "IDEMPOTENCY_KEY_REUSED"
        wrong = one.call("AcceptInvitation", key=key, **{**fields, "password": "wrong"})
        assert wrong[0] == "INVITATION_NOT_FOUND"
    assert memberships(team, user) == 1
    accepted = "select count(*) from audit_logs where organization_id = %(org)s and action = %(a)s"
    assert team.value(accepted, a="invitation.accept") == 1


def test_two_acceptances_at_once_make_one_member(team: Team) -> None:
    elsewhere = Team(team.sql, team.server, "elsewhere")
    eve = elsewhere.join("viewer")
    token = invite(team, give_password(team, eve.id))
    reasons: list[str] = []
    threads = [
        threading.Thread(target=lambda: reasons.append(accept(team, token)[0])) for _ in range(2)
    ]
    before = waiting_for_locks(team.sql)
    with team.sql.transaction():
        team.sql.execute("select from organizations where id = %s for update", [team.id])
        for thread in threads:
            thread.start()
        wait_until("both calls wait", lambda: waiting_for_locks(team.sql) >= before + 2)
    for thread in threads:
        thread.join(60)
    assert sorted(reasons) == ["", "INVITATION_NOT_FOUND"]
    assert memberships(team, eve.id) == 1


def test_the_plan_bounds_who_comes_in(team: Team) -> None:
    eve = Team(team.sql, team.server, "elsewhere").join("viewer")
    token = invite(team, give_password(team, eve.id))
    team.allow(1)
    assert accept(team, token)[0] == "PLAN_LIMIT_REACHED"
    assert memberships(team, eve.id) == 0
    team.allow(2)
    assert accept(team, token)[0] == ""


@pytest.mark.parametrize(
    "change", ["role = 'developer'", "is_active = false", "deleted_at = now()"]
)
def test_an_inviter_who_may_not_any_more_gives_nothing(team: Team, change: str) -> None:
    inviter = team.join("admin")
    eve = Team(team.sql, team.server, "elsewhere").join("viewer")
    email = give_password(team, eve.id)
    with team.client(inviter) as client:
        token = client.identity.invite_member(email=email, role=DEVELOPER).token
    team.sql.execute(
        f"update organization_memberships set {change} where user_id = %s", [inviter.id]
    )
    assert accept(team, token)[0] == "INVITATION_EXPIRED"
    assert memberships(team, eve.id) == 0


def test_a_former_member_comes_back(team: Team) -> None:
    eve = team.join("developer")
    email = give_password(team, eve.id)
    with team.client() as client:
        client.identity.remove_member(user_id=eve.id)
        token = client.identity.invite_member(email=email, role=VIEWER).token
        assert accept(team, token)[0] == ""
        assert client.identity.get_member(user_id=eve.id).role == VIEWER
    # What they had is not theirs again.
    assert not team.is_taken(eve.api_key)
    assert memberships(team, eve.id) == 1


@pytest.mark.parametrize("change", ["deleted_at = now()", "subscription_status = 'suspended'"])
def test_an_organization_that_is_not_open_takes_nobody(team: Team, change: str) -> None:
    eve = Team(team.sql, team.server, "elsewhere").join("viewer")
    token = invite(team, give_password(team, eve.id))
    team.sql.execute(f"update organizations set {change} where id = %s", [team.id])
    assert accept(team, token)[0] == "INVITATION_NOT_FOUND"


def test_the_command_line_invites_and_accepts(team: Team, served: UpServer, tmp_path: Any) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(team.admin.api_key)
    found = served.connection
    place = [
        "--url", f"needletail://{found['address']}:{found['port']}", "--ca-file", found["ca_file"],
    ]  # fmt: skip
    own = [*place, "--api-key-file", str(key_file)]
    email = address()
    made = run_program(
        "members", "invite", email, "--role", "viewer", "--expires-in", "2h", "-o", "json", *own
    )
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["token"]
    listed = run_program("members", "invitations", *own)
    assert email in listed.stdout
    short = run_program("accept", *place, text=f"{token}\nshort\n")
    assert (short.returncode, "12 to 1024 bytes" in short.stderr) == (7, True)
    accepted = run_program("accept", "--name", "Eve", *place, text=f"{token}\n{PHRASE}\n")
    assert accepted.returncode == 0, accepted.stderr
    assert "viewer" in accepted.stdout
    assert "Eve" in accepted.stdout
    assert run_program("accept", *place, text=f"{token}\n").returncode == 2
    again = run_program("members", "invite", address(), "--role", "viewer", "-o", "json", *own)
    identifier = json.loads(again.stdout)["invitation"]["id"]
    assert run_program("members", "uninvite", identifier, "--yes", *own).returncode == 0
    assert run_program("members", "uninvite", identifier, "--yes", *own).returncode == 4
