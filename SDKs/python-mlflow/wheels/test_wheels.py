"""The wheels, each in an environment of its own, far from this tree, against a real server.

For every version of Python that is installed and supported; and for the oldest MLflow.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import mlflow
import pytest

HERE = Path(__file__).parent
SDKS = HERE.parents[1]
# Taken at import: no test sees the environment of whoever runs it.
CONNECTION_FILE = os.environ.get("NEEDLETAIL_CONNECTION_FILE")
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
OLDEST_MLFLOW = "3.10.0"
PROBE = "import sys, ensurepip; print('%d.%d' % sys.version_info[:2])"


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def pythons() -> dict[str, Path]:
    """The interpreters that are there, by version."""
    found: dict[str, Path] = {}
    for version in VERSIONS:
        name = f"python{version}"
        folders = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin"))
        places = [shutil.which(name), *(folder / name for folder in folders)]
        for place in (Path(one) for one in places if one):
            done = subprocess.run([place, "-c", PROBE], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                found.setdefault(version, place)
    return found


PYTHONS = pythons()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of both packages, by the name of their folder."""
    built: dict[str, Path] = {}
    for name in ("python", "python-mlflow"):
        folder = tmp_path_factory.mktemp(name)
        command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir")
        run(*command, folder, SDKS / name)
        (built[name],) = folder.glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a user says, and nothing of this process."""
    if not CONNECTION_FILE:
        pytest.skip("no server: set NEEDLETAIL_CONNECTION_FILE")
    server = json.loads(Path(CONNECTION_FILE).read_text(encoding="utf-8"))
    address = f"needletail://{server['address']}:{server['port']}"
    kept = ("PATH", "LANG", "LC_ALL", "PIP_", "HTTP_PROXY", "HTTPS_PROXY", "SSL_CERT_FILE")
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(kept)},
        "HOME": str(tmp_path),
        "NEEDLETAIL_URL": address,
        "NEEDLETAIL_API_KEY": server["api_key"],
        "NEEDLETAIL_CA_FILE": server["ca_file"],
        "MLFLOW_TRACKING_URI": f"{address}/{server['project_id']}",
    }


def installed(python: Path, folder: Path, *wanted: str | Path) -> Path:
    """The Python of a new environment with this in it."""
    run(python, "-m", "venv", folder)
    own = folder / "bin" / "python"
    run(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)
    return own


def smoke(python: Path, name: str, environment: dict[str, str], folder: Path) -> None:
    # Isolated: neither the folder nor PYTHONPATH of this process is looked into.
    project = environment["MLFLOW_TRACKING_URI"].rpartition("/")[2]
    run(python, "-I", "-X", "dev", HERE / name, project, env=environment, cwd=folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheels_work_by_themselves(
    version: str, wheels: dict[str, Path], environment: dict[str, str], tmp_path: Path
) -> None:
    if version not in PYTHONS:
        pytest.skip(f"no Python {version} here")
    python = installed(PYTHONS[version], tmp_path / "venv", wheels["python"])
    smoke(python, "smoke_sdk.py", environment, tmp_path)
    left = run(python.parent / "needletail-sync", env=environment, cwd=tmp_path)
    assert left == "nothing is left to send\n"
    own = f"mlflow-skinny=={mlflow.__version__}"
    run(python, "-m", "pip", "install", "--quiet", wheels["python-mlflow"], own)
    smoke(python, "smoke_mlflow.py", environment, tmp_path)


def test_the_oldest_mlflow_works(
    wheels: dict[str, Path], environment: dict[str, str], tmp_path: Path
) -> None:
    wanted = (*wheels.values(), f"mlflow-skinny=={OLDEST_MLFLOW}")
    python = installed(Path(sys.executable), tmp_path / "venv", *wanted)
    smoke(python, "smoke_mlflow.py", environment, tmp_path)


def test_wheels_have_what_they_need_and_no_more(wheels: dict[str, Path]) -> None:
    for name, package in (("python", "needletail"), ("python-mlflow", "needletail_mlflow")):
        with zipfile.ZipFile(wheels[name]) as wheel:
            files = wheel.namelist()
            (metadata,) = [file for file in files if file.endswith("/METADATA")]
            text = wheel.read(metadata).decode()
        others = [file for file in files if not re.match(rf"{package}(-[\d.]+\.dist-info)?/", file)]
        assert others == []
        assert f"{package}/py.typed" in files
        assert {file.suffix for file in map(Path, files) if "dist-info" not in str(file)} == {
            ".py",
            ".typed",
        }
        assert "Requires-Python: >=3.10\n" in text
    assert "Requires-Dist: mlflow-skinny<4,>=3.10\n" in text


def test_nothing_needs_a_newer_python() -> None:
    sources = [SDKS / name / "src" for name in ("python", "python-mlflow")]
    run(Path(sys.executable).parent / "vermin", "--no-tips", "--violations", "-t=3.10-", *sources)
