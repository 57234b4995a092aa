"""People and their own accounts."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import needletail
import pytest
from organizations import create_organization, uuid7
from people import OTHER, PASSWORD, WRONG, email, login, nobody, refused, with_password
from program import run_program
from team import IDENTITY, Team, identity

if TYPE_CHECKING:
    from pathlib import Path

    from program import Connection, UpServer


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def test_a_person_sees_and_changes_themself(team: Team) -> None:
    eve = team.join()
    with team.client(eve) as client:
        before = client.identity.get_user()
        assert before.user is not None
        assert (before.user.id, before.user.email, before.has_password) == (
            eve.id, email(eve), False,
        )  # fmt: skip
        after = client.identity.update_user(
            display_name="Ada", first_name="Augusta", last_name="King",
            avatar_url="https://example.com/ada.png", settings_json='{"theme":"dark"}',
            etag=before.etag,
        )  # fmt: skip
        assert after.user is not None
        assert (after.user.display_name, after.user.first_name, after.user.last_name) == (
            "Ada", "Augusta", "King",
        )  # fmt: skip
        assert after.etag != before.etag
        found = client.identity.get_user()
        assert found.user == after.user
        assert (found.settings_json.replace(" ", ""), found.etag) == (
            '{"theme":"dark"}', after.etag,
        )  # fmt: skip
        refused(
            "ETAG_MISMATCH",
            lambda: client.identity.update_user(display_name="x", etag=before.etag),
        )
        cleared = client.identity.update_user(avatar_url="", first_name="")
        assert cleared.user is not None
        assert (cleared.user.avatar_url, cleared.user.first_name) == ("", "")
    (first, _) = team.journal("user.update", eve.id)
    assert first["details"]["before"]["display_name"] == "Eve"
    assert first["details"]["after"]["display_name"] == "Ada"
    assert team.events("user.updated", eve.id) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"email": "nothing"},
        {"email": "a@b@c"},
        {"display_name": ""},
        {"first_name": "x" * 201},
        {"avatar_url": "http://example.com/ada.png"},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "https://"},
        {"avatar_url": "https://user@example.com/"},
        {"avatar_url": "https://example.com/" + "x" * 2_000},
        {"settings_json": "[]"},
        {"settings_json": '{"x":"' + "x" * 65_536 + '"}'},
    ],
)
def test_what_a_person_may_not_say_of_themself(team: Team, given: dict[str, str]) -> None:
    with team.client(team.join()) as client:
        error = refused("FIELD_INVALID", lambda: client.identity.update_user(**given))
        assert [one.field for one in error.field_violations] == list(given)


def test_another_address_needs_the_password_and_is_not_verified(team: Team) -> None:
    eve, adam = with_password(team), team.join()
    team.sql.execute("update users set email_verified_at = now() where id = %s", [eve.id])
    new = f"ada-{eve.id}@example.com"
    with team.client(eve) as client:
        assert client.identity.update_user(display_name="Ada").user is not None
        for password in ("", WRONG):
            refused(
                "PASSWORD_WRONG",
                lambda password=password: client.identity.update_user(
                    email=new, current_password=password
                ),
            )
        refused(
            "EMAIL_TAKEN",
            lambda: client.identity.update_user(
                email=email(adam).upper(), current_password=PASSWORD
            ),
        )
        # What is as it was needs no password, and stays verified.
        same = client.identity.update_user(email=email(eve))
        assert same.user is not None
        assert same.user.email_verified_at is not None
        changed = client.identity.update_user(email=new, current_password=PASSWORD)
        assert changed.user is not None
        assert (changed.user.email, changed.user.email_verified_at) == (new, None)
    assert login(team.server, new.upper()).user.id == eve.id
    refused("CREDENTIALS_INVALID", lambda: login(team.server, email(eve)))
    (entry,) = [
        one for one in team.journal("user.update", eve.id) if "email" in one["details"]["after"]
    ]
    assert entry["details"]["before"]["email"] == email(eve)
    assert entry["details"]["before"]["email_verified_at"] is not None
    assert "email_verified_at" not in entry["details"]["after"] or (
        entry["details"]["after"]["email_verified_at"] is None
    )


def test_another_password_ends_the_keys_of_logins_but_the_callers_own(team: Team) -> None:
    eve = with_password(team)
    one, other = login(team.server, email(eve)), login(team.server, email(eve))
    with team.client(key=one.secret) as client:
        for given, reason in (
            ({"new_password": "elevenbytes", "current_password": PASSWORD}, "FIELD_INVALID"),
            ({"new_password": "x" * 1_025, "current_password": PASSWORD}, "FIELD_INVALID"),
            ({"new_password": "x" * (1 << 20), "current_password": PASSWORD}, "FIELD_INVALID"),
            ({"new_password": "x" * 12, "current_password": "x" * (1 << 20)}, "FIELD_INVALID"),
            ({"new_password": OTHER}, "PASSWORD_WRONG"),
            (
                {"new_password": OTHER, "current_password": WRONG},
                "PASSWORD_WRONG",
            ),
        ):
            refused(reason, lambda given=given: client.identity.change_password(**given))
        changed = client.identity.change_password(
            current_password=PASSWORD, new_password=OTHER, idempotency_key="again"
        )
        assert changed.revoked_keys == 1
        # The same call again has the same answer, though the password is another one now.
        assert changed == client.identity.change_password(
            current_password=PASSWORD, new_password=OTHER, idempotency_key="again"
        )
        assert client.identity.who_am_i().user_id == eve.id
    assert not team.is_taken(other.secret)
    assert team.is_taken(eve.api_key)
    refused("CREDENTIALS_INVALID", lambda: login(team.server, email(eve)))
    assert login(team.server, email(eve), OTHER).user.id == eve.id
    entries = team.journal("user.change_password", eve.id)
    assert [entry["details"]["after"]["revoked_keys"] for entry in entries] == ["0", "1"]
    everything = team.value(
        "select string_agg(details::text, ' ') from audit_logs where organization_id = %(org)s"
    ) + team.value("select string_agg(data::text, ' ') from events where organization_id = %(org)s")
    for secret in (PASSWORD, OTHER, "scrypt", one.secret):
        assert secret not in everything


def test_a_service_account_has_no_account_of_its_own(team: Team) -> None:
    with team.client() as client:
        robot = client.identity.create_service_account(
            display_name="robot", role=needletail.identity.OrganizationRole.ADMIN
        )
    with team.client(key=team.key(robot.id)) as client:
        for call in (
            client.identity.get_user,
            lambda: client.identity.update_user(display_name="x"),
            lambda: client.identity.change_password(new_password=OTHER),
            lambda: client.identity.delete_user(email="x@example.com"),
        ):
            refused("PERSON_NEEDED", call)


def test_who_deletes_themself_is_gone_at_once_and_can_come_back(team: Team) -> None:
    eve = with_password(team)
    connection = team.wire(eve)
    with connection, team.client(eve) as client:
        for given, reason in (
            ({"email": "other@example.com", "current_password": PASSWORD}, "CONFIRMATION_WRONG"),
            ({"email": email(eve)}, "PASSWORD_WRONG"),
            ({"email": email(eve), "current_password": WRONG}, "PASSWORD_WRONG"),
        ):
            refused(reason, lambda given=given: client.identity.delete_user(**given))
        purge_after = client.identity.delete_user(
            email=email(eve).upper(), current_password=PASSWORD
        ).purge_after
        assert purge_after is not None
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
        assert abs((purge_after - soon).total_seconds()) < 3_600
        with pytest.raises(Exception, match="KEY_REVOKED"):
            connection.receive()
    assert not team.is_taken(eve.api_key)
    refused("CREDENTIALS_INVALID", lambda: login(team.server, email(eve)))
    with nobody(team.server) as client:
        refused(
            "CREDENTIALS_INVALID",
            lambda: client.identity.undelete_user(email=email(eve), password=WRONG),
        )
        back = client.identity.undelete_user(email=email(eve).upper(), password=PASSWORD)
        assert back.id == eve.id
        refused(
            "RECOVERY_OVER",
            lambda: client.identity.undelete_user(email=email(eve), password=PASSWORD),
        )
    assert team.is_taken(eve.api_key)
    assert login(team.server, email(eve)).user.id == eve.id
    assert len(team.journal("user.delete", eve.id)) == 1
    assert len(team.journal("user.undelete", eve.id)) == 1


def test_coming_back_is_over_after_its_time_or_when_the_address_is_taken(team: Team) -> None:
    late, taken = with_password(team), with_password(team)
    for one in (late, taken):
        with team.client(one) as client:
            client.identity.delete_user(email=email(one), current_password=PASSWORD)
    team.sql.execute(
        "update users set purge_after = now() - interval '1 second' where id = %s", [late.id]
    )
    other = team.join()
    team.sql.execute("update users set email = %s where id = %s", [email(taken), other.id])
    with nobody(team.server) as client:
        refused(
            "RECOVERY_OVER",
            lambda: client.identity.undelete_user(email=email(late), password=PASSWORD),
        )
        refused(
            "EMAIL_TAKEN",
            lambda: client.identity.undelete_user(email=email(taken), password=PASSWORD),
        )
        # Who does not know the password hears of neither.
        for one in (late, taken):
            refused(
                "CREDENTIALS_INVALID",
                lambda one=one: client.identity.undelete_user(email=email(one), password=WRONG),
            )


def test_coming_back_can_be_asked_for_twice(team: Team) -> None:
    eve = with_password(team)
    with team.client(eve) as client:
        client.identity.delete_user(email=email(eve), current_password=PASSWORD)
    with nobody(team.server) as client:
        answers = [
            client.identity.undelete_user(
                email=email(eve), password=PASSWORD, idempotency_key="back"
            )
            for _ in range(2)
        ]
    assert answers[0] == answers[1]
    assert team.events("user.undeleted", eve.id) == 1


def test_no_organization_loses_its_last_administrator_anywhere(team: Team) -> None:
    eve = with_password(team, "admin")
    other = create_organization(team.sql, "elsewhere")
    slug = team.value("select slug from organizations where id = %(id)s", id=other.id)
    with team.sql.transaction():
        team.sql.execute("set local role needletail_maintenance")
        team.sql.execute(
            "update organization_memberships set role = 'viewer' where organization_id = %s",
            [other.id],
        )
        team.sql.execute(
            "insert into organization_memberships (organization_id, id, user_id, role)"
            " values (%s, %s, %s, 'admin')",
            [other.id, uuid7(), eve.id],
        )
    with team.client(eve) as client:
        error = refused(
            "LAST_ADMIN",
            lambda: client.identity.delete_user(email=email(eve), current_password=PASSWORD),
        )
        assert error.details["organizations"] == slug
        team.sql.execute(
            "update organization_memberships set role = 'admin' where organization_id = %s",
            [other.id],
        )
        client.identity.delete_user(email=email(eve), current_password=PASSWORD)


@pytest.mark.parametrize("how", ["delete", "remove"])
def test_of_two_administrators_who_leave_at_once_one_stays(team: Team, how: str) -> None:
    pair = [with_password(team, "admin") for _ in range(2)]
    team.sql.execute(
        "update organization_memberships set role = 'viewer'"
        " where organization_id = %s and user_id <> all(%s::uuid[])",
        [team.id, [one.id for one in pair]],
    )
    outcomes: list[str] = []

    def leave(number: int) -> None:
        one = pair[number]
        with team.client(one) as client:
            try:
                if how == "delete" or number == 0:
                    client.identity.delete_user(email=email(one), current_password=PASSWORD)
                else:
                    client.identity.remove_member(user_id=one.id)
                outcomes.append("OK")
            except needletail.CallError as error:
                outcomes.append(error.reason)

    threads = [threading.Thread(target=leave, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["LAST_ADMIN", "OK"]


def test_a_stored_digest_does_not_tell_a_password(team: Team) -> None:
    eve = with_password(team)
    with team.wire(eve) as wire:
        for key, current in (("first", PASSWORD), ("second", OTHER)):
            new = OTHER if key == "first" else PASSWORD
            end = wire.call(
                f"{IDENTITY}/ChangePassword",
                identity("ChangePasswordRequest", current_password=current, new_password=new),
                key=key,
            )
            assert not end.HasField("status"), end
    row = team.sql.execute(
        "select count(distinct request_digest) as digests from idempotency_records"
        " where organization_id = %s and principal_id = %s and key in ('first', 'second')",
        [team.id, eve.id],
    ).fetchone()
    assert row == {"digests": 1}


def command(folder: Path, team: Team, key: str, *arguments: str, text: str = "") -> str:
    file = folder / "key"
    file.write_text(key)
    result = run_program(
        *arguments, "--url", f"needletail://{team.server['address']}:{team.server['port']}",
        "--ca-file", team.server["ca_file"], *(["--api-key-file", str(file)] if key else []),
        text=text,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_command_line_has_all_of_it(team: Team, served: UpServer, place: Path) -> None:
    eve = team.join()
    address = email(eve)
    assert "none" in command(place, team, eve.api_key, "users", "show")
    assert "changed" in command(place, team, eve.api_key, "users", "password", text=f"{PASSWORD}\n")
    assert "Ada" in command(
        place, team, eve.api_key, "users", "update", "--display-name", "Ada", "--avatar-url",
        "https://example.com/a.png",
    )  # fmt: skip
    verified = run_program("users", "verify", address.upper(), "--postgres", served.database_url)
    assert verified.returncode == 0, verified.stderr
    assert eve.id in verified.stdout
    with team.client(eve) as client:
        user = client.identity.get_user().user
        assert user is not None
        assert user.email_verified_at is not None
    missing = run_program(
        "users", "verify", "nobody@example.com", "--postgres", served.database_url
    )
    assert missing.returncode != 0
    assert "nobody has" in missing.stderr
    new = f"new-{address}"
    assert new in command(
        place, team, eve.api_key, "users", "update", "--email", new, text=f"{PASSWORD}\n"
    )
    assert "ended" in command(
        place, team, eve.api_key, "users", "password", text=f"{PASSWORD}\n{OTHER}\n"
    )
    assert "deleted" in command(
        place, team, eve.api_key, "users", "delete", "--email", new, "--yes", text=f"{OTHER}\n"
    )
    assert not team.is_taken(eve.api_key)
    assert eve.id in command(
        place, team, "", "users", "undelete", "--email", new, text=f"{OTHER}\n"
    )
    assert team.is_taken(eve.api_key)
