"""Settings, errors and values: no network."""

from __future__ import annotations

import datetime
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import needletail
from needletail import settings as settings_module
from needletail._generated import tracking as generated
from needletail._generated.descriptors import message_class
from needletail._values import decode_time, encode_time

CASES = json.loads(
    (Path(__file__).parents[3] / "Conformance" / "settings.json").read_text(encoding="utf-8")
)

FILE = {
    "address": "10.0.0.1",
    "port": 9000,
    "ca_file": "/ca",
    "api_key": "file",
    "organization_id": "o",
    "project_id": "p",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("needletail://host", ("host", 7443)),
        ("needletail://host:1/", ("host", 1)),
        ("host:80", ("host", 80)),
        ("needletail://[::1]:7443", ("::1", 7443)),
        ("10.0.0.1", ("10.0.0.1", 7443)),
    ],
)
def test_a_url_names_host_and_port(url: str, expected: tuple[str, int]) -> None:
    assert settings_module.parse_url(url) == expected


@pytest.mark.parametrize(
    "url", ["https://host", "needletail://", "needletail://h/path", "needletail://h:x"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(needletail.SettingsError):
        settings_module.parse_url(url)


@pytest.mark.parametrize("url", ["needletail://ntl_secret@host", "ntl_secret:@host:7443", "@host"])
def test_a_key_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(needletail.SettingsError, match="NEEDLETAIL_API_KEY") as caught:
        settings_module.parse_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_a_port_that_cannot_be_is_refused(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (f"host:{port}", f"needletail://[::1]:{port}/"):
        with pytest.raises(needletail.SettingsError, match=r"not a server address: .*65535"):
            settings_module.parse_url(url)
    file = tmp_path / "connection.json"
    file.write_text(json.dumps({**FILE, "port": port}))
    monkeypatch.setenv("NEEDLETAIL_CONNECTION_FILE", str(file))
    with pytest.raises(needletail.SettingsError, match=r"not a server address: .*65535"):
        settings_module.resolve()


def test_argument_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(needletail.SettingsError, match="no server"):
        settings_module.resolve()
    path = tmp_path / "connection.json"
    path.write_text(json.dumps(FILE))
    monkeypatch.setenv("NEEDLETAIL_CONNECTION_FILE", str(path))
    found = settings_module.resolve()
    assert (found.host, found.port, found.api_key, found.ca_file) == (
        "10.0.0.1",
        9000,
        "file",
        "/ca",
    )
    assert (found.organization_id, found.project_id) == ("o", "p")
    assert "api_key" not in repr(found)
    monkeypatch.setenv("NEEDLETAIL_URL", "needletail://env:1")
    monkeypatch.setenv("NEEDLETAIL_API_KEY", "env")
    found = settings_module.resolve(api_key="argument")
    assert (found.address, found.api_key, found.ca_file) == ("env:1", "argument", "/ca")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_settings_are_found_where_every_client_finds_them(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(text: str) -> str:
        return text.replace("{folder}", str(tmp_path))

    for name, content in case.get("files", {}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(int(case.get("modes", {}).get(name, "600"), 8))
    for name, value in case.get("variables", {}).items():
        monkeypatch.setenv(name, here(value))
    arguments: dict[str, Any] = {
        name: here(value) for name, value in case.get("arguments", {}).items()
    }
    if "error" in case:
        with pytest.raises(needletail.SettingsError, match=case["error"]):
            settings_module.resolve(**arguments)
        return
    found = settings_module.resolve(**arguments)
    expected = {"organization_id": "", "project_id": "", "ca": None} | case["expect"]
    trusted = Path(found.ca_file).read_text() if found.ca_file else found.ca_pem
    assert expected == {
        "address": found.address,
        "api_key": found.api_key,
        "organization_id": found.organization_id,
        "project_id": found.project_id,
        "ca": trusted,
    }


def test_a_link_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "real.json").chmod(0o600)
    link = tmp_path / "config.json"
    link.symlink_to(tmp_path / "real.json")
    monkeypatch.setenv("NEEDLETAIL_CONFIG", str(link))
    with pytest.raises(needletail.SettingsError, match="no server"):
        settings_module.resolve()
    if os.geteuid() == 0:
        os.lchown(link, 4_321, 4_321)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4_321)
    with pytest.raises(needletail.SettingsError, match="symbolic link of another user"):
        settings_module.resolve()


@pytest.mark.parametrize("content", ["", "[]", '{"address": 1}', '{"address": "a", "port": "x"}'])
def test_a_bad_connection_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    path = tmp_path / "connection.json"
    path.write_text(content)
    monkeypatch.setenv("NEEDLETAIL_CONNECTION_FILE", str(path))
    with pytest.raises(needletail.SettingsError, match=r"connection\.json"):
        settings_module.resolve()


def test_a_missing_certificate_file_is_a_settings_error() -> None:
    with pytest.raises(needletail.SettingsError, match="/nowhere"):
        needletail.connect("needletail://h", api_key="k", ca_file="/nowhere")


def test_errors_survive_pickling() -> None:
    error = needletail.NotFoundError(
        code=needletail.Code.NOT_FOUND,
        reason="RUN_NOT_FOUND",
        message="no run",
        field_violations=(needletail.FieldViolation("id", "unknown"),),
        details={"a": "b"},
        retry_after=1.0,
        request_id="r",
    )
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is needletail.NotFoundError
    assert vars(again) | {"details": dict(again.details)} == vars(error) | {
        "details": dict(error.details)
    }
    assert str(again) == "NOT_FOUND / RUN_NOT_FOUND: no run; id: unknown (request r)"
    assert error.reason == needletail.tracking.TrackingErrorReason.RUN_NOT_FOUND


def test_values_of_a_newer_server_are_kept() -> None:
    status = needletail.tracking.RunStatus(77)
    assert (status.name, int(status)) == ("UNRECOGNIZED_77", 77)
    run = message_class("needletail.tracking.v1.Run")(status=77, etag="e")
    decoded = generated.decode_Run(run)
    assert decoded.status == 77
    assert (decoded.completed_at, decoded.etag) == (None, "e")


@pytest.mark.parametrize(
    "moment",
    [
        datetime.datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=datetime.timezone.utc),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc),
        datetime.datetime(
            2026, 1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        ),
    ],
)
def test_times_keep_their_microseconds(moment: datetime.datetime) -> None:
    message = message_class("google.protobuf.Timestamp")()
    encode_time(moment, message)
    assert 0 <= message.nanos < 10**9
    assert decode_time(message) == moment


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        encode_time(datetime.datetime(2026, 1, 1), None)  # noqa: DTZ001


def test_results_are_frozen() -> None:
    run = needletail.tracking.Run(id="r")
    with pytest.raises(AttributeError):
        run.id = "other"  # type: ignore[misc]
    assert not hasattr(run, "__dict__")
