"""The organization itself: what it shows, what can be changed, and what others learn of it."""

from __future__ import annotations

import json
import secrets
import threading
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from program import run_program
from team import IDENTITY, Team, identity
from test_members import refused, waiting_for_locks
from waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from program import Connection, UpServer


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def test_only_what_is_given_changes(team: Team) -> None:
    slug = f"acme-{secrets.token_hex(4)}"
    with team.client() as client:
        before = client.identity.get_organization()
        assert (before.id, before.name, before.settings_json) == (team.id, "team", "{}")
        assert (before.status.name, before.max_users, before.deleted_at) == ("ACTIVE", 0, None)
        after = client.identity.update_organization(etag=before.etag, slug=slug, name="Acme")
        assert (after.slug, after.name, after.billing_email) == (slug, "Acme", before.billing_email)
        assert client.identity.get_organization() == after
        assert client.identity.who_am_i().organization_slug == slug
        refused(
            "ETAG_MISMATCH",
            lambda: client.identity.update_organization(etag=before.etag, name="Other"),
        )
        changed = client.identity.update_organization(
            billing_email="ada@example.com", settings_json='{"theme": "dark"}'
        )
        assert json.loads(changed.settings_json) == {"theme": "dark"}
        assert client.identity.get_organization() == changed
    details = [entry["details"] for entry in team.journal("organization.update", team.id)]
    assert details[0] == {
        "before": {"slug": before.slug, "name": "team"},
        "after": {"slug": slug, "name": "Acme"},
    }
    assert details[1]["before"]["settings_json"] == "{}"
    assert details[1]["after"] == {
        "billing_email": "ada@example.com", "settings_json": '{"theme": "dark"}',
    }  # fmt: skip
    assert team.events("organization.updated", team.id) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "x" * 501), ("name", "a\tb"), ("slug", ""), ("slug", "Upper"),
        ("slug", "-a"), ("slug", "a-"), ("slug", "a" * 101), ("slug", "a_b"), ("slug", "ä"),
        ("billing_email", "a@"), ("billing_email", "nobody"), ("billing_email", "a" * 319 + "@b"),
        ("settings_json", "[]"), ("settings_json", "{"), ("settings_json", '{"a": "\\u0000"}'),
        ("settings_json", json.dumps({"a": "x" * (64 << 10)})),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_and_changes_nothing(team: Team, field: str, value: str) -> None:
    with team.client() as client:
        before = client.identity.get_organization()
        request: dict[str, str] = {field: value}
        with pytest.raises(needletail.CallError) as caught:
            client.identity.update_organization(**request)
        assert caught.value.reason == "FIELD_INVALID"
        assert {violation.field for violation in caught.value.field_violations} == {field}
        assert client.identity.get_organization() == before


def test_settings_of_64_kib_are_kept_and_their_digest_is_audited(team: Team) -> None:
    text = '{"a": "' + "x" * ((64 << 10) - 9) + '"}'
    assert len(text) == 64 << 10
    with team.client() as client:
        assert client.identity.update_organization(settings_json=text).settings_json == text
        assert client.identity.get_organization().settings_json == text
    [entry] = team.journal("organization.update", team.id)
    assert entry["details"]["after"]["settings_json"].startswith("65536 bytes, SHA-256 ")


def test_a_slug_is_taken_once_and_nothing_else_is_told(team: Team) -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    rival = Team(team.sql, team.server, canary)
    slug = rival.value("select slug from organizations where id = %(org)s")
    with team.wire() as wire:
        request = identity("UpdateOrganizationRequest", slug=slug)
        end = wire.call(f"{IDENTITY}/UpdateOrganization", request)
    assert (end.status.code, end.status.reason) == (6, "SLUG_TAKEN")
    assert canary.encode() not in end.SerializeToString()
    assert rival.id.encode() not in end.SerializeToString()
    # The slug of an organization that is gone is free.
    team.sql.execute(
        "update organizations set deleted_at = now() where id = %s", [rival.organization.id]
    )
    with team.client() as client:
        assert client.identity.update_organization(slug=slug).slug == slug


def test_two_at_once_cannot_have_one_slug(team: Team) -> None:
    slug = f"wanted-{secrets.token_hex(4)}"
    teams = [team, Team(team.sql, team.server)]
    answers: list[Any] = []

    def work(one: Team) -> None:
        with one.wire() as wire:
            request = identity("UpdateOrganizationRequest", slug=slug)
            answers.append(wire.call(f"{IDENTITY}/UpdateOrganization", request))

    threads = [threading.Thread(target=work, args=[one]) for one in teams]
    before = waiting_for_locks(team.sql)
    with team.sql.transaction():
        for one in teams:
            team.sql.execute(
                "select from organizations where id = %s for update", [one.organization.id]
            )
        for thread in threads:
            thread.start()
        wait_until("both calls wait", lambda: waiting_for_locks(team.sql) >= before + 2)
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status.reason for answer in answers) == ["", "SLUG_TAKEN"]


def test_the_command_line_runs_an_organization(team: Team, place: Path) -> None:
    file = place / "connection.json"
    file.write_text(json.dumps(team.organization.connection(team.server)))

    def run(*arguments: str, code: int = 0) -> str:
        result = run_program(*arguments, "--connection-file", file)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout + result.stderr

    eve = team.join("viewer").id
    assert "no bound" in run("orgs", "show")
    (place / "settings.json").write_text('{"theme": "dark"}')
    settings = f"@{place / 'settings.json'}"
    updated = json.loads(run("orgs", "update", "--settings", settings, "--name", "A", "-o", "json"))
    assert (updated["name"], updated["settingsJson"]) == ("A", '{"theme": "dark"}')
    assert "SLUG_TAKEN" in run("orgs", "update", "--slug", "default", code=5)

    assert eve in run("members", "list")
    assert "developer" in run("members", "set-role", eve, "developer")
    assert "inactive" in run("members", "deactivate", eve, "--yes")
    assert json.loads(run("members", "reactivate", eve, "-o", "json"))["isActive"]
    assert "--yes" in run("members", "remove", eve, code=2)
    assert eve in run("members", "show", eve)
    assert "LAST_ADMIN" in run("members", "remove", team.admin.id, "--yes", code=5)
    run("members", "remove", eve, "--yes")
    assert "USER_NOT_FOUND" in run("members", "show", eve, code=4)

    made = json.loads(
        run("service-accounts", "create", "nightly", "--role", "viewer", "-o", "json")
    )["id"]
    assert made in run("service-accounts", "list")
    assert "daily" in run("service-accounts", "update", made, "--name", "daily", "--no-active")
    assert "inactive" in run("service-accounts", "show", made)
    assert "--yes" in run("service-accounts", "delete", made, code=2)
    run("service-accounts", "delete", made, "--yes")
    assert "SERVICE_ACCOUNT_NOT_FOUND" in run("service-accounts", "show", made, code=4)
