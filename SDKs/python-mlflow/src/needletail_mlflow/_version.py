"""Which versions of MLflow this package is for."""

from __future__ import annotations

import re

OLDEST = (3, 10)
BELOW = (4, 0)
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def check_mlflow(version: str | None = None) -> None:
    """Looks at the version of MLflow, by default of the one that is there.

    Raises:
        ImportError: It is another one than this package is for, or there is none.
    """
    wanted = f"MLflow {_text(OLDEST)} or newer, and older than {_text(BELOW)}"
    remedy = f"pip install 'mlflow>={_text(OLDEST)},<{BELOW[0]}'"
    if version is None:
        try:
            from mlflow.version import VERSION  # noqa: PLC0415 without it there is a better word
        except ModuleNotFoundError as error:
            raise ImportError(f"needletail-mlflow needs {wanted}, found none: {remedy}") from error
        version = str(VERSION)
    if not OLDEST <= _numbers(version) < BELOW:
        raise ImportError(f"needletail-mlflow needs {wanted}, found {version}: {remedy}")


def is_at_least(*numbers: int) -> bool:
    """Whether MLflow is of this version, or a later one: its own stores change what they do."""
    from mlflow.version import VERSION  # noqa: PLC0415 the check of the version comes first

    return _numbers(str(VERSION)) >= numbers


def _numbers(version: str) -> tuple[int, int]:
    found = _NUMBERS.match(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _text(numbers: tuple[int, int]) -> str:
    return ".".join(str(number) for number in numbers)
