"""A server that cannot start says why, names the thing, and ends with an error."""

from __future__ import annotations

import datetime as dt
import json
import os
import pwd
import socket
from typing import TYPE_CHECKING

import pytest
from authority import Authority, Pair
from program import UpServer, connect_sql, migrate, run_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOWHERE = "postgresql://nobody@/nothing?host=/nonexistent"


@pytest.fixture
def authority(place: Path) -> Authority:
    return Authority(place)


def refused(*arguments: str | Path) -> str:
    """Run what must not start; return what it says."""
    result = run_program(*arguments)
    said = result.stderr.strip()
    assert result.returncode not in {0, -6, -11}, said
    assert "Fatal error" not in said
    assert said, "it must say why"
    return said


def serve(pair: Pair, *more: str | Path, port: int = 0) -> str:
    """Try to serve; return why not."""
    return refused(
        "serve", "--postgres", NOWHERE, "--port", str(port), "--certificate", pair.certificate,
        "--key", pair.key, *more,
    )  # fmt: skip


def test_a_port_in_use(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = serve(authority.pair("server"), port=port)
    assert f"port {port}" in said
    assert "in use" in said


def test_an_operations_port_in_use(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = serve(authority.pair("server"), "--operations-port", str(port))
    assert f"operations port {port}" in said
    assert "in use" in said
    assert "--operations-port" in said


def test_an_address_that_is_not_here(authority: Authority) -> None:
    assert "203.0.113.7" in serve(authority.pair("server"), "--listen", "203.0.113.7")


@pytest.mark.parametrize("which", ["certificate", "key"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense\n", bytes(range(256))])
def test_an_unreadable_file(authority: Authority, which: str, content: bytes | None) -> None:
    pair = authority.pair("server")
    file: Path = getattr(pair, which)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert str(file) in serve(pair)


def test_a_key_of_another_certificate(authority: Authority) -> None:
    pair = Pair(authority.pair("server").certificate, authority.pair("other").key)
    said = serve(pair)
    assert str(pair.certificate) in said
    assert str(pair.key) in said


def test_a_certificate_that_has_expired(authority: Authority) -> None:
    hour = dt.timedelta(hours=1)
    pair = authority.pair("server", begin=-48 * hour, end=-hour)
    said = serve(pair)
    assert str(pair.certificate) in said
    assert "expired" in said


def test_a_client_authority_that_is_missing(authority: Authority, place: Path) -> None:
    assert "nowhere.crt" in serve(authority.pair("server"), "--client-ca", place / "nowhere.crt")


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("no-such-setting=1", "no-such-setting"),
        ("pool-size", "pool-size"),
        ("pool-size=many", "pool-size"),
        ("pool-size=0", "pool-size"),
        ("call-timeout-max=10", "call-timeout-max"),
        ("log-level=loud", "log-level"),
    ],
)
def test_a_wrong_setting(place: Path, assignment: str, named: str) -> None:
    for command in (
        ("serve", "--postgres", NOWHERE, "--certificate", "c", "--key", "k"),
        ("up", "--data-dir", place / "data"),
    ):
        result = run_program(*command, "--set", assignment)
        assert result.returncode == 2
        assert named in result.stderr
    # It is told before anything is made.
    assert not (place / "data").exists()


def test_a_wrong_option() -> None:
    result = run_program("serve", "--certificate", "c", "--key", "k", "--no-such-option")
    assert result.returncode == 2
    assert "--no-such-option" in result.stderr


def test_no_database(authority: Authority) -> None:
    pair = authority.pair("server")
    result = run_program("serve", "--certificate", pair.certificate, "--key", pair.key)
    assert result.returncode == 2
    assert "DATABASE_URL" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@[",
        "postgresql://ada:hunter2@host:port/db%zz",
        "postgresql://ada:hunter2%zz@host/db",
        "postgresql://host/db?password=hunter2&x",
        "host=/tmp password=a hunter2",
    ],
)
def test_a_database_url_that_makes_no_sense(authority: Authority, url: str) -> None:
    pair = authority.pair("server")
    said = refused(
        "serve", "--postgres", url, "--port", "0", "--certificate", pair.certificate,
        "--key", pair.key,
    )  # fmt: skip
    assert "database's URL" in said
    assert "hunter2" not in said


def test_a_data_folder_of_another_postgresql(place: Path) -> None:
    cluster = place / "data" / "postgres"
    (cluster / "data").mkdir(parents=True)
    (cluster / "data" / "PG_VERSION").write_text("9\n")
    if os.geteuid() == 0:
        for path in (cluster, cluster / "data", cluster / "data" / "PG_VERSION"):
            os.chown(path, pwd.getpwnam("postgres").pw_uid, -1)
    said = refused("up", "--data-dir", place / "data", "--port", "0")
    assert str(cluster / "data") in said
    assert "PostgreSQL 9" in said
    assert (cluster / "data" / "PG_VERSION").read_text() == "9\n"


def test_a_data_folder_in_use(served: UpServer) -> None:
    said = refused("up", "--data-dir", served.data, "--port", "0")
    assert str(served.data) in said
    assert served.process is not None
    assert str(served.process.pid) in said
    with served.client() as client:
        assert client.identity.who_am_i().projects


def test_a_data_folder_in_use_by_a_server_with_another_database(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    server = own_server(postgres=scratch_url)
    server.start()
    assert server.process is not None
    # Whichever database the second one asks for.
    for more in ((), ("--postgres", scratch_url), ("--postgres", NOWHERE)):
        said = refused("up", "--data-dir", server.data, "--port", "0", *more)
        assert f"{server.data};" in said
        assert f"process {server.process.pid}" in said
    # A server that was killed holds it no more.
    server.kill()
    server.start()


def test_a_data_folder_that_is_a_file(place: Path) -> None:
    (place / "data").write_text("")
    assert str(place / "data") in refused("up", "--data-dir", place / "data", "--port", "0")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_a_data_folder_that_postgresql_cannot_reach(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)
    folder = place / "closed" / "data"
    said = refused("up", "--data-dir", folder, "--port", "0")
    assert str(folder) in said
    assert "cannot reach" in said


def test_a_connection_file_that_cannot_be_written(place: Path, scratch_url: str) -> None:
    file = place / "nowhere" / "connection.json"
    said = refused(
        "up", "--data-dir", place / "data", "--port", "0", "--postgres", scratch_url,
        "--connection-file", file,
    )  # fmt: skip
    assert str(file) in said


def test_up_with_a_database_that_is_away(place: Path) -> None:
    said = refused(
        "up", "--data-dir", place / "data", "--port", "0", "--postgres", NOWHERE,
        "--set", "database-start-patience=1200ms",
    )  # fmt: skip
    waiting, reason = said.splitlines()
    entry = json.loads(waiting)
    assert (entry["level"], entry["message"]) == ("warning", "waiting for the database")
    assert entry["patience"] == "1200ms"
    assert entry["error"].startswith("connection to server on socket")
    assert "/nonexistent" in entry["error"]
    assert "the database cannot be reached within 1200ms" in reason
    assert "/nonexistent" in reason


def pretend_newer(url: str) -> None:
    with connect_sql(url) as sql:
        newest = sql.execute("select max(version) as version from schema_migrations").fetchone()
        assert newest is not None
        sql.execute(
            "insert into schema_migrations (version, name, checksum, duration_ms)"
            " values (%s, 'from_the_future', 'x', 1)",
            [newest["version"] + 1],
        )


def test_up_refuses_a_database_of_a_newer_program(place: Path, scratch_url: str) -> None:
    migrate(scratch_url, "up")
    pretend_newer(scratch_url)
    said = refused("up", "--data-dir", place / "data", "--port", "0", "--postgres", scratch_url)
    assert "newer than this program" in said
    for arguments in (["up"], ["down", "--yes"]):
        result = run_program("migrate", *arguments, "--postgres", scratch_url)
        assert result.returncode != 0
        assert "newer than this program" in result.stderr


def test_a_server_goes_on_with_a_newer_schema(
    own_server: Callable[..., UpServer], scratch_url: str
) -> None:
    server = own_server(postgres=scratch_url)
    server.start()
    pretend_newer(scratch_url)
    with server.client() as client:
        assert client.identity.who_am_i().projects
    # So do those that start now: both versions work on either side of a migration.
    assert run_program("migrate", "verify", "--postgres", scratch_url).returncode == 0


@pytest.mark.parametrize("version", [0, 3])
def test_serve_refuses_an_older_schema(
    authority: Authority, scratch_url: str, version: int
) -> None:
    if version:
        migrate(scratch_url, "up", "--to", str(version))
    pair = authority.pair("server")
    said = refused(
        "serve", "--postgres", scratch_url, "--port", "0", "--certificate", pair.certificate,
        "--key", pair.key,
    )  # fmt: skip
    assert f"the schema is at version {version}" in said
    assert "needletail migrate up" in said
