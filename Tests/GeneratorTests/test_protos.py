"""A folder a case: .proto files in, exactly these files or exactly this error out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from Generators.protos.errors import GeneratorError
from Generators.protos.output import update, with_header
from Generators.protos.plan import MAIN, SAMPLES, render_product

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / MAIN.protos
CASES = Path(__file__).parent / "protos"
RENDERED = sorted(folder for folder in CASES.iterdir() if (folder / "expected").is_dir())
REFUSED = sorted(folder for folder in CASES.iterdir() if (folder / "error.txt").is_file())


def _name(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("case", RENDERED, ids=_name)
def test_renders(case: Path, request: pytest.FixtureRequest) -> None:
    """What is rendered is what the case expects; files that it does not name are not compared."""
    files = render_product(case, MAIN, LIBRARY, stubs=True)
    for expected in sorted((case / "expected").rglob("*.*")):
        path = expected.relative_to(case / "expected").as_posix()
        if request.config.getoption("--rewrite"):
            expected.write_text(files[path], encoding="utf-8")
        assert files[path] == expected.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("case", REFUSED, ids=_name)
def test_refuses(case: Path) -> None:
    """The error names what is wrong."""
    with pytest.raises(GeneratorError) as error:
        render_product(case, MAIN, LIBRARY, stubs=True)
    assert str(error.value) == (case / "error.txt").read_text(encoding="utf-8").strip()


def test_is_deterministic() -> None:
    """The same files, whenever they are made."""
    first, second = (render_product(ROOT, MAIN, LIBRARY, stubs=True) for _ in range(2))
    assert first == second


def test_is_current() -> None:
    """What is committed is what the generator makes."""
    for product in (MAIN, SAMPLES):
        files = render_product(ROOT, product, LIBRARY, stubs=False)
        assert update(ROOT, files, [], check=True) == []


def test_update_writes_only_what_changed(tmp_path: Path) -> None:
    """A second run touches nothing; a file that is no longer made goes, one of others stays."""
    files = {"Generated/a.swift": with_header("a.swift", "a.proto", "let a = 1\n")}
    assert update(tmp_path, files, ["Generated"], check=True) == ["Generated/a.swift"]
    assert not (tmp_path / "Generated").exists()
    assert update(tmp_path, files, ["Generated"], check=False) == ["Generated/a.swift"]
    assert update(tmp_path, files, ["Generated"], check=False) == []
    by_hand = tmp_path / "Generated/by_hand.swift"
    by_hand.write_text("let b = 2\n", encoding="utf-8")
    assert update(tmp_path, {}, ["Generated"], check=False) == ["Generated/a.swift"]
    assert by_hand.exists()


def test_check_names_what_would_change(tmp_path: Path) -> None:
    """`--check` exits 1 and names the file that was edited by hand."""
    for folder in ("Generators", "Protos", "Tests/Protos"):
        target = tmp_path / folder
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(ROOT / folder)
    module = "import sys; from pathlib import Path; import Generators.protos.__main__ as main\n"
    module += "sys.exit(main.generate(Path(sys.argv[1]), check=len(sys.argv) > 2, stubs=True))"
    command = [sys.executable, "-c", module, str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    edited = tmp_path / "Docs/errors.md"
    edited.write_text(edited.read_text(encoding="utf-8") + "by hand\n", encoding="utf-8")
    done = subprocess.run(
        [*command, "--check"], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == "would change Docs/errors.md\n"
