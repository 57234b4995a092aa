"""The generator of the Python SDK: what it makes of names and comments, and that it was run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from Generators.python import __main__ as generator  # noqa: E402
from Generators.python import model  # noqa: E402
from Generators.python.text import docstring  # noqa: E402


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("WhoAmI", "who_am_i"),
        ("CreateRun", "create_run"),
        ("GetURLList", "get_url_list"),
        ("Server", "server"),
    ],
)
def test_names_become_snake_case(name: str, expected: str) -> None:
    """Words are found in camel case, abbreviations too."""
    assert model.snake_case(name) == expected


@pytest.mark.parametrize(
    ("name", "python_name", "read", "write"),
    [
        ("until", "until", "message.until", "message.until = value"),
        ("from", "from_", 'getattr(message, "from")', 'setattr(message, "from", value)'),
    ],
)
def test_a_field_with_a_name_that_is_pythons_own_has_an_underscore(
    name: str, python_name: str, read: str, write: str
) -> None:
    """Callers write `from_`; protobuf's own message keeps the name."""
    field = model.Field(name, "", "str", "", is_repeated=False, has_presence=False)
    assert field.python_name == python_name
    assert field.of("message") == read
    assert field.assignment("message", "value") == write


def test_a_docstring_is_a_summary_and_the_rest() -> None:
    """One line where it fits; otherwise the first sentence stands alone."""
    assert docstring("Short.", "    ") == ['    """Short."""']
    lines = docstring("First. " + "word " * 40, "    ")
    assert lines[:2] == ['    """First.', ""]
    assert lines[-1] == '    """'
    assert all(len(line) <= 100 for line in lines)
    assert '"""' not in docstring('a """ b', "")[0][3:-3]


@pytest.mark.skipif(shutil.which("protoc") is None, reason="no protoc")
def test_what_is_committed_is_current_and_every_package_has_a_public_module() -> None:
    """A new service needs one line by hand: the module that makes its types public."""
    read = model.load(ROOT / "Protos")
    wanted = generator.files(read)
    present = {path.name: path.read_text() for path in generator.OUTPUT.glob("*.py")}
    assert present == wanted
    for module in set(read.modules.values()):
        assert (generator.OUTPUT.parent / f"{module}.py").exists(), f"add needletail/{module}.py"
