"""Settings, errors and values: no network."""

from __future__ import annotations

import datetime
import json
import pickle
from typing import TYPE_CHECKING

import pytest

import needletail
from needletail import settings as settings_module
from needletail._generated import tracking as generated
from needletail._generated.descriptors import message_class
from needletail._values import decode_time, encode_time

if TYPE_CHECKING:
    from pathlib import Path

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
    "url", ["https://host", "needletail://", "needletail://h/path", "needletail://h:x", "h:99999"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(needletail.SettingsError):
        settings_module.parse_url(url)


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


def test_a_profile_that_is_asked_for_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config" / "needletail"
    folder.mkdir(parents=True)
    stored = {"default": FILE, "other": FILE | {"address": "::1", "api_key": "other"}}
    (folder / "profiles.json").write_text(json.dumps(stored))
    monkeypatch.setenv("NEEDLETAIL_API_KEY", "env")
    assert settings_module.resolve().api_key == "env"
    found = settings_module.resolve(profile="other")
    assert (found.api_key, found.address) == ("other", "[::1]:9000")
    with pytest.raises(needletail.SettingsError, match="there are: default, other"):
        settings_module.resolve(profile="third")


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
