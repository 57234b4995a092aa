r"""The server's own statements, as pgbench takes them.

The statements lie beside their services, named (`-- name: createRun :one`), with named parameters
(`:experiment_id`, `:started_at?` where it may be null). pgbench writes parameters alike.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from Benchmarks.figures import MeasurementError
from Benchmarks.processes import ROOT

_NAME = re.compile(r"^--\s*name:\s*(\w+)\s*:\w+\s*$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)\??")


def named_statements(sources: Path = ROOT / "Sources") -> dict[str, str]:
    """Reads every statement of every service, without its comments."""
    statements: dict[str, str] = {}
    for path in sorted(sources.glob("*/Queries/*.sql")):
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            statements[name] = re.sub(r"--[^\n]*", "", body).strip().rstrip(";").strip()
    return statements


def bound(name: str, values: Mapping[str, str], *, statements: Mapping[str, str]) -> str:
    """Returns a statement with each parameter replaced by an expression.

    An expression may use pgbench's own variables, so that it differs from call to call.
    """
    if name not in statements:
        raise MeasurementError(f"no statement is called {name}")

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise MeasurementError(
                f"{name} has a parameter that the benchmark does not know: {match[1]}"
            )
        return values[match[1]]

    return _PARAMETER.sub(value, statements[name])
