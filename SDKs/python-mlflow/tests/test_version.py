"""Which versions of MLflow are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mlflow.exceptions import MlflowException
from mlflow.utils import validation

from needletail_mlflow._version import check_mlflow
from needletail_mlflow.registered_models import check_alias

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("version", ["3.10.0", "3.10.0rc1", "3.18.1.dev0", "3.99"])
def test_versions_of_the_range_are_taken(version: str) -> None:
    check_mlflow(version)


@pytest.mark.parametrize("version", ["2.22.5", "3.9.0", "4.0.0", "unknown"])
def test_another_version_is_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(ImportError, match=f"needs MLflow 3.10 or newer.*found {version}.*pip in"):
        check_mlflow(version)


def test_the_version_that_is_there_is_one_of_them() -> None:
    check_mlflow()


@pytest.mark.parametrize("which", ["installed", "before", "after"])
def test_aliases_are_checked_whatever_mlflow_calls_that(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(text: str) -> Callable[[str], None]:
        def refuse(alias: str) -> None:
            if alias in text:
                raise MlflowException(text)

        return refuse

    if which != "installed":
        old, new = "_validate_model_alias_name", "_validate_alias_name"
        kept, left = (old, new) if which == "before" else (new, old)
        for ending, text in (("", "Invalid alias name: 'a b'"), ("_reserved", "reserved: latest")):
            monkeypatch.delattr(validation, left + ending, raising=False)
            monkeypatch.setattr(validation, kept + ending, refusal(text), raising=False)
    check_alias("champion")
    check_alias("champion", "_reserved")
    with pytest.raises(MlflowException, match="Invalid alias name: 'a b'"):
        check_alias("a b")
    with pytest.raises(MlflowException, match="reserved"):
        check_alias("latest", "_reserved")
