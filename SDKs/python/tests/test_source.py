"""Where the code of a run comes from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from needletail._runs import source
from needletail._runs.source import Repository, without_credentials

GIT = shutil.which("git") or "git"
PROGRAM = """
import dataclasses, json
from needletail._runs.source import own_source
print(json.dumps(dataclasses.asdict(own_source())))
"""


def git(folder: Path, *words: str) -> str:
    told = subprocess.run(  # noqa: S603
        [GIT, "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(folder), *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of one program in a folder."""
    root = tmp_path / "repository"
    (root / "jobs").mkdir(parents=True)
    (root / "jobs" / "train.py").write_text(PROGRAM)
    git(root, "init", "--initial-branch=trunk")
    git(root, "remote", "add", "origin", "https://eve:secret@example.com/team/models.git")
    git(root, "add", ".")
    git(root, "commit", "--message=first")
    return root


def told_by(*arguments: str | Path, cwd: Path, **environment: str) -> dict[str, Any]:
    """Return what a program says of itself."""
    package = Path(source.__file__).parents[2]
    result = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(package), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(result.stdout)
    assert isinstance(told, dict)
    return told


def test_a_program_of_a_repository_tells_its_commit(repository: Path) -> None:
    program = repository / "jobs" / "train.py"
    told = told_by(program, cwd=repository.parent)
    assert told.pop("process_number") > 0
    assert told == {
        "entry_point": "jobs/train.py",
        "git_commit": git(repository, "rev-parse", "HEAD"),
        "git_repository": "https://example.com/team/models.git",
        "git_branch": "trunk",
        "git_dirty": False,
        "code_digest": hashlib.sha256(PROGRAM.encode()).hexdigest(),
        "host": socket.gethostname(),
    }
    changed = PROGRAM + "# more\n"
    program.write_text(changed)
    git(repository, "checkout", "--detach")
    told = told_by(program, cwd=repository.parent)
    assert (told["git_dirty"], told["git_branch"]) == (True, "")
    assert told["code_digest"] == hashlib.sha256(changed.encode()).hexdigest()


def test_a_module_is_told_by_its_name(repository: Path) -> None:
    assert told_by("-m", "jobs.train", cwd=repository)["entry_point"] == "jobs.train"


def test_without_git_the_program_is_told_all_the_same(tmp_path: Path) -> None:
    program = tmp_path / "alone.py"
    program.write_text(PROGRAM)
    told = told_by(program, cwd=tmp_path, PATH="/nonexistent")
    assert (told["entry_point"], told["git_commit"]) == ("alone.py", "")
    assert told["code_digest"]


def test_a_git_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "git"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(source, "GIT_SECONDS", 0.1)
    assert Repository(tmp_path).commit == ""


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://eve:secret@example.com/a.git", "https://example.com/a.git"),
        ("https://token@example.com:8443/a.git", "https://example.com:8443/a.git"),
        ("ssh://git@example.com/a.git", "ssh://example.com/a.git"),
        ("git@example.com:team/a.git", "git@example.com:team/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("https://[bad", ""),
        ("", ""),
    ],
)
def test_an_address_is_told_without_credentials(address: str, told: str) -> None:
    assert without_credentials(address) == told
