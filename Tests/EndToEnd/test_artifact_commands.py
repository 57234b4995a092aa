"""`needletail artifacts` against a real server: what it prints, and what it leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from program import run_program
from uploads import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from program import UpServer

OK, USAGE, MISSING = 0, 2, 4


@pytest.fixture
def cli(served: UpServer) -> Callable[..., str]:
    """Runs `needletail artifacts`; returns what it printed."""

    def run(verb: str, *arguments: str | Path, code: int = OK) -> str:
        result = run_program(
            "artifacts", verb, *arguments, "--connection-file", served.connection_file
        )
        assert result.returncode == code, (result.stdout, result.stderr)
        assert not (result.stderr if code == OK else result.stdout)
        return result.stdout or result.stderr

    return run


def test_a_folder_goes_up_is_listed_comes_down_and_goes(
    cli: Callable[..., str], run_id: str, place: Path
) -> None:
    files = {"a.txt": b"a" * 2_048, "deep/er/b.bin": bytes(700_000), "deep/empty": b""}
    for path, data in files.items():
        (place / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "out" / path).write_bytes(data)
    lines = cli("upload", run_id, place / "out").splitlines()
    assert [line.split()[1] for line in lines] == [f"out/{path}" for path in sorted(files)]
    header, *rows = cli("list", run_id, "out").splitlines()
    assert header.split() == ["PATH", "SIZE", "FILES", "SHA-256"]
    assert [row.split()[:3] for row in rows] == [
        ["out/a.txt", "2.0", "KiB"], ["out/deep/", "683.5", "KiB"],
    ]  # fmt: skip
    cli("download", run_id, "out", "--recursive", "--to", place / "back")
    assert {
        file.relative_to(place / "back").as_posix(): file.read_bytes()
        for file in (place / "back").rglob("*")
        if file.is_file()
    } == files
    cli("delete", run_id, "out/deep", "--recursive", "--yes")
    entries = json.loads(cli("list", run_id, "--recursive", "-o", "json"))["entries"]
    assert [entry["path"] for entry in entries] == ["out/a.txt"]


def test_one_file_goes_up_under_a_name_and_comes_down(
    cli: Callable[..., str], run_id: str, place: Path
) -> None:
    (place / "one").write_bytes(b"one")
    made = json.loads(cli("upload", run_id, place / "one", "model/weights", "-o", "json"))
    assert (made["path"], made["sha256"]) == ("model/weights", digest_of(b"one"))
    cli("download", run_id, "model/weights", "--to", place / "two")
    assert (place / "two").read_bytes() == b"one"
    assert "ARTIFACT_NOT_FOUND" in cli(
        "download", run_id, "nothing", "--to", place / "two", code=MISSING
    )
    assert (place / "two").read_bytes() == b"one"
    assert cli("download", run_id, "model/weights", "--to", "-") == "one"
    assert "folder" in cli("download", run_id, "model", "--recursive", "--to", "-", code=USAGE)
    assert sorted(file.name for file in place.iterdir()) == ["one", "two"]
    assert "FILE_MISSING" in cli("upload", run_id, place / "three", code=USAGE)
    assert "--yes" in cli("delete", run_id, "model/weights", code=USAGE)
