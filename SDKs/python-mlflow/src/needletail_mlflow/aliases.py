"""MLflow's own checks of aliases, whose names differ from version to version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.utils import validation

if TYPE_CHECKING:
    from collections.abc import Callable


def first_of(*names: str) -> Callable[[Any], None]:
    """The first of these checks that this MLflow has; where it has none, the server checks."""
    for name in names:
        found = getattr(validation, name, None)
        if found is not None:
            return found
    return lambda _: None


check_alias = first_of("_validate_alias_name", "_validate_model_alias_name")
"""Refuses what is no alias."""

check_alias_is_free = first_of(
    "_validate_alias_name_reserved", "_validate_model_alias_name_reserved"
)
"""Refuses what MLflow keeps for itself."""
