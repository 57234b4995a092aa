"""`needletail traces` against a real server: what it prints, and what it ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.tracing import TraceState
from organizations import create_organization
from program import run_program
from traces import MILLION, Bench, pairs, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from program import Connection, UpServer

OK, USAGE, MISSING, INVALID = 0, 2, 4, 7


@pytest.fixture
def own(served: UpServer, sql: Connection) -> dict[str, Any]:
    """The way to an organization of its own."""
    return create_organization(sql, "cli").connection(served.connection)


@pytest.fixture
def cli(own: dict[str, Any], place: Path) -> Callable[..., str]:
    """Runs `needletail` for it; returns what it printed."""
    connection = place / "connection.json"
    connection.write_text(json.dumps(own))

    def run(*arguments: str, code: int = OK) -> str:
        result = run_program("traces", *arguments, "--connection-file", connection)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout or result.stderr

    return run


@pytest.fixture
def bench(own: dict[str, Any]) -> Iterator[Bench]:
    with needletail.connect(
        f"needletail://127.0.0.1:{own['port']}", api_key=own["api_key"], ca_file=own["ca_file"]
    ) as client:
        project = client.identity.create_project(name="Chat", slug="chat").id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        yield Bench(client, {"project_id": project}, experiment)


def test_a_trace_is_shown_with_the_tree_of_its_spans(cli: Callable[..., str], bench: Bench) -> None:
    trace = bench.start(
        execution_ms=2_500, request_preview="what?", tags=pairs(mlflow__traceName="chat"),
        metadata=pairs(user="ada"),
    )  # fmt: skip
    bench.log(
        trace, span(3, 1, name="search", type="TOOL"), span(1, name="chain", type="CHAIN"),
        span(2, 1, name="model", end_ns=2_000 * MILLION + 250_000), span(4, 3, name="rank"),
        span(9, 8, name="lost", end_ns=None),
    )  # fmt: skip
    bench.assess(trace, "good", 0.5)
    lines = cli("show", trace, "--project", "chat").splitlines()
    for text in ("took", "2.5 s", "request", "what?", "metadata user", "feedback good"):
        assert any(text in line for line in lines), text
    tree = lines[next(i for i, line in enumerate(lines) if line.startswith("SPAN")) + 1 :]
    assert [line.split("  OK")[0].rstrip() for line in tree] == [
        "chain     CHAIN", "  model", "  search  TOOL", "    rank", "lost",
    ]  # fmt: skip
    assert tree[0].split()[-4:] == ["0", "µs", "500", "ms"]
    assert tree[1].split()[-4:] == ["1", "s", "250", "µs"]
    assert tree[4].split()[-3:] == ["8", "s", "–"]
    found = json.loads(cli("show", trace, "--project", "chat", "-o", "json"))
    assert found["trace"]["traceId"] == trace
    assert len(found["spans"]) == 5
    assert "TRACE_NOT_FOUND" in cli("show", "never", "--project", "chat", code=MISSING)


def test_traces_are_listed_and_deleted(cli: Callable[..., str], bench: Bench) -> None:
    traces = [bench.start(f"t{n}", request_time_ms=n * 86_400_000) for n in range(1, 5)]
    bench.start("bad", state=TraceState.ERROR, request_time_ms=9 * 86_400_000)
    rows = [line.split() for line in cli("list", "--project", "chat").splitlines()[1:]]
    assert [row[0] for row in rows] == ["bad", *reversed(traces)]
    assert rows[0][1:3] == ["error", "1970-01-10"]
    found = json.loads(cli(
        "list", "--project", "chat", "--experiment", bench.experiment, "--filter",
        "status = 'OK'", "--order-by", "timestamp", "--limit", "2", "-o", "json",
    ))  # fmt: skip
    assert [one["traceId"] for one in found["traces"]] == ["t1", "t2"]
    assert "FILTER_INVALID" in cli("list", "--project", "chat", "--filter", "?", code=INVALID)
    assert "--yes" in cli("delete", "bad", "--project", "chat", code=USAGE)
    cli("delete", "--project", "chat", "--yes", code=USAGE)
    cli("delete", "bad", "--project", "chat", "--before", "1d", "--yes", code=USAGE)
    assert "deleted 2" in cli("delete", "bad", "t4", "--project", "chat", "--yes")
    old = ("delete", "--project", "chat", "--experiment", bench.experiment, "--yes")
    assert "deleted 2" in cli(*old, "--before", "1970-01-04")
    assert bench.found() == ["t3"]
    assert "TRACE_NOT_FOUND" in cli("delete", "t1", "--project", "chat", "--yes", code=MISSING)
