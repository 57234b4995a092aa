"""What is kept of single calls while the server is away."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from needletail._runs import owed
from needletail._runs.owed import OwedCalls
from needletail._runs.spool import Metadata, Spool, another_writer
from needletail.errors import (
    CONNECT_FAILED,
    CONNECTION_LOST,
    DEADLINE_EXCEEDED,
    TLS_FAILED,
    Code,
    call_error,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "reason", "request_id", "is_unanswered"),
    [
        (Code.UNAVAILABLE, CONNECT_FAILED, "", True),
        (Code.UNAVAILABLE, CONNECTION_LOST, "", True),
        (Code.DEADLINE_EXCEEDED, DEADLINE_EXCEEDED, "", True),
        (Code.UNAVAILABLE, TLS_FAILED, "", False),
        (Code.UNAVAILABLE, "DATABASE_AWAY", "a request", False),
        (Code.DEADLINE_EXCEEDED, DEADLINE_EXCEEDED, "a request", False),
        (Code.NOT_FOUND, "RUN_NOT_FOUND", "", False),
    ],
)
def test_only_what_no_server_answered_may_be_kept(
    code: Code, reason: str, request_id: str, *, is_unanswered: bool
) -> None:
    error = call_error(code, reason, "", request_id=request_id)
    assert error.is_unanswered is is_unanswered


def test_calls_are_kept_in_order_and_counted() -> None:
    metadata = Metadata(writer_id="w")
    saved: list[list[str]] = []
    calls = OwedCalls(metadata, lambda: saved.append([call["key"] for call in metadata.calls]))
    assert calls.add("first", b"1", 3)
    assert calls.add("second", b"2", 4)
    assert calls.points == 7
    assert saved == [["first"], ["first", "second"]]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "MAX_CALLS", 2)
    calls = OwedCalls(Metadata(writer_id="w"), lambda: None)
    assert [calls.add(str(number), b"", 1) for number in range(3)] == [True, True, False]
    monkeypatch.setattr(owed, "MAX_BYTES", 10)
    calls = OwedCalls(Metadata(writer_id="w"), lambda: None)
    assert not calls.add("large", b"0123456789", 1)
    assert calls.points == 0


def test_calls_are_on_disk_and_belong_to_one_writer(tmp_path: Path) -> None:
    metadata = Metadata(writer_id="w")
    spool = Spool(tmp_path / "w", max_bytes=1 << 20)
    OwedCalls(metadata, lambda: spool.save(metadata)).add("key", b"request", 1)
    assert spool.load() == metadata
    assert another_writer(metadata).calls == []
    spool.release()


def test_what_an_earlier_version_left_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "w", max_bytes=1 << 20)
    spool.save(Metadata(writer_id="w", run_id="r"))
    content = dataclasses.asdict(spool.load())
    del content["calls"]
    (tmp_path / "w" / "writer.json").write_text(json.dumps(content), encoding="utf-8")
    assert spool.load() == Metadata(writer_id="w", run_id="r")
    spool.release()
