"""Commands that read several runs: compare, plot, export, and following an experiment."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracking import MetricSeries, Parameter, RunFork, RunStatus, Tag
from program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable

    import needletail
    from program import UpServer

OK, USAGE, MISSING = 0, 2, 4


@pytest.fixture
def cli(served: UpServer) -> Callable[..., str]:
    """Runs the program on the shared server; returns what it printed."""

    def run(*arguments: str, code: int = OK) -> str:
        result = run_program(*arguments, "--connection-file", served.connection_file)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout if code == OK else result.stderr

    return run


@pytest.fixture
def runs(client: needletail.Client, experiment_id: str) -> list[str]:
    """Two runs with parameters, tags and metrics, which have ended."""
    made = []
    for number in range(2):
        run = client.tracking.create_run(
            experiment_id=experiment_id,
            name=f"run, {number}",
            parameters=[
                Parameter(key="lr", value=f"0.{number}"),
                Parameter(key="layers", value="4"),
            ],
            tags=[Tag(key="team", value='"a"')],
        ).id
        client.tracking.log_batch(
            run_id=run,
            series=[
                MetricSeries(
                    key="loss",
                    steps=tuple(range(100)),
                    values=tuple(10.0 ** (number - step / 50) for step in range(100)),
                )
            ],
        )
        client.tracking.finish_run(id=run, status=RunStatus.COMPLETED)
        made.append(run)
    return made


def test_a_comparison_shows_where_runs_differ(cli: Callable[..., str], runs: list[str]) -> None:
    table = cli("runs", "compare", *runs)
    assert "params.lr" in table
    assert "metrics.loss" in table
    assert "params.layers" not in table
    assert "params.layers" in cli("runs", "compare", *runs, "--all")
    found = json.loads(cli("runs", "compare", *runs, "-o", "json"))
    assert found["runs"] == runs
    fields = {field["field"]: field["values"] for field in found["fields"]}
    assert fields["params.lr"] == ["0.0", "0.1"]
    assert "tags.team" not in fields
    cli("runs", "compare", runs[0], code=USAGE)


def test_a_plot_shows_the_curves_of_several_runs(cli: Callable[..., str], runs: list[str]) -> None:
    plot = cli("runs", "plot", *runs, "--metric", "loss", "--width", "40", "--height", "8")
    lines = plot.splitlines()
    assert lines[0] == "loss"
    assert lines[1].lstrip().startswith("10 ┤b")
    assert lines[9].endswith("└" + "─" * 40)
    assert [line.rpartition("  ")[2] for line in lines[-2:]] == runs
    single = cli("runs", "plot", runs[0], "--metric", "loss", "--log", "--width", "40")
    assert any("\u2801" <= character <= "\u28ff" for character in single)
    timed = cli("runs", "plot", *runs, "--metric", "loss", "--x", "time", "--width", "60")
    assert timed.splitlines()[1].lstrip().startswith("10 ┤")
    # The times of the first and the last point, below the axis.
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", timed)) in {1, 2}
    scaled = cli("runs", "plot", runs[0], "--metric", "loss", "--x", "time", "--log")
    assert "last" in scaled
    assert "time" in cli(
        "runs", "plot", runs[0], "--metric", "loss", "--x", "metric:time", code=MISSING
    )
    cli("runs", "plot", runs[0], "--metric", "no", code=MISSING)
    cli("runs", "plot", runs[0], "--metric", "loss", "--width", "9", code=USAGE)


def test_an_export_has_a_row_for_each_run(
    cli: Callable[..., str], experiment_id: str, runs: list[str]
) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("runs", "export", "--experiment", experiment_id))))
    found = {row["id"]: row for row in rows}
    assert set(found) == set(runs)
    assert found[runs[1]]["name"] == "run, 1"
    assert found[runs[1]]["params.lr"] == "0.1"
    assert found[runs[1]]["tags.team"] == '"a"'
    assert float(found[runs[0]]["metrics.loss"]) == pytest.approx(10 ** (-99 / 50), rel=1e-12)
    lines = cli("runs", "export", "--experiment", experiment_id, "--format", "jsonl").splitlines()
    assert {json.loads(line)["run"]["id"] for line in lines} == set(runs)
    assert len(
        cli("runs", "export", "--experiment", experiment_id, "--limit", "1").splitlines()
    ) == 2  # fmt: skip


@pytest.mark.parametrize("chosen", [(), ("--metric", "loss")])
def test_an_export_of_histories_has_a_row_for_each_point(
    cli: Callable[..., str], experiment_id: str, runs: list[str], chosen: tuple[str, ...]
) -> None:
    arguments = ("runs", "export", "--experiment", experiment_id, "--histories", *chosen)
    rows = list(csv.DictReader(io.StringIO(cli(*arguments))))
    for number, run in enumerate(runs):
        points = [(int(row["step"]), float(row["value"])) for row in rows if row["run_id"] == run]
        assert points == [(step, 10.0 ** (number - step / 50)) for step in range(100)]
    lines = [json.loads(line) for line in cli(*arguments, "--format", "jsonl").splitlines()]
    assert len(lines) == 200
    assert {(line["runId"], line["key"]) for line in lines} == {(run, "loss") for run in runs}


def test_an_experiment_is_followed_in_lines(
    cli: Callable[..., str], experiment_id: str, runs: list[str]
) -> None:
    told = cli("experiments", "watch", experiment_id, "--catch-up", "--metric", "loss")
    for run in runs:
        assert f"{run}  run, " in told
    assert told.count("at step 99") == 2
    lines: list[Any] = [
        json.loads(line)
        for line in cli(
            "experiments", "watch", experiment_id, "--catch-up", "-o", "json"
        ).splitlines()
    ]
    assert {run["id"] for line in lines for run in line["runs"]} == set(runs)
    assert all(line["resumeToken"] for line in lines)


def test_a_fork_is_plotted_from_its_beginning_and_exported_as_its_own(
    cli: Callable[..., str], client: needletail.Client, experiment_id: str, runs: list[str]
) -> None:
    fork = client.tracking.create_run(
        experiment_id=experiment_id, forked_from=RunFork(run_id=runs[0], step=49)
    ).id
    plot = cli("runs", "plot", fork, "--metric", "loss", "--width", "40", "--height", "8")
    assert "last 0.10" in plot.splitlines()[-1]
    rows = cli("runs", "export", "--experiment", experiment_id, "--histories", "--metric", "loss")
    assert fork not in rows
