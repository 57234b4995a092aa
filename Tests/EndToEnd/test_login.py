"""Profiles of several servers: logging in and out, and what is stored."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from organizations import create_organization, uuid7
from people import PASSWORD, email, with_password
from program import BINARY, UpServer, clean_environment
from team import Team
from waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from program import Connection
    from team import Person

OK, OTHER, USAGE, PERMISSION, MISSING, CONFLICT, UNAVAILABLE, INVALID = range(8)


class Home:
    """A person's home folder, and the program as they run it."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder, which is made; nothing is stored in it yet."""
        folder.mkdir()
        self.folder = folder
        self.config = folder / ".config" / "needletail" / "config.json"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a shell in this home."""
        kept = clean_environment(**more)
        kept.pop("XDG_CONFIG_HOME", None)
        return {**kept, "HOME": str(self.folder)}

    def __call__(self, *arguments: str, text: str = "", code: int = OK, **more: str) -> str:
        """Run a command that must end with a code; return what it printed."""
        result = subprocess.run(
            [BINARY, *arguments], input=text, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False, env=self.environment(**more), cwd="/",
        )  # fmt: skip
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout if code == OK else result.stderr

    @property
    def stored(self) -> dict[str, Any]:
        """What the file of profiles holds."""
        return json.loads(self.config.read_text())


@pytest.fixture
def home(place: Path) -> Home:
    return Home(place / "home")


def address(served: UpServer) -> str:
    found = served.connection
    return f"needletail://{found['address']}:{found['port']}"


def log_in(
    home: Home, served: UpServer, *more: str, text: str | None = None, code: int = OK
) -> str:
    found = served.connection
    return home(
        "login", "--url", address(served), "--ca-file", found["ca_file"], *more,
        text=found["api_key"] if text is None else text, code=code,
    )  # fmt: skip


def test_a_key_from_standard_input_is_checked_and_stored(home: Home, served: UpServer) -> None:
    key = served.connection["api_key"]
    text = log_in(home, served, text=f"  {key}\r\n\n")
    assert "default, the current one now" in text
    assert key not in text
    profile = home.stored["profiles"]["default"]
    assert home.stored["current"] == "default"
    assert profile["api_key"] == key
    assert profile["organization_id"] == served.connection["organization_id"]
    assert profile["project_id"] == served.connection["project_id"]
    assert "BEGIN CERTIFICATE" in profile["ca_pem"]
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.config.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in home.config.parent.iterdir()] == ["config.json"]

    told = home("whoami")
    assert f"{home.config}, profile default" in told
    assert key not in told
    source = json.loads(home("whoami", "--json", "source"))["source"]
    assert source["profile"] == "default"
    assert source["apiKeyFrom"] == f"{home.config}, profile default"
    source = json.loads(home("whoami", "--json", NEEDLETAIL_API_KEY=f" {key}\n"))["source"]
    assert source["apiKeyFrom"] == "NEEDLETAIL_API_KEY"


def test_the_sdk_uses_what_login_stored(
    home: Home, served: UpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(home, served, "--profile", "prod")
    for name in [name for name in os.environ if name.startswith("NEEDLETAIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NEEDLETAIL_CONFIG", str(home.config))
    for profile in (None, "prod"):
        with needletail.connect(profile=profile) as client:
            who = client.identity.who_am_i()
        assert who.organization_id == served.connection["organization_id"]


def test_a_key_that_the_server_refuses_is_not_stored(home: Home, served: UpServer) -> None:
    text = log_in(home, served, text="ntl_" + "A" * 43, code=PERMISSION)
    assert "UNAUTHENTICATED" in text
    assert not home.config.exists()
    assert "No key was given" in log_in(home, served, text=" \n", code=USAGE)
    assert "several" in log_in(home, served, text="two words", code=USAGE)
    assert "--url" in home("login", text="key", code=USAGE)
    assert not home.config.exists()


def test_a_connection_file_becomes_a_profile(home: Home, served: UpServer) -> None:
    home("login", "--connection-file", str(served.connection_file), "--profile", "here")
    assert home.stored["profiles"]["here"]["api_key"] == served.connection["api_key"]
    assert json.loads(home("whoami", "--json", "organization_id")) == {
        "organizationId": served.connection["organization_id"]
    }


def test_a_key_typed_at_a_terminal_is_not_shown(home: Home, served: UpServer) -> None:
    found = served.connection
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [BINARY, "login", "--url", address(served), "--ca-file", found["ca_file"]],
        stdin=its_end, stdout=subprocess.PIPE, stderr=its_end, text=True, cwd="/",
        env=home.environment(),
    ) as login:  # fmt: skip
        seen = b""
        while b"API key for" not in seen or not seen.endswith(b": "):
            seen += os.read(terminal, 4_096)
        os.write(terminal, f"wrong\x15{found['api_key']}x\x7f\n".encode())
        assert login.stdout is not None
        printed = login.stdout.read()
        assert login.wait(PATIENCE_SECONDS) == OK
    os.set_blocking(terminal, False)
    while True:
        try:
            part = os.read(terminal, 4_096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(its_end)
    os.close(terminal)
    assert found["api_key"].encode() not in seen
    assert found["api_key"] not in printed
    assert home.stored["profiles"]["default"]["api_key"] == found["api_key"]


def test_profiles_are_listed_chosen_shown_and_deleted(home: Home, served: UpServer) -> None:
    key = served.connection["api_key"]
    assert json.loads(home("profiles", "list", "--json")) == []
    log_in(home, served, "--profile", "one")
    log_in(home, served, "--profile", "two")
    assert json.loads(home("profiles", "list", "--json", "name,current")) == [
        {"name": "one", "current": False},
        {"name": "two", "current": True},
    ]
    table = home("profiles", "list")
    assert key not in table
    assert key[:8] in table
    home("profiles", "use", "one")
    assert home.stored["current"] == "one"
    shown = home("profiles", "show")
    assert "one, the current one" in shown
    assert key not in shown + home("profiles", "show", "two", "--json")
    assert "one, two" in home("profiles", "use", "three", code=MISSING)
    assert json.loads(home("whoami", "--profile", "two", "--json"))["source"]["profile"] == "two"
    named = json.loads(home("whoami", "--json", NEEDLETAIL_PROFILE="two"))
    assert named["source"]["profile"] == "two"

    assert "--yes" in home("profiles", "delete", "one", code=USAGE)
    home("profiles", "delete", "one", "--yes")
    assert list(home.stored["profiles"]) == ["two"]
    assert home.stored.get("current") is None
    assert "No server is known" in home("whoami", code=USAGE)


def test_logging_out_forgets_the_key_and_keeps_the_server(home: Home, served: UpServer) -> None:
    log_in(home, served)
    assert "logged out of default" in home("logout")
    assert "api_key" not in home.stored["profiles"]["default"]
    assert "had no key" in home("logout")
    assert "No API key is known" in home("whoami", code=USAGE)
    home("login", text=served.connection["api_key"])
    home("whoami")
    assert "x" in home("logout", "--profile", "x", code=MISSING)


def test_a_file_that_others_may_read_is_refused(home: Home, served: UpServer) -> None:
    log_in(home, served)
    before = home.config.read_bytes()
    home.config.chmod(0o640)
    for command in (("whoami",), ("profiles", "list"), ("logout",)):
        assert "chmod 600" in home(*command, code=USAGE)
    assert "chmod 600" in log_in(home, served, code=USAGE)
    assert home.config.read_bytes() == before


def test_a_link_of_ones_own_stays_and_another_users_is_refused(
    home: Home, served: UpServer
) -> None:
    log_in(home, served)
    real = home.folder / "real.json"
    home.config.rename(real)
    home.config.symlink_to(real)
    log_in(home, served, "--profile", "more")
    assert home.config.is_symlink()
    assert sorted(json.loads(real.read_text())["profiles"]) == ["default", "more"]
    if os.geteuid() == 0:
        os.lchown(home.config, 4_321, 4_321)
        assert "symbolic link of another user" in home("whoami", code=USAGE)
        assert "symbolic link of another user" in log_in(home, served, code=USAGE)


def test_unknown_fields_are_refused_before_anything_is_done(home: Home, served: UpServer) -> None:
    log_in(home, served)
    text = home("projects", "create", "Never made", "--json", "id,sluug", code=USAGE)
    assert "sluug" in text
    assert "visibility" in text
    assert "Never made" not in home("projects", "list")
    made = json.loads(home("projects", "create", "Made", "--json", "slug,id"))
    assert list(made) == ["slug", "id"]
    listed = json.loads(home("projects", "list", "--json=slug"))
    assert {"slug": made["slug"]} in listed
    deleted = json.loads(home("projects", "delete", made["id"], "--yes", "--json", "deleted_at"))
    assert deleted["deletedAt"]


@pytest.fixture
def team(served: UpServer, sql: Connection) -> Team:
    return Team(sql, served.connection)


def slug_of(team: Team) -> str:
    return str(team.value("select slug from organizations where id = %(org)s"))


def with_email(
    home: Home, served: UpServer, person: Person, *more: str, text: str = f"{PASSWORD}\n",
    code: int = OK,
) -> str:  # fmt: skip
    return log_in(home, served, "--email", email(person).upper(), *more, text=text, code=code)


def test_a_password_gets_a_key_that_is_stored_and_expires(
    home: Home, served: UpServer, team: Team
) -> None:
    eve = with_password(team)
    text = with_email(home, served, eve, "--expires-in", "1h", "--profile", "eve")
    assert email(eve) in text
    assert slug_of(team) in text
    (line,) = [line for line in text.splitlines() if line.startswith("expires")]
    profile = home.stored["profiles"]["eve"]
    secret = profile["api_key"]
    assert profile["organization_id"] == team.id
    assert secret not in text
    assert PASSWORD not in text + home.config.read_text()
    assert stat.S_IMODE(home.config.stat().st_mode) == 0o600
    assert home.stored["current"] == "eve"

    (key,) = json.loads(home("keys", "list", "--json"))["apiKeys"][:1]
    assert key["isFromLogin"] is True
    assert key["expiresAt"][:16].replace("T", " ") in line
    assert "from a login" in home("keys", "show", key["id"])
    assert (
        team.value(
            "select expires_at - created_at = interval '1 hour' from api_keys where id = %(key)s",
            key=key["id"],
        )
        is True
    )
    made = json.loads(home("keys", "create", "mine", "--scope", "*", "-o", "json"))["apiKey"]
    assert made["isFromLogin"] is False

    told = json.loads(with_email(home, served, eve, "-o", "json"))
    assert told["whoami"]["userId"] == eve.id
    assert told["current"] is True


def test_who_belongs_to_several_organizations_says_which(
    home: Home, served: UpServer, team: Team
) -> None:
    eve = with_password(team)
    elsewhere = create_organization(team.sql, "elsewhere")
    with team.sql.transaction():
        team.sql.execute("set local role needletail_maintenance")
        team.sql.execute(
            "insert into organization_memberships (organization_id, id, user_id, role)"
            " values (%s, %s, %s, 'viewer')",
            [elsewhere.id, uuid7(), eve.id],
        )
    text = with_email(home, served, eve, code=CONFLICT)
    assert "ORGANIZATION_NEEDED" in text
    assert slug_of(team) in text
    assert not home.config.exists()
    assert "CREDENTIALS_INVALID" in with_email(
        home, served, eve, "--organization", "nowhere", code=PERMISSION
    )
    for organization, slug in ((team.id, slug_of(team)), (str(elsewhere.id), None)):
        name = slug or str(
            team.value("select slug from organizations where id = %(id)s", id=elsewhere.id)
        )
        with_email(home, served, eve, "--organization", name, "--profile", "one")
        assert home.stored["profiles"]["one"]["organization_id"] == organization


def test_a_wrong_password_stores_nothing_and_is_not_repeated(
    home: Home, served: UpServer, team: Team
) -> None:
    eve = with_password(team)
    text = with_email(home, served, eve, text="wrong password\n", code=PERMISSION)
    assert "CREDENTIALS_INVALID" in text
    assert "wrong password" not in text
    assert "INPUT_MISSING" in with_email(home, served, eve, text="\n", code=USAGE)
    assert "--email" in log_in(home, served, "--organization", "x", code=USAGE)
    assert "one of them" in with_email(
        home, served, eve, "--api-key-file", "/nonexistent", code=USAGE
    )
    assert not home.config.exists()


def test_a_failed_login_leaves_the_profile_as_it_was(
    home: Home, served: UpServer, team: Team
) -> None:
    eve = with_password(team)
    with_email(home, served, eve)
    before = home.config.read_bytes()
    with_email(home, served, eve, text="wrong password\n", code=PERMISSION)
    assert home.config.read_bytes() == before
    assert eve.id in home("whoami")
