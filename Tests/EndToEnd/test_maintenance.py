"""Upkeep as an operator sees it: what ran, what runs, what is wrong, and who takes over."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from postgres import create_database, drop_database
from program import connect_sql, run_program
from waiting import wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from program import Connection, UpServer

TASKS = [
    "artifacts", "idempotency-keys", "metric-compaction", "metric-retention", "metric-values",
    "partitions", "purge",
]  # fmt: skip
# What a command does that has no server's store.
OWN = [task for task in TASKS if task != "artifacts"]


def maintenance(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return run_program("maintenance", *words, "--postgres", url)


def tasks(url: str, *words: str) -> dict[str, dict[str, Any]]:
    """Return what is said of each task."""
    told = maintenance(url, *(words or ("status",)), "--json")
    assert told.returncode == 0, told.stderr
    return {task["name"]: task for task in json.loads(told.stdout)["tasks"]}


def failure(told: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """Return a failed command's exit code, its reason and its message."""
    assert told.stdout == ""
    error = json.loads(told.stderr.splitlines()[-1])["error"]
    return told.returncode, error["reason"], error["message"]


def test_an_operator_sees_and_runs_upkeep(served: UpServer, sql: Connection) -> None:
    url = served.database_url
    ran = maintenance(url, "run", "partitions")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"partitions: \d+ rows in \d+ ms\n", ran.stdout)
    shown = maintenance(url, "status").stdout
    assert re.search(r"^TASK +STATE +BEGAN +TOOK +ROWS +LAST GOOD +ERROR$", shown, re.MULTILINE)
    assert re.search(r"^partitions +done +\d{4}-\d\d-\d\d .* ms +\d+ .* –$", shown, re.MULTILINE)
    # Another has it.
    server = str(uuid.uuid4())
    sql.execute(
        "update maintenance_tasks set leased_by = %s, leased_until = now() + interval '1 hour'"
        " where name = 'partitions'",
        [server],
    )
    assert maintenance(url, "run", "partitions").stdout == "partitions: a server is at it\n"
    task = tasks(url)["partitions"]
    assert (task["state"], task["server"]) == ("running", server)
    # It went away.
    sql.execute(
        "update maintenance_tasks set leased_until = now() - interval '1 second'"
        " where name = 'partitions'"
    )
    assert tasks(url)["partitions"]["state"] == "abandoned"
    assert re.fullmatch(r"partitions: \d+ rows.*\n", maintenance(url, "run", "partitions").stdout)
    task = tasks(url)["partitions"]
    assert (task["state"], "server" in task, "error" in task) == ("done", False, False)


def test_programs_read_what_ran(served: UpServer) -> None:
    ran = tasks(served.database_url, "run")
    assert sorted(ran) == OWN
    assert all(task["state"] in {"done", "running"} for task in ran.values())
    told = maintenance(served.database_url, "status", "--json", "name,state")
    assert {"name": "purge", "state": "done"} in json.loads(told.stdout)


def test_a_task_that_fails_keeps_no_other_back(scratch_url: str) -> None:
    assert run_program("migrate", "up", "--postgres", scratch_url).returncode == 0
    assert maintenance(scratch_url, "status").stdout == "no task has run\n"
    with connect_sql(scratch_url) as sql:
        sql.execute("drop function needletail_purge(timestamptz, bigint)")
    ran = maintenance(scratch_url, "run")
    assert ran.returncode == 1
    assert [line.split(":")[0] for line in ran.stdout.splitlines()] == [
        "partitions", "idempotency-keys", "purge", "metric-values", "metric-compaction",
        "metric-retention",
    ]  # fmt: skip
    assert "purge: failed after 0 rows" in ran.stdout
    assert "UPKEEP_FAILED" in ran.stderr
    task = tasks(scratch_url)["purge"]
    assert task["state"] == "failed"
    assert "needletail_purge" in task["error"]
    assert "succeededAt" not in task


@pytest.mark.parametrize(
    ("words", "status", "reason", "part"),
    [
        (["run", "nonsense"], 2, "TASK_UNKNOWN", "metric-compaction"),
        (["run", "artifacts"], 2, "TASK_UNKNOWN", "servers alone"),
        (["run", "trace-retention"], 2, "TASK_UNKNOWN", "traces-kept-for"),
        (["run", "--set", "nonsense=1"], 2, "SETTINGS_INVALID", "needletail settings"),
        (["run", "--set", "purge-batch-rows=0"], 2, "SETTINGS_INVALID", "from 1 to 100000"),
        (["status", "--json", "nonsense"], 2, "FIELD_UNKNOWN", "startedAt"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(
    served: UpServer, words: list[str], status: int, reason: str, part: str
) -> None:
    told = maintenance(served.database_url, *words, *([] if "--json" in words else ["--json"]))
    code, found, message = failure(told)
    assert (code, found) == (status, reason)
    assert part in message


def test_a_database_that_cannot_be_used_is_told_with_what_to_do(
    served: UpServer, scratch_url: str, sql: Connection
) -> None:
    code, reason, message = failure(maintenance(scratch_url, "status", "-o", "json"))
    assert (code, reason) == (1, "UPKEEP_FAILED")
    assert "needletail migrate up" in message
    name = f"nobody_{uuid.uuid4().hex[:8]}"
    sql.execute(f"create role {name} login")
    try:
        url = served.database_url.replace("user=needletail", f"user={name}")
        code, reason, message = failure(maintenance(url, "status", "--json"))
        assert (code, reason) == (3, "DATABASE_ROLE_REFUSED")
        assert "refuses the role needletail_maintenance" in message
        assert "grant the role" in message
    finally:
        sql.execute(f"drop role {name}")


def test_another_server_takes_over_from_one_that_was_killed(
    cluster_url: str, own_server: Callable[..., UpServer]
) -> None:
    url = create_database(cluster_url)
    options = ("--operations-port", "0", "--set", "settling-interval=100ms")
    servers = [own_server(*options, postgres=url, folder=f"server{n}") for n in (1, 2)]
    files = servers[0].data / "artifacts"
    servers[1].arguments += ("--set", f"artifact-folder={files}")
    try:
        servers[0].start()
        with servers[0].sql() as sql:
            # Whoever comes next cannot end it.
            with sql.transaction():
                sql.execute("lock table run_metric_summaries in exclusive mode")
                lease = wait_until(
                    "the first server is at it",
                    lambda: sql.execute(
                        "select leased_by from maintenance_tasks as task"
                        " where name = 'metric-values' and leased_until > clock_timestamp()"
                        " and exists (select from pg_stat_activity where wait_event_type = 'Lock')"
                    ).fetchone(),
                )
                servers[0].kill()
            servers[1].start()
            assert tasks(url)["metric-values"]["server"] == str(lease["leased_by"])
            # Three minutes later:
            sql.execute(
                "update maintenance_tasks set leased_until = now() - interval '1 second'"
                " where leased_by = %s",
                [lease["leased_by"]],
            )
            wait_until(
                "the second does it",
                lambda: (
                    sql.execute(
                        "select from maintenance_tasks where name = 'metric-values'"
                        " and finished_at > started_at and leased_by is null"
                    ).fetchone()
                    is not None
                ),
            )
            page = servers[1].page("/metrics")[1]
            assert 'needletail_maintenance_runs_total{task="metric-values"}' in page
        assert servers[1].stop() == 0
    finally:
        for server in servers:
            server.discard()
        drop_database(cluster_url, url)
