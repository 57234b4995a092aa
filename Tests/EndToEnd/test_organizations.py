"""Organizations are made, listed, deleted and brought back."""

from __future__ import annotations

import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from guests import PHRASE, Guest, address, give_password
from needletail.identity import OrganizationRole
from program import run_program
from team import Team
from test_members import refused
from waiting import wait_until
from wire import GoawayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Connection, UpServer


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


@pytest.fixture
def founder(team: Team) -> Team:
    """A team whose administrator runs the platform."""
    team.sql.execute("update users set is_platform_admin = true where id = %s", [team.admin.id])
    return team


def new_slug() -> str:
    return f"acme-{secrets.token_hex(6)}"


def undelete(team: Team, slug: str, email: str, password: str = PHRASE, **more: Any) -> Any:
    with Guest(team) as guest:
        return guest.call("UndeleteOrganization", slug=slug, email=email, password=password, **more)


def test_an_organization_is_made_with_its_first_administrator_and_key(founder: Team) -> None:
    slug = new_slug()
    with founder.client() as client:
        made = client.identity.create_organization(
            name="Acme", slug=slug, settings_json='{"theme": "dark"}'
        )
        assert made.organization is not None
        assert (made.organization.slug, made.organization.plan, made.organization.max_users) == (
            slug, "enterprise", 0,
        )  # fmt: skip
        mine = founder.value("select email from users where id = %(me)s", me=founder.admin.id)
        assert made.organization.billing_email == mine
        listed = client.identity.list_organizations().organizations
        assert (made.organization.id, slug, "Acme", "admin") in [
            (one.id, one.slug, one.name, one.role) for one in listed
        ]
        assert [one.slug for one in listed] == sorted(one.slug for one in listed)
    with founder.client(key=made.secret) as client:
        assert client.identity.get_organization() == made.organization
        me = client.identity.who_am_i()
        assert (me.user_id, me.role, me.api_key_id) == (
            founder.admin.id, "admin", made.api_key_id,
        )  # fmt: skip
        [member] = client.identity.iterate_members()
        assert member.role == OrganizationRole.ADMIN
        project = client.identity.create_project(name="First")
        assert list(client.identity.iterate_projects()) == [project]


def test_both_logs_tell_of_a_new_organization_and_the_old_one_nothing_of_it(founder: Team) -> None:
    slug = new_slug()
    with founder.client() as client:
        made = client.identity.create_organization(name="Acme", slug=slug)
    assert made.organization is not None
    [entry] = founder.journal("organization.create", made.organization.id)
    assert entry == {"actor": founder.admin.id, "details": {}}
    assert founder.events("organization.created", made.organization.id) == 0
    rows = founder.sql.execute(
        "select details -> 'after' ->> 'slug' as slug, actor_id::text as actor, api_key_id"
        " from audit_logs where organization_id = %s", [made.organization.id],
    ).fetchall()  # fmt: skip
    assert rows == [{"slug": slug, "actor": founder.admin.id, "api_key_id": None}]
    told = founder.sql.execute(
        "select type from events where organization_id = %s", [made.organization.id]
    ).fetchall()
    assert told == [{"type": "organization.created"}]
    for table in ("audit_logs", "events", "idempotency_records"):
        found = founder.value(
            f"select count(*) from {table} as row where organization_id = %(org)s"
            " and row::text like %(text)s",
            text=f"%{slug}%",
        )
        assert found == 0, table


def test_an_organization_is_made_once_for_an_idempotency_key(founder: Team) -> None:
    fields = {"name": "Acme", "slug": new_slug()}
    with Guest(founder, founder.admin.api_key) as guest:
        first, made = guest.call("CreateOrganization", key="once", **fields)
        again, _ = guest.call("CreateOrganization", key="once", **fields)
        other, _ = guest.call("CreateOrganization", key="twice", **fields)
    assert (first, again, other) == ("", "SECRET_ALREADY_SHOWN", "SLUG_TAKEN")
    count = "select count(*) from organizations where slug = %(slug)s"
    assert founder.value(count, slug=made.organization.slug) == 1
    # What was refused has left nothing anywhere.
    members = "select count(*) from organization_memberships where user_id = %(me)s"
    assert founder.value(members, me=founder.admin.id) == 2


def test_only_a_person_who_runs_the_platform_makes_organizations(team: Team) -> None:
    with team.client() as client:
        refused(
            "PLATFORM_ADMIN_NEEDED",
            lambda: client.identity.create_organization(name="Acme", slug=new_slug()),
        )
        account = client.identity.create_service_account(
            display_name="bot", role=OrganizationRole.ADMIN
        )
        with team.client(key=team.key(account.id)) as bot:
            calls: list[Callable[[], object]] = [
                lambda: bot.identity.create_organization(name="Acme", slug=new_slug()),
                bot.identity.list_organizations,
            ]
            for call in calls:
                refused("PERSON_NEEDED", call)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("slug", "Upper"), ("slug", ""), ("billing_email", "nobody"),
     ("settings_json", "[]")],
)  # fmt: skip
def test_a_bad_field_makes_nothing(founder: Team, field: str, value: str) -> None:
    fields = {"name": "Acme", "slug": new_slug(), field: value}
    with founder.client() as client:
        error = refused("FIELD_INVALID", lambda: client.identity.create_organization(**fields))
        assert {violation.field for violation in error.field_violations} == {field}
        assert len(client.identity.list_organizations().organizations) == 1


def test_only_live_memberships_are_listed(team: Team) -> None:
    eve = team.join("viewer")
    for state in ("is_active = true", "is_active = false", "deleted_at = now()"):
        other = Team(team.sql, team.server, "other")
        team.sql.execute(
            "insert into organization_memberships (organization_id, id, user_id, role)"
            " values (%s, %s, %s, 'developer')", [other.id, uuid.uuid4(), eve.id],
        )  # fmt: skip
        team.sql.execute(
            f"update organization_memberships set {state}"
            " where organization_id = %s and user_id = %s", [other.id, eve.id],
        )  # fmt: skip
    with team.client(eve) as client:
        roles = [one.role for one in client.identity.list_organizations().organizations]
        assert sorted(roles) == ["developer", "viewer"]


def test_a_deleted_organization_stops_all_its_keys_and_comes_back_as_it_was(team: Team) -> None:
    eve = team.join("viewer")
    email = give_password(team, team.admin.id)
    with Guest(team, eve.api_key) as other, team.client() as client:
        before = client.identity.get_organization()
        refused("CONFIRMATION_WRONG", lambda: client.identity.delete_organization(slug="else"))
        with Guest(team, eve.api_key) as viewer:
            reason, _ = viewer.call("DeleteOrganization", slug=before.slug)
            assert reason == "PERMISSION_MISSING"
        done = client.identity.delete_organization(slug=before.slug)
        assert done.purge_after is not None
        with pytest.raises(GoawayError) as caught:
            other.wire.receive()
        assert caught.value.status.reason == "KEY_REVOKED"
    assert [team.is_taken(key) for key in (team.admin.api_key, eve.api_key)] == [False, False]
    [entry] = team.journal("organization.delete", team.id)
    assert entry["details"]["before"]["slug"] == before.slug
    assert team.events("organization.deleted", team.id) == 1

    key = str(uuid.uuid4())
    reason, answer = undelete(team, before.slug, email.upper(), key=key)
    assert reason == ""
    assert (answer.organization.slug, answer.organization.HasField("deleted_at")) == (
        before.slug, False,
    )  # fmt: skip
    assert undelete(team, before.slug, email.upper(), key=key) == (reason, answer)
    assert undelete(team, before.slug, email)[0] == "SLUG_TAKEN"
    with team.client(eve) as client:
        after = client.identity.get_organization()
        assert (after.name, after.etag) == (before.name, answer.organization.etag)
    [entry] = team.journal("organization.undelete", team.id)
    assert entry["actor"] == team.admin.id


def test_only_an_administrator_with_the_password_brings_it_back(team: Team) -> None:
    eve = team.join("developer")
    mail = give_password(team, team.admin.id)
    emails = {"admin": mail, "developer": give_password(team, eve.id), "nobody": address()}
    slug = team.value("select slug from organizations where id = %(org)s")
    with team.client() as client:
        client.identity.delete_organization(slug=slug)
    tries = [
        (slug, emails["admin"], "wrong"), (slug, emails["developer"], PHRASE),
        (slug, emails["nobody"], PHRASE), (new_slug(), emails["admin"], PHRASE),
    ]  # fmt: skip
    texts = set()
    with Guest(team) as guest:
        for other, email, password in tries:
            reason, _ = guest.call(
                "UndeleteOrganization", slug=other, email=email, password=password
            )
            texts.add(reason)
        assert texts == {"CREDENTIALS_INVALID"}
        team.sql.execute("update users set password_hash = null where id = %s", [team.admin.id])
        fields = {"slug": slug, "email": emails["admin"], "password": PHRASE}
        assert guest.call("UndeleteOrganization", **fields)[0] == "CREDENTIALS_INVALID"
        bad = guest.call("UndeleteOrganization", slug="", email="nobody", password="")
        assert bad[0] == "FIELD_INVALID"
    assert not team.is_taken(team.admin.api_key)


def test_after_thirty_days_or_with_its_slug_taken_it_stays_deleted(team: Team) -> None:
    email = give_password(team, team.admin.id)
    slug = team.value("select slug from organizations where id = %(org)s")
    with team.client() as client:
        client.identity.delete_organization(slug=slug)
    left = team.value(
        "select purge_after - deleted_at = interval '30 days' from organizations where id = %(org)s"
    )
    assert left
    other = Team(team.sql, team.server, "other")
    team.sql.execute("update organizations set slug = %s where id = %s", [slug, other.id])
    assert undelete(team, slug, email)[0] == "SLUG_TAKEN"
    team.sql.execute(
        "update organizations set purge_after = now() - interval '1 second' where id = %s",
        [team.id],
    )
    assert undelete(team, slug, email)[0] == "RECOVERY_OVER"


def test_settings_open_organizations_to_everybody_and_bound_them(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server(
        "--set", "organization-creation=everybody", "--set", "organization-plan=professional"
    )
    server.start()
    with server.sql() as sql:
        team = Team(sql, server.connection)
        eve = team.join("viewer")
        with team.client(eve) as client:
            made = client.identity.create_organization(name="Eve's", slug="eves")
            assert made.organization is not None
            assert (made.organization.plan, made.organization.max_users) == ("professional", 25)
        narrow = team.key(eve.id, ("run.*",))
        with team.client(key=narrow) as client:
            refused(
                "PERMISSION_MISSING",
                lambda: client.identity.create_organization(name="x", slug="x"),
            )
    assert server.stop() == 0


def test_the_command_line_makes_lists_deletes_and_brings_back(
    founder: Team, served: UpServer, tmp_path: Any
) -> None:
    found = served.connection
    place = [
        "--url", f"needletail://{found['address']}:{found['port']}", "--ca-file", found["ca_file"],
    ]  # fmt: skip

    def own(key: str) -> list[str]:
        file = tmp_path / secrets.token_hex(4)
        file.write_text(key)
        return [*place, "--api-key-file", str(file)]

    slug = new_slug()
    made = run_program(
        "orgs", "create", "Acme", "--slug", slug, "-o", "json", *own(founder.admin.api_key)
    )
    assert made.returncode == 0, made.stderr
    secret = json.loads(made.stdout)["secret"]
    assert slug in run_program("orgs", "list", *own(secret)).stdout
    email = give_password(founder, founder.admin.id)
    assert run_program("orgs", "delete", slug, *own(secret)).returncode == 2
    assert run_program("orgs", "delete", "else", "--yes", *own(secret)).returncode == 5
    deleted = run_program("orgs", "delete", slug, "--yes", *own(secret))
    assert deleted.returncode == 0, deleted.stderr
    wait_until("its key is refused", lambda: not founder.is_taken(secret))
    back = ["orgs", "undelete", slug, "--email", email, *place]
    assert run_program(*back, text="wrong\n").returncode == 3
    done = run_program(*back, text=f"{PHRASE}\n")
    assert done.returncode == 0, done.stderr
    assert slug in done.stdout
    assert founder.is_taken(secret)


def test_an_answer_of_a_deletion_comes_before_the_end(team: Team) -> None:
    slug = team.value("select slug from organizations where id = %(org)s")
    with Guest(team, team.admin.api_key) as guest:
        reason, answer = guest.call("DeleteOrganization", slug=slug)
        assert (reason, answer.HasField("purge_after")) == ("", True)
        with pytest.raises(GoawayError):
            guest.wire.receive()


def test_anonymous_connections_reach_nothing_else(team: Team) -> None:
    with Guest(team) as guest:
        for method in ("ListOrganizations", "CreateOrganization", "InviteMember"):
            assert guest.call(method)[0] == "API_KEY_NEEDED"
    with pytest.raises(needletail.CallError):
        team.client(key="ntl_nobody").identity.who_am_i()
