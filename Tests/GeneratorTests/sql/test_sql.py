"""Each folder under cases/ is a small repository with what the generator must make of it.

A case holds Sources/ and either expected/ (the files of Sources/Library/Generated) or error.txt
(what the generator says). `UPDATE_CASES=1` writes them anew, for review as a diff.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from Generators.sql import server as scratch

_CASES = Path(__file__).parent / "cases"
_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def _server() -> object:
    """One server for all cases."""
    if "NEEDLETAIL_TEST_POSTGRES" in os.environ:
        yield
        return
    with scratch.scratch_cluster() as connection:
        os.environ["NEEDLETAIL_TEST_POSTGRES"] = connection
        yield
        del os.environ["NEEDLETAIL_TEST_POSTGRES"]


def _generate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "Generators.sql", "--root", str(root), *options],
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shutil.copytree(_CASES / request.param / "Sources", tmp_path / "Sources")
    return tmp_path


def _cases(kind: str) -> list[str]:
    return sorted(folder.name for folder in _CASES.iterdir() if (folder / kind).exists())


@pytest.mark.parametrize("repository", _cases("expected"), indirect=True)
def test_the_swift_of_a_case_is_as_expected(
    repository: Path, request: pytest.FixtureRequest
) -> None:
    result = _generate(repository)
    assert result.returncode == 0, result.stderr
    expected = _CASES / request.node.callspec.params["repository"] / "expected"
    made = sorted((repository / "Sources/Library/Generated").glob("*.swift"))
    if os.environ.get("UPDATE_CASES"):
        for file in made:
            shutil.copy(file, expected / f"{file.name}.txt")
    assert [f"{file.name}.txt" for file in made] == sorted(p.name for p in expected.glob("*.txt"))
    for file in made:
        assert file.read_text() == (expected / f"{file.name}.txt").read_text()
    assert _generate(repository, "--check").returncode == 0


@pytest.mark.parametrize("repository", _cases("error.txt"), indirect=True)
def test_a_wrong_statement_is_refused_with_its_place(
    repository: Path, request: pytest.FixtureRequest
) -> None:
    result = _generate(repository)
    said = result.stderr.replace(f"{repository}/", "")
    expected = _CASES / request.node.callspec.params["repository"] / "error.txt"
    if os.environ.get("UPDATE_CASES"):
        expected.write_text(said)
    assert result.returncode == 1
    assert said == expected.read_text()
    assert not list(repository.glob("Sources/*/Generated/*"))


@pytest.mark.parametrize("repository", ["types"], indirect=True)
def test_a_check_tells_changed_and_stale_files_and_changes_nothing(repository: Path) -> None:
    assert _generate(repository).returncode == 0
    made = repository / "Sources/Library/Generated/BooksQueries.swift"
    stale = made.with_name("GoneQueries.swift")
    stale.write_text(made.read_text())
    made.write_text(made.read_text() + "// by hand\n")
    result = _generate(repository, "--check")
    assert result.returncode == 1
    assert "BooksQueries.swift" in result.stderr
    assert "GoneQueries.swift" in result.stderr
    assert made.read_text().endswith("// by hand\n")
    assert _generate(repository).returncode == 0
    assert not stale.exists()
    assert _generate(repository, "--check").returncode == 0
