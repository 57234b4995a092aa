"""What all tests of the package share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECTION_VARIABLE = "NEEDLETAIL_CONNECTION_FILE"


@pytest.fixture(scope="session", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Works in a folder of its own: MLflow's store, where nobody names one, is a file in it."""
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patched:
        if _CONNECTION_VARIABLE in os.environ:
            named = Path(os.environ[_CONNECTION_VARIABLE]).absolute()
            patched.setenv(_CONNECTION_VARIABLE, str(named))
        os.chdir(tmp_path_factory.mktemp("work"))
        yield
        os.chdir(before)
