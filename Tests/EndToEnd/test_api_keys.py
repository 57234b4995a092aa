"""A key that is over ends its connections on every server; the command line looks after keys."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import needletail
import pytest
from organizations import create_organization
from people import PASSWORD, email
from program import run_program
from team import Team
from waiting import wait_until
from wire import GoawayError, Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from needletail.identity import CreateApiKeyResponse
    from program import Connection, UpServer

ABSENT = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"
OK, OTHER, USAGE, PERMISSION, MISSING, CONFLICT = range(6)


def made(client: needletail.Client, **fields: Any) -> tuple[str, str]:
    """Make a key that may do everything; return its id and its secret."""
    answer: CreateApiKeyResponse = client.identity.create_api_key(
        **{"name": "test", "scopes": ["*"], **fields}
    )
    assert answer.api_key is not None
    return answer.api_key.id, answer.secret


def ended_by(wire: Wire) -> str:
    """Wait for the Goaway that ends a connection; return its reason."""
    with pytest.raises(GoawayError) as caught:
        wire.receive()
    return str(caught.value.status.reason)


def failure(call: Callable[[], object]) -> str | None:
    """Make a call; return the reason that it fails with."""
    try:
        call()
    except needletail.CallError as error:
        return error.reason
    return None


def opened(server: UpServer, secret: str) -> Wire:
    return Wire.opened({**server.connection, "api_key": secret})


def test_what_ends_a_key_on_one_server_ends_its_connections_on_another(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    one = own_server(postgres=scratch_url, folder="one")
    one.start()
    other = own_server(postgres=scratch_url, folder="other")
    other.start()
    with one.client() as admin:
        for end in (
            lambda identifier: admin.identity.revoke_api_key(id=identifier),
            lambda identifier: admin.identity.rotate_api_key(id=identifier, overlap_seconds=0),
            lambda identifier: admin.identity.rotate_api_key(id=identifier, overlap_seconds=1),
            lambda identifier: admin.identity.update_api_key(
                id=identifier, allowed_cidrs=needletail.identity.AddressRanges(values=["::1"])
            ),
        ):
            identifier, secret = made(admin)
            with opened(one, secret) as here, opened(other, secret) as there:
                end(identifier)
                assert [ended_by(wire) for wire in (here, there)] == ["KEY_REVOKED"] * 2
            with Wire({**other.connection, "api_key": secret}) as late:
                late.hello()
                assert ended_by(late) == "INVALID_API_KEY"
        assert admin.identity.who_am_i().role == "admin"


def test_scopes_that_changed_on_one_server_count_on_another(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    one = own_server(postgres=scratch_url, folder="one")
    one.start()
    other = own_server(postgres=scratch_url, folder="other")
    other.start()
    with one.client() as admin:
        identifier, secret = made(admin)
        found = other.connection
        with needletail.connect(
            f"needletail://{found['address']}:{found['port']}", api_key=secret,
            ca_file=found["ca_file"],
        ) as client:  # fmt: skip
            assert client.tracking.list_experiments().experiments == ()
            scopes = needletail.identity.Scopes(values=["run.get"])
            admin.identity.update_api_key(id=identifier, scopes=scopes)
            call = client.tracking.list_experiments
            assert wait_until("calls fail", lambda: failure(call)) == "PERMISSION_MISSING"
            admin.identity.revoke_api_key(id=identifier)
            who = client.identity.who_am_i
            # What a call hears depends on whether it was there before the connection ended.
            assert wait_until("calls fail", lambda: failure(who)) in {
                "KEY_REVOKED",
                "INVALID_API_KEY",
            }


def test_keys_of_another_organization_are_not_there(
    client: needletail.Client, served: UpServer, sql: Connection
) -> None:
    identifier, _ = made(client, name="canary")
    user = client.identity.who_am_i().user_id
    rival = create_organization(sql, "rival").connection(served.connection)
    with needletail.connect(
        f"needletail://{rival['address']}:{rival['port']}", api_key=rival["api_key"],
        ca_file=rival["ca_file"],
    ) as intruder:  # fmt: skip
        identity = intruder.identity
        for attempt, reason in (
            (lambda: identity.get_api_key(id=identifier), "API_KEY_NOT_FOUND"),
            (lambda: identity.update_api_key(id=identifier, name="x"), "API_KEY_NOT_FOUND"),
            (lambda: identity.revoke_api_key(id=identifier), "API_KEY_NOT_FOUND"),
            (lambda: identity.rotate_api_key(id=identifier), "API_KEY_NOT_FOUND"),
            (
                lambda: identity.create_api_key(name="x", scopes=["*"], user_id=user),
                "USER_NOT_FOUND",
            ),
        ):
            with pytest.raises(needletail.CallError) as caught:
                attempt()
            assert caught.value.reason == reason
            assert "canary" not in str(caught.value)
        listed = list(identity.iterate_api_keys(include_unusable=True))
        assert [key.name for key in listed] == ["test"]
        assert identity.list_api_keys(user_id=user).api_keys == ()
    assert client.identity.get_api_key(id=identifier).revoked_at is None


def test_the_sdk_gives_a_key_every_field(client: needletail.Client) -> None:
    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    identifier, secret = made(
        client, name="field", scopes=["run.*"], allowed_cidrs=["10.0.0.0/8"], expires_at=expires_at
    )
    key = client.identity.get_api_key(id=identifier)
    assert secret.startswith(key.prefix.rstrip("…"))
    assert (key.name, list(key.scopes)) == ("field", ["run.*"])
    assert list(key.allowed_cidrs) == ["10.0.0.0/8"]
    assert key.expires_at == expires_at
    assert secret not in repr(key)


def test_the_command_line_looks_after_keys(served: UpServer, place: Path) -> None:
    def keys(*arguments: str, code: int = OK, file: Path = served.connection_file) -> str:
        result = run_program("keys", *arguments, "--connection-file", file)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout or result.stderr

    answer = json.loads(
        keys("create", "laptop", "--scope", "run.*", "--scope", "api_key.*", "--from",
             "127.0.0.0/8", "--expires-in", "90d", "-o", "json")
    )  # fmt: skip
    identifier, secret = answer["apiKey"]["id"], answer["secret"]
    assert "expiresAt" in answer["apiKey"]
    table = keys("list")
    assert identifier in table
    assert secret not in table + keys("show", identifier)
    own = place / "own.json"
    own.write_text(json.dumps({**served.connection, "api_key": secret}))
    assert "SCOPE_TOO_WIDE" in keys("create", "x", "--scope", "*", file=own, code=PERMISSION)
    assert "desk" in keys("update", identifier, "--name", "desk", file=own)
    assert "active until" in keys("show", identifier, file=own)
    text = keys("rotate", identifier, "--overlap", "1h", "--yes", file=own)
    (again,) = [line.split()[1] for line in text.splitlines() if line.startswith("secret")]
    assert again.startswith("ntl_")
    assert again != secret
    assert "--yes" in keys("revoke", identifier, code=USAGE)
    assert "revoked" in keys("revoke", identifier, "--yes")
    assert "INVALID_API_KEY" in keys("list", file=own, code=PERMISSION)
    assert identifier not in keys("list")
    assert identifier in keys("list", "--all", "--limit", "1000")
    keys("revoke", identifier, "--yes", code=CONFLICT)
    keys("show", ABSENT, code=MISSING)


def test_a_key_that_somebody_else_made_opens_nobodys_account(
    served: UpServer, sql: Connection
) -> None:
    team = Team(sql, served.connection)
    eve = team.join("developer")
    with team.client() as admin, team.client(eve) as own:
        given = made(admin, user_id=eve.id)
        # What comes of it is no better, whoever seems to make it.
        with team.client(key=given[1]) as client:
            child = made(client)
            turned = client.identity.rotate_api_key(id=child[0], overlap_seconds=60)
        taken = admin.identity.rotate_api_key(id=made(own)[0], overlap_seconds=60)
        mine = made(own)[1]
    keys = [given[1], child[1], turned.secret, taken.secret]
    for key in keys:
        with team.client(key=key) as client:
            identity = client.identity
            assert identity.who_am_i().user_id == eve.id
            assert client.tracking.list_experiments().experiments == ()
            for attempt in (
                identity.get_user,
                identity.list_organizations,
                lambda identity=identity: identity.update_user(display_name="Mallory"),
                lambda identity=identity: identity.change_password(new_password=PASSWORD),
                lambda identity=identity: identity.delete_user(email=email(eve)),
                lambda identity=identity: identity.create_organization(name="x", slug="mallorys"),
            ):
                assert failure(attempt) == "KEY_NOT_OWN"
    with team.client(key=mine) as client:
        assert client.identity.get_user().user.display_name == "Eve"
        client.identity.change_password(new_password=PASSWORD)


def test_an_invitation_is_not_accepted_with_a_key_that_somebody_else_made(
    served: UpServer, sql: Connection
) -> None:
    here, there = Team(sql, served.connection), Team(sql, served.connection, "there")
    eve = here.join("developer")
    with here.client() as admin, there.client() as inviter:
        token = inviter.identity.invite_member(
            email=email(eve), role=needletail.identity.OrganizationRole.VIEWER
        ).token
        given = made(admin, user_id=eve.id)[1]
    with here.client(key=given) as client:
        assert failure(lambda: client.identity.accept_invitation(token=token)) == "KEY_NOT_OWN"
    with here.client(eve) as client:
        assert client.identity.accept_invitation(token=token).organization_id == there.id


def test_a_rotated_key_is_over_after_its_overlap(served: UpServer, sql: Connection) -> None:
    team = Team(sql, served.connection)
    with team.client() as admin:
        old, secret = made(admin)
        new = admin.identity.rotate_api_key(id=old, overlap_seconds=60)
        assert team.is_taken(secret)
        sql.execute("update api_keys set expires_at = now() where id = %s", [old])
        assert not team.is_taken(secret)
        assert team.is_taken(new.secret)
        for attempt in (
            lambda: admin.identity.rotate_api_key(id=old, overlap_seconds=60),
            lambda: admin.identity.update_api_key(id=old, name="x"),
        ):
            assert failure(attempt) == "API_KEY_REVOKED"
