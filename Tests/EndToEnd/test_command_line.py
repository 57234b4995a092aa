"""The command line against a real server: what it prints, and what it ends with."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from organizations import create_organization
from program import BINARY, ROOT, UpServer, clean_environment, run_program
from waiting import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Connection

ABSENT = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"
OK, OTHER, USAGE, PERMISSION, MISSING, CONFLICT, UNAVAILABLE, INVALID = range(8)


class Cli:
    """The program with a server to ask."""

    def __init__(self, connection_file: Path) -> None:
        self.connection_file = connection_file

    def __call__(self, *arguments: str, text: str = "", code: int = OK) -> str:
        """Run a command that must end with a code; return what it printed."""
        result = run_program(*arguments, "--connection-file", self.connection_file, text=text)
        assert result.returncode == code, (result.stdout, result.stderr)
        if code == OK:
            assert result.stderr == ""
        else:
            assert result.stdout == ""
        return result.stdout or result.stderr

    def json(self, *arguments: str, text: str = "") -> Any:
        """Run a command that prints one JSON document; return it."""
        return json.loads(self(*arguments, text=text))


@pytest.fixture
def cli(served: UpServer) -> Cli:
    return Cli(served.connection_file)


@pytest.fixture
def logged(served: UpServer, client: needletail.Client, place: Path) -> Iterator[str]:
    """A run with a hundred points of two metrics, still going."""
    with needletail.run(
        client=client,
        experiment="from the tests",
        name="curve",
        project=served.connection["project_id"],
        spool_dir=place,
    ) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1), "accuracy": step / 100}, step=step)
        assert run.flush(timeout_seconds=PATIENCE_SECONDS)
        assert run.id is not None
        yield run.id


def test_whoami(cli: Cli, served: UpServer) -> None:
    who = cli.json("whoami", "-o", "json")
    connection = served.connection
    assert who["organizationId"] == connection["organization_id"]
    assert [project["id"] for project in who["projects"]] == [connection["project_id"]]
    table = cli("whoami")
    assert connection["organization_id"] in table
    assert connection["api_key"] not in table


def test_runs_list(cli: Cli, logged: str) -> None:
    listed = cli.json("runs", "list", "-o", "json", "--limit", "5")["runs"]
    assert listed[0]["id"] == logged
    lines = cli("runs", "list", "--limit", "5").splitlines()
    assert lines[0].split() == ["ID", "NAME", "STATUS", "STARTED", "DURATION"]
    assert lines[1].split()[:3] == [logged, "curve", "running"]
    assert logged not in cli("runs", "list", "--status", "failed")


@pytest.mark.parametrize("name", ["id", "latest"])
def test_runs_show(cli: Cli, logged: str, name: str) -> None:
    run = logged if name == "id" else name
    text = cli("runs", "show", run)
    assert logged in text
    for key in ("loss", "accuracy"):
        (line,) = [line for line in text.splitlines() if key in line.split()]
        assert any("▁" <= letter <= "█" for letter in line), "a sparkline"
    shown = json.dumps(cli.json("runs", "show", run, "-o", "json"))
    assert logged in shown
    assert '"loss"' in shown


def test_runs_watch_follows_to_the_end(cli: Cli, client: needletail.Client, logged: str) -> None:
    with subprocess.Popen(
        [BINARY, "runs", "watch", logged, "-o", "json", "--connection-file", cli.connection_file],
        stdout=subprocess.PIPE, text=True, env=clean_environment(), cwd="/",
    ) as watch:  # fmt: skip
        assert watch.stdout is not None
        heard: list[dict[str, Any]] = []

        def steps() -> list[int]:
            return [
                int(step)
                for change in heard
                for series in change.get("series", [])
                if series["key"] == "loss"
                for step in series["steps"]
            ]

        while len(steps()) < 100:
            heard.append(json.loads(watch.stdout.readline()))
        client.tracking.finish_run(id=logged)
        heard += [json.loads(line) for line in watch.stdout]
        assert watch.wait(PATIENCE_SECONDS) == OK
    assert steps() == list(range(100))
    statuses = [change["run"]["status"] for change in heard if "run" in change]
    assert statuses[-1] == "RUN_STATUS_COMPLETED"


def test_runs_watch_shows_people_a_finished_run(
    cli: Cli, client: needletail.Client, logged: str
) -> None:
    client.tracking.finish_run(id=logged)
    text = cli("runs", "watch", logged)
    assert "loss" in text
    assert "completed" in text


def test_call_takes_and_gives_json(cli: Cli, served: UpServer, place: Path, logged: str) -> None:
    request = json.dumps({"id": logged})
    (place / "request.json").write_text(request)
    for answer in (
        cli.json("call", "GetRun", request),
        cli.json("call", "needletail.tracking.v1.Tracking/GetRun", "-", text=request),
        cli.json("call", "Tracking/GetRun", f"@{place / 'request.json'}"),
    ):
        assert (answer["run"]["id"], answer["run"]["name"]) == (logged, "curve")
    who = cli.json("call", "WhoAmI")
    assert who["organizationId"] == served.connection["organization_id"]
    history = cli("call", "StreamMetricHistory", json.dumps({"runId": logged, "key": "loss"}))
    steps = [
        int(step) for line in history.splitlines() for step in json.loads(line)["series"]["steps"]
    ]
    assert steps == list(range(100))


def test_call_streams_its_requests(cli: Cli, client: needletail.Client, logged: str) -> None:
    writer = "0190c6f2-3a5e-7c1d-9f10-" + logged[-12:]
    series = {"key": "typed", "steps": ["1", "-9223372036854775808"], "values": [0.5, "NaN"]}
    lines = [
        {"writerId": writer},
        {"sequence": "1", "runs": [{"runId": logged, "series": [series]}]},
    ]
    answers = cli("call", "AppendMetrics", text="\n".join(map(json.dumps, lines)))
    last = json.loads(answers.splitlines()[-1])
    assert last["acknowledgedSequence"] == "1"
    history = client.tracking.get_metric_history(run_id=logged, key="typed")
    assert history.series.steps == (-9223372036854775808, 1)


def test_describe(cli: Cli) -> None:
    methods = cli("describe")
    assert "needletail.tracking.v1.Tracking" in methods
    assert "rpc CreateRun(CreateRunRequest) returns (CreateRunResponse)" in methods
    assert "experiment_id" in cli("describe", "CreateRunRequest")
    assert cli.json("describe", "Tracking/CreateRun", "-o", "json")


def test_ping(cli: Cli) -> None:
    found = cli.json("ping", "--count", "2", "-o", "json")
    assert len(found["ms"]) == 2
    assert found["server"].startswith("needletail/")
    assert "mean" in cli("ping", "--count", "1")


def test_load(cli: Cli) -> None:
    result = cli.json("load", "echo", "--seconds", "1", "--connections", "2", "--in-flight", "4",
                      "--json")  # fmt: skip
    assert result["calls"] > 0
    assert result["errors"] == 0
    assert (
        cli.json("load", "create-run", "--calls", "50", "--in-flight", "8", "--json")["calls"] == 50
    )


def test_load_of_metrics(cli: Cli, sql: Connection) -> None:
    before = stored_points(sql)
    result = cli.json(
        *("load", "append-metrics", "--connections", "2", "--writers", "3", "--in-flight", "4"),
        *("--metrics", "5", "--batch-points", "50", "--calls", "20", "--every", "5", "--json"),
    )
    assert (result["calls"], result["errors"]) == (20, 0)
    assert result["points_per_second"] == pytest.approx(50 * result["calls_per_second"], rel=1e-3)
    assert stored_points(sql) - before == 20 * 50


def stored_points(sql: Connection) -> int:
    """Points of all runs."""
    rows = sql.execute("select coalesce(sum(point_count), 0) as points from metric_chunks")
    return int(rows.fetchall()[0]["points"])


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("runs", "show", ABSENT), MISSING, "RUN_NOT_FOUND"),
        (("runs", "watch", ABSENT), MISSING, "RUN_NOT_FOUND"),
        (("call", "GetRun", f'{{"id": "{ABSENT}"}}'), MISSING, "RUN_NOT_FOUND"),
        (("call", "GetRun", '{"id": "no uuid"}'), INVALID, "FIELD_INVALID"),
        (("call", "GetRun", '{"nonsense": 1}'), INVALID, "nonsense"),
        (("call", "GetRun", "{"), INVALID, "JSON"),
        (("call", "NoSuchMethod"), USAGE, "NoSuchMethod"),
        (("describe", "NoSuchThing"), MISSING, "NoSuchThing"),
        (("runs", "list", "--limit", "0"), USAGE, "--limit"),
        (("runs", "finish", ABSENT, "--status", "running"), USAGE, "cancelled"),
        (("experiments", "datasets", "no such one"), MISSING, "EXPERIMENT_NOT_FOUND"),
        (("models", "show", "it's none"), MISSING, "MODEL_NOT_FOUND"),
    ],
)
def test_a_failure_has_its_exit_code(
    cli: Cli, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    assert reason in cli(*arguments, code=code)


def test_a_failure_is_json_where_that_was_asked_for(cli: Cli) -> None:
    said = json.loads(cli("runs", "show", ABSENT, "-o", "json", code=MISSING))
    assert said["error"]["code"] == "NOT_FOUND"
    assert said["error"]["reason"] == "RUN_NOT_FOUND"
    assert said["error"]["requestId"]


def test_a_conflict_has_its_exit_code(cli: Cli, client: needletail.Client, run_id: str) -> None:
    client.tracking.finish_run(id=run_id)
    assert "RUN_FINISHED" in cli("call", "FinishRun", json.dumps({"id": run_id}), code=CONFLICT)


def test_a_wrong_key_has_its_exit_code(served: UpServer, sql: Connection, place: Path) -> None:
    file = place / "connection.json"
    other = Cli(file)
    file.write_text(json.dumps({**served.connection, "api_key": "ntl_wrong"}))
    assert "INVALID_API_KEY" in other("whoami", code=PERMISSION)
    viewer = create_organization(sql, "viewers", role="viewer")
    file.write_text(json.dumps(viewer.connection(served.connection)))
    request = json.dumps({"projectId": str(viewer.project_id), "name": "mine"})
    assert "PERMISSION_MISSING" in other("call", "CreateExperiment", request, code=PERMISSION)


def test_a_server_that_is_away_has_its_exit_code(served: UpServer, place: Path) -> None:
    file = place / "connection.json"
    file.write_text(json.dumps({**served.connection, "port": 1}))
    assert "127.0.0.1:1" in Cli(file)("whoami", code=UNAVAILABLE)


def test_a_server_of_another_authority_is_not_trusted(
    served: UpServer, own_server: Any, scratch_url: str, place: Path
) -> None:
    other = own_server(postgres=scratch_url)
    other.start()
    file = place / "connection.json"
    wait_until("the other authority is there", lambda: other.connection["ca_file"])
    file.write_text(json.dumps({**served.connection, "ca_file": other.connection["ca_file"]}))
    assert "certificate" in Cli(file)("whoami", code=UNAVAILABLE)


@pytest.mark.parametrize("command", ["whoami", "settings"])
def test_output_that_cannot_be_written_is_a_failure(served: UpServer, command: str) -> None:
    more = ["--connection-file", served.connection_file] if command == "whoami" else []
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [BINARY, command, *more], stdout=full, stderr=subprocess.PIPE, text=True, cwd="/",
            timeout=PATIENCE_SECONDS, check=False, env=clean_environment(),
        )  # fmt: skip
    assert result.returncode == OTHER
    assert "No space left" in result.stderr


def test_a_reader_that_goes_away_is_no_failure(served: UpServer) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    result = subprocess.run(
        [BINARY, "whoami", "--connection-file", served.connection_file], stdout=writes,
        stderr=subprocess.PIPE, text=True, cwd="/", timeout=PATIENCE_SECONDS, check=False,
        env=clean_environment(),
    )  # fmt: skip
    os.close(writes)
    assert (result.returncode, result.stderr) == (OK, "")


def test_the_script_that_runs_it_takes_the_options_of_up_and_refuses_others_before_it_builds() -> (
    None
):
    script = ROOT / "Scripts" / "run"
    known = set(re.findall(r"^ +(--[a-z-]+)", run_program("up", "--help").stdout, re.MULTILINE))
    taken = set(re.findall(r"--[a-z-]+", script.read_text().partition("configuration=release")[2]))
    assert known - {"--version", "--help"} <= taken
    for arguments in (["--typo"], ["--typo=1"], ["stray"], ["--port", "0", "--lisen", "::1"]):
        answer = subprocess.run(
            [script, *arguments], cwd="/", capture_output=True, text=True, timeout=20, check=False
        )
        assert answer.returncode == USAGE, answer.stderr
        assert "there is no option" in answer.stderr


def test_no_server_to_ask_is_a_wrong_command_line() -> None:
    result = run_program("whoami")
    assert result.returncode == USAGE
    assert "NEEDLETAIL_URL" in result.stderr
