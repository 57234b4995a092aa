"""Which versions of MLflow are taken."""

from __future__ import annotations

import pytest

from needletail_mlflow._version import check_mlflow


@pytest.mark.parametrize("version", ["3.10.0", "3.10.0rc1", "3.18.1.dev0", "3.99"])
def test_versions_of_the_range_are_taken(version: str) -> None:
    check_mlflow(version)


@pytest.mark.parametrize("version", ["2.22.5", "3.9.0", "4.0.0", "unknown"])
def test_another_version_is_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(ImportError, match=f"needs MLflow 3.10 or newer.*found {version}.*pip in"):
        check_mlflow(version)


def test_the_version_that_is_there_is_one_of_them() -> None:
    check_mlflow()
