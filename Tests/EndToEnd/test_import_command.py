"""`needletail import mlflow`: how it becomes the Python package that does the work."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from program import UpServer, run_program

if TYPE_CHECKING:
    from pathlib import Path

USAGE = 2

# Tells what it was started with, and reads its authorities twice, as some programs do.
TELLING = """#!{python}
import json, os, sys
names = [one for one in os.environ if one.startswith("NEEDLETAIL_")]
authorities = [open(os.environ["NEEDLETAIL_CA_FILE"]).read() for _ in range(2)]
print(json.dumps([sys.argv[1:], {{one: os.environ[one] for one in names}}, authorities]))
sys.exit(5)
"""


def program(place: Path, text: str) -> Path:
    """Return an executable file with a text."""
    file = place / "python"
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.fixture
def telling(tmp_path: Path) -> Path:
    """Return a stand-in for Python, which tells what it was started with."""
    return program(tmp_path, TELLING.format(python=sys.executable))


def test_the_help_says_what_comes_over() -> None:
    result = run_program("import", "mlflow", "--help")
    assert result.returncode == 0
    for text in ("--from <uri>", "--dry-run", "needletail-mlflow", "registered models"):
        assert text in " ".join(result.stdout.split())


def test_the_connection_goes_by_the_environment_and_no_secret_by_the_arguments(
    served: UpServer, telling: Path
) -> None:
    result = run_program(
        "import", "mlflow", "--from", "http://there:5000", "--experiment", "a", "--experiment",
        "b c", "--deleted", "--without", "traces", "--threads", "3", "--report", "r.json",
        "--json", "--connection-file", served.connection_file, "--python", telling,
    )  # fmt: skip
    assert result.returncode == 5, result.stderr
    arguments, variables, authorities = json.loads(result.stdout)
    connection = served.connection
    assert arguments[0] == "-c"
    assert arguments[2:] == [
        "--from=http://there:5000", f"--to={connection['project_id']}", "--threads=3",
        "--report=r.json", "--experiment=a", "--experiment=b c", "--without=traces", "--deleted",
        "--json",
    ]  # fmt: skip
    assert variables["NEEDLETAIL_API_KEY"] == connection["api_key"]
    assert connection["api_key"] not in " ".join(arguments)
    assert variables["NEEDLETAIL_URL"].endswith(f":{connection['port']}")
    assert "NEEDLETAIL_CONNECTION_FILE" not in variables
    assert authorities[0] == authorities[1]
    assert authorities[0].startswith("-----BEGIN CERTIFICATE-----")


def test_a_python_without_the_package_says_what_to_install(
    served: UpServer, tmp_path: Path
) -> None:
    # Without its site-packages, no Python has it.
    bare = program(tmp_path, f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    result = run_program(
        "import", "mlflow", "--from", "x", "--connection-file", served.connection_file,
        "--python", bare,
    )  # fmt: skip
    assert result.returncode == USAGE
    assert "has no needletail_mlflow" in result.stderr
    assert "pip install needletail-mlflow" in result.stderr
    assert result.stdout == ""


def test_a_python_that_is_not_there_is_said(served: UpServer, tmp_path: Path) -> None:
    result = run_program(
        "import", "mlflow", "--from", "x", "--connection-file", served.connection_file,
        "--python", tmp_path / "none",
    )  # fmt: skip
    assert result.returncode == USAGE
    assert "PYTHON_MISSING" in result.stderr
    assert "NEEDLETAIL_PYTHON" in result.stderr


def test_it_asks_for_a_source() -> None:
    result = run_program("import", "mlflow")
    assert result.returncode == USAGE
    assert "--from" in result.stderr
