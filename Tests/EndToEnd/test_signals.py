"""SIGHUP and SIGTERM: new certificates and an orderly end, without a lost call."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from authority import Authority, Pair
from organizations import Organization, create_organization
from program import Server, connect_sql, migrate
from waiting import wait_until
from wire import ClosedError, Wire, message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_STREAM = (1 << 32) - 1


class Stage:
    """A `serve` whose certificate a test may change."""

    def __init__(self, folder: Path, url: str) -> None:
        self.authority = Authority(folder)
        self.pair: Pair = self.authority.pair("server")
        self.url = url
        migrate(url, "up")
        with connect_sql(url) as sql:
            self.organization: Organization = create_organization(sql, "acme")
        self.server = Server(
            folder / "server", "serve", "--postgres", url, "--port", "0", "--certificate",
            self.pair.certificate, "--key", self.pair.key,
        )  # fmt: skip
        self.server.start()

    @property
    def connection(self) -> dict[str, Any]:
        """How to connect to the server."""
        return self.organization.connection({
            "address": "127.0.0.1",
            "port": self.server.port,
            "ca_file": str(self.authority.ca_file),
        })  # fmt: skip

    def open(self) -> Wire:
        """Open a connection that is welcome."""
        return Wire.opened(self.connection)


@pytest.fixture
def stage(place: Path, scratch_url: str) -> Iterator[Stage]:
    stage = Stage(place, scratch_url)
    yield stage
    stage.server.discard()


def list_runs(wire: Wire) -> Any:
    return wire.call("ListRuns", message("ListRunsRequest")).status


def create_run(wire: Wire, stage: Stage) -> str:
    project = str(stage.organization.project_id)
    end = wire.call("CreateExperiment", message(
        "CreateExperimentRequest", project_id=project, name="waiting",
    ))  # fmt: skip
    experiment = message("CreateExperimentResponse").FromString(end.message).experiment.id
    end = wire.call("CreateRun", message("CreateRunRequest", experiment_id=experiment))
    return message("CreateRunResponse").FromString(end.message).run.id


def test_a_new_certificate_is_for_new_connections(stage: Stage) -> None:
    with stage.open() as old:
        first = old.certificate
        assert first == stage.pair.der
        stage.pair.replace(stage.authority.pair("renewed"))
        stage.server.signal(signal.SIGHUP)
        stage.server.logged("certificate reloaded")

        def newest() -> bool:
            with stage.open() as wire:
                return list_runs(wire).code == 0 and wire.certificate == stage.pair.der

        # There are several loops, and a connection may come to any of them.
        wait_until("every loop has it", lambda: all(newest() for _ in range(8)))
        assert stage.pair.der != first
        assert list_runs(old).code == 0


@pytest.mark.parametrize("fault", ["mismatch", "missing", "nonsense"])
def test_a_bad_pair_is_refused_and_the_old_one_stays(stage: Stage, fault: str) -> None:
    first = stage.pair.der
    with stage.open() as old:
        if fault == "mismatch":
            other = stage.authority.pair("other")
            stage.pair.certificate.write_bytes(other.certificate.read_bytes())
        elif fault == "missing":
            stage.pair.key.unlink()
        else:
            stage.pair.certificate.write_text("nonsense")
        stage.server.signal(signal.SIGHUP)
        entry = stage.server.logged("certificate refused")
        assert entry["level"] == "error"
        named = stage.pair.key if fault == "missing" else stage.pair.certificate
        assert str(named) in entry["message"]
        with stage.open() as new:
            assert new.certificate == first
            assert list_runs(new).code == 0
        assert list_runs(old).code == 0
    # Put right, it is taken.
    stage.pair.replace(stage.authority.pair("renewed"))
    stage.server.signal(signal.SIGHUP)
    stage.server.logged("certificate reloaded")


def test_the_end_comes_in_two_steps_and_loses_no_call(stage: Stage) -> None:
    with stage.open() as wire:
        run_id = create_run(wire, stage)
        rename = message("UpdateRunRequest", id=run_id, name="renamed")
        with connect_sql(stage.url) as holder, holder.transaction(force_rollback=True):
            holder.execute("select from runs where id = %s for update", [run_id])
            wire.answers_pings = False
            slow = wire.open("UpdateRun", rename)
            stage.server.signal(signal.SIGTERM)
            stage.server.logged("draining")
            assert wire.wait_for_drain() == MAX_STREAM
            # Between the steps the server still takes what was on its way.
            late = wire.open("ListRuns", message("ListRunsRequest"))
            wire.answer_pings()
            assert wire.end(late).status.code == 0
            if len(wire.goaways) == 1:
                wire.wait_for_drain()
            assert wire.goaways[1].last_stream == late
        # The open call is answered after it.
        assert wire.end(slow).status.code == 0
        with pytest.raises(ClosedError):
            wire.receive()
    assert stage.server.wait() == 0
    stage.server.logged("stopped")


def test_a_call_after_the_drain_goes_to_a_new_server(stage: Stage) -> None:
    port = str(stage.server.port)
    found = stage.connection
    with needletail.connect(
        f"needletail://127.0.0.1:{port}", api_key=found["api_key"], ca_file=found["ca_file"]
    ) as client:
        before = client.tracking.list_runs()
        assert stage.server.stop() == 0
        stage.server.arguments = tuple(
            port if argument == "0" else argument for argument in stage.server.arguments
        )
        stage.server.start()
        assert client.tracking.list_runs() == before


def test_a_stream_that_never_ends_does_not_keep_the_server(stage: Stage) -> None:
    stage.server.discard()
    stage.server.arguments = (*stage.server.arguments, "--set", "drain-timeout=500ms")
    stage.server.start()
    with stage.open() as wire:
        run_id = create_run(wire, stage)
        watch = wire.open("WatchRun", message("WatchRunRequest", run_id=run_id, stay=True))
        frame = wire.receive()
        assert frame.stream == watch
        assert stage.server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once(stage: Stage, number: int) -> None:
    with stage.open() as idle:
        stage.server.signal(number)
        assert list(idle.frames()) == []
    assert stage.server.wait() == 0
