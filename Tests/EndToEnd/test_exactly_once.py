"""A training script logs while servers and databases die: every point is stored, each once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from program import BINARY, ROOT, UpServer, clean_environment, new_folder, remove
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITER = Path(__file__).with_name("writer.py")
ROUNDS = 4
# So many points between two faults: each comes in mid-stream.
POINTS_BETWEEN = 400


class Script:
    """The running script."""

    def __init__(self, server: UpServer, spool: Path) -> None:
        """Start the script against a server."""
        self._server = server
        self._process = subprocess.Popen(
            [sys.executable, WRITER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
            env=clean_environment(
                NEEDLETAIL_CONNECTION_FILE=str(server.connection_file),
                NEEDLETAIL_SPOOL_DIR=str(spool),
                PYTHONPATH=str(ROOT / "SDKs/python/src"),
            ),
        )  # fmt: skip
        self.run_id = self._line()["run_id"]

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stored(self) -> int:
        """How many points are in the database; 0 while that does not answer."""
        with contextlib.suppress(psycopg.OperationalError), self._server.sql() as sql:
            row = sql.execute(
                "select coalesce(sum(point_count), 0) as points from metric_chunks"
                " where run_id = %s",
                [self.run_id],
            ).fetchone()
            return int(row["points"]) if row else 0
        return 0

    def wait_for_more(self) -> None:
        """Wait until the stream flows."""
        floor = self.stored() + POINTS_BETWEEN
        wait_until(f"{floor} points are stored", lambda: self.stored() >= floor)

    def finish(self) -> dict[str, Any]:
        """Tell the script that it is done; return what it says about its points."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        summary = self._line()
        assert self._process.wait(60) == 0
        return summary

    def discard(self) -> None:
        """End it; for the end of a test."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@pytest.fixture(scope="module")
def server() -> Iterator[UpServer]:
    """One server for all: each test leaves it in working order, which is what it tests."""
    folder = new_folder()
    server = UpServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.discard()
        remove(folder)


@pytest.fixture
def script(server: UpServer, place: Path) -> Iterator[Script]:
    script = Script(server, place / "spool")
    yield script
    script.discard()


def assert_every_point_is_there_once(server: UpServer, script: Script) -> None:
    """End the script and compare what it logged with what is stored, in three ways."""
    summary = script.finish()
    steps = summary["steps"]
    assert summary == {
        "steps": steps, "acknowledged": 2 * steps, "unsent": 0, "refused": 0, "dropped": 0,
        "is_finished": True,
    }  # fmt: skip
    # Duplicates would show here, where the view would hide them.
    assert script.stored() == 2 * steps
    wanted = {"up": [step / 2 for step in range(steps)], "down": [-step for step in range(steps)]}
    with server.sql() as sql, server.client() as client:
        for key, values in wanted.items():
            rows = sql.execute(
                "select step, value from run_metrics where run_id = %s and metric_name = %s"
                " order by step",
                [script.run_id, key],
            ).fetchall()
            assert [(row["step"], row["value"]) for row in rows] == list(enumerate(values))
            streamed: list[tuple[int, float]] = []
            for part in client.tracking.stream_metric_history(run_id=script.run_id, key=key):
                streamed += zip(part.series.steps, part.series.values, strict=True)
            assert streamed == list(enumerate(values))
            paged: list[int] = []
            token = ""
            while True:
                page = client.tracking.get_metric_history(
                    run_id=script.run_id, key=key, page_size=5_000, page_token=token
                )
                paged += page.series.steps
                token = page.next_page_token
                if not token:
                    break
            assert paged == list(range(steps))
        assert client.tracking.get_run(id=script.run_id).status.name == "COMPLETED"
    with server.sql() as sql:
        rows = sql.execute(
            "select text from run_log_lines where run_id = %s order by chunk_id, line_number",
            [script.run_id],
        ).fetchall()
    assert [row["text"] for row in rows] == [f"line {step}" for step in range(steps)]


def test_the_server_is_killed_and_started_again(server: UpServer, script: Script) -> None:
    before = server.connection
    for _ in range(ROUNDS):
        script.wait_for_more()
        server.kill()
        server.start()
        assert server.connection == before
    script.wait_for_more()
    assert_every_point_is_there_once(server, script)


def test_a_watch_goes_on_where_it_was(server: UpServer, script: Script) -> None:
    with subprocess.Popen(
        [BINARY, "runs", "watch", script.run_id, "-o", "json", "--connection-file",
         server.connection_file],
        stdout=subprocess.PIPE, text=True, env=clean_environment(), cwd="/",
    ) as watch:  # fmt: skip
        assert watch.stdout is not None
        # It has begun before the server goes, and again before its database goes.
        heard = [json.loads(watch.stdout.readline())]
        for _ in range(2):
            script.wait_for_more()
            server.kill()
            server.start()
        script.wait_for_more()
        killed = server.postmaster
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        script.wait_for_more()
        assert_every_point_is_there_once(server, script)
        heard += [json.loads(line) for line in watch.stdout]
        assert watch.wait(60) == 0
    told: dict[str, list[int]] = {"up": [], "down": []}
    for change in heard:
        for series in change.get("series", []):
            told[series["key"]] += [int(step) for step in series["steps"]]
    stored = script.stored() // 2
    assert {key: sorted(steps) for key, steps in told.items()} == {
        key: list(range(stored)) for key in told
    }


def test_a_log_is_followed_over_what_dies(server: UpServer, script: Script) -> None:
    with subprocess.Popen(
        [BINARY, "logs", script.run_id, "-f", "--json", "text", "--connection-file",
         server.connection_file],
        stdout=subprocess.PIPE, text=True, env=clean_environment(), cwd="/",
    ) as follower:  # fmt: skip
        assert follower.stdout is not None
        heard = [json.loads(follower.stdout.readline())]
        for _ in range(2):
            script.wait_for_more()
            server.kill()
            server.start()
        script.wait_for_more()
        assert_every_point_is_there_once(server, script)
        heard += [json.loads(line) for line in follower.stdout]
        assert follower.wait(60) == 0
    steps = script.stored() // 2
    assert [line["text"] for line in heard] == [f"line {step}" for step in range(steps)]


def test_postgresql_is_killed_and_the_server_starts_it_again(
    server: UpServer, script: Script
) -> None:
    for _ in range(ROUNDS):
        script.wait_for_more()
        killed = server.postmaster
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_until("PostgreSQL runs again", lambda old=killed: server.postmaster not in {None, old})
        script.wait_for_more()
    assert server.process is not None
    assert server.process.poll() is None, server.log
    assert_every_point_is_there_once(server, script)


def test_both_are_killed_at_once(server: UpServer, script: Script) -> None:
    for _ in range(2):
        script.wait_for_more()
        killed = server.postmaster
        assert killed is not None
        server.signal(signal.SIGKILL)
        os.kill(killed, signal.SIGKILL)
        server.wait()
        server.start()
    script.wait_for_more()
    assert_every_point_is_there_once(server, script)


def test_every_database_connection_is_ended(server: UpServer, script: Script) -> None:
    ended = 0
    for _ in range(3 * ROUNDS):
        script.wait_for_more()
        with server.sql() as sql:
            ended += len(
                sql.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'needletail'"
                ).fetchall()
            )
    script.wait_for_more()
    assert ended >= 3 * ROUNDS
    assert server.process is not None
    assert server.process.poll() is None, server.log
    assert_every_point_is_there_once(server, script)


def test_the_server_is_told_to_stop_and_started_again(server: UpServer, script: Script) -> None:
    for _ in range(2):
        script.wait_for_more()
        assert server.stop() == 0
        assert server.postmaster is None
        server.start()
    script.wait_for_more()
    assert_every_point_is_there_once(server, script)
