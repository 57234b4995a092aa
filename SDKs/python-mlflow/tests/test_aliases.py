"""Checks of aliases, by whatever name this MLflow has them."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from needletail_mlflow import aliases


@pytest.mark.parametrize("alias", ["", "two words", "a" * 256])
def test_what_is_no_alias_is_refused(alias: str) -> None:
    with pytest.raises(MlflowException) as refused:
        aliases.check_alias(alias)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_alias_that_mlflow_keeps_for_itself_is_refused() -> None:
    with pytest.raises(MlflowException, match="reserved") as refused:
        aliases.check_alias_is_free("latest")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_any_other_alias_passes_both() -> None:
    aliases.check_alias("champion")
    aliases.check_alias_is_free("champion")


def test_a_check_is_found_by_an_older_name_or_left_to_the_server() -> None:
    known = "_validate_model_name"
    with pytest.raises(MlflowException):
        aliases.first_of("_a_name_that_is_gone", known)("")
    aliases.first_of("_a_name_that_is_gone")("")
