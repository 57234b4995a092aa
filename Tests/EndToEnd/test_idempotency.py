"""A keyed change takes effect once, however often and by whichever way it is sent."""

from __future__ import annotations

import os
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from organizations import create_organization
from waiting import wait_until
from wire import IDENTITY, Wire, identity_message, message

if TYPE_CHECKING:
    from program import Connection, UpServer

ABORTED = 10


def new_run(experiment_id: str, name: str) -> Any:
    return message("CreateRunRequest", experiment_id=experiment_id, name=name)


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def effects(sql: Connection, key: str) -> dict[str, int]:
    """Count what the calls with a key left: runs, audit entries, events, kept answers."""
    row = sql.execute(
        "with kept as (select resource_id from idempotency_records where key = %s) select"
        " (select count(*) from runs where id in (select resource_id from kept)) as runs,"
        " (select count(*) from audit_logs where resource_id in (select resource_id from kept)"
        "   and action = 'run.create') as audits,"
        " (select count(*) from events where resource_id in (select resource_id from kept)"
        "   and type = 'run.created') as events,"
        " (select count(*) from kept) as answers",
        [key],
    ).fetchone()
    assert row is not None
    return {name: int(count) for name, count in row.items()}


def runs_named(sql: Connection, name: str) -> int:
    row = sql.execute("select count(*) as runs from runs where name = %s", [name]).fetchone()
    assert row is not None
    return int(row["runs"])


ONCE = {"runs": 1, "audits": 1, "events": 1, "answers": 1}


def test_the_same_request_again_has_the_same_answer(
    wire: Wire, sql: Connection, experiment_id: str, key: str
) -> None:
    request = new_run(experiment_id, key)
    first, second = (wire.call("CreateRun", request, key=key) for _ in range(2))
    assert first.status.code == 0
    assert first.message
    assert second.message == first.message
    assert effects(sql, key) == ONCE
    assert runs_named(sql, key) == 1


def test_another_request_with_the_key_is_refused(
    wire: Wire, sql: Connection, experiment_id: str, run_id: str, key: str
) -> None:
    wire.call("CreateRun", new_run(experiment_id, key), key=key)
    for method, request in (
        ("CreateRun", new_run(experiment_id, f"{key} other")),
        ("FinishRun", message("FinishRunRequest", id=run_id)),
    ):
        status = wire.call(method, request, key=key).status
        assert (status.code, status.reason) == (ABORTED, "IDEMPOTENCY_KEY_REUSED")
    assert effects(sql, key) == ONCE
    assert runs_named(sql, f"{key} other") == 0
    got = wire.call("GetRun", message("GetRunRequest", id=run_id))
    assert message("GetRunResponse").FromString(got.message).run.status == 2


def test_many_at_once_have_one_effect_and_one_answer(
    served: UpServer, sql: Connection, experiment_id: str, key: str
) -> None:
    request = new_run(experiment_id, key)
    start = threading.Barrier(8)
    answers: list[Any] = []

    def work() -> None:
        with Wire.opened(served.connection) as wire:
            start.wait(30)
            answers.extend(wire.call("CreateRun", request, key=key) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 24
    assert {answer.status.reason for answer in answers} == {""}
    assert len({answer.message for answer in answers}) == 1
    assert effects(sql, key) == ONCE
    assert runs_named(sql, key) == 1


def test_many_at_once_on_one_connection_have_one_effect(
    wire: Wire, sql: Connection, experiment_id: str, key: str
) -> None:
    request = new_run(experiment_id, key)
    streams = {wire.open("CreateRun", request, key=key) for _ in range(20)}
    answers = []
    while streams:
        frame = wire.receive()
        streams.remove(frame.stream)
        answers.append(frame.end)
    assert {answer.status.reason for answer in answers} == {""}
    assert len({answer.message for answer in answers}) == 1
    assert effects(sql, key) == ONCE


def test_an_answer_that_was_lost_is_given_again(
    served: UpServer, sql: Connection, experiment_id: str, key: str
) -> None:
    request = new_run(experiment_id, key)
    cut = Wire.opened(served.connection)
    cut.open("CreateRun", request, key=key)
    # The change is made, but nobody is there to hear of it.
    wait_until("the run is there", lambda: runs_named(sql, key))
    cut.cut()
    with Wire.opened(served.connection) as wire:
        answer = wire.call("CreateRun", request, key=key)
    run = message("CreateRunResponse").FromString(answer.message).run
    row = sql.execute("select id::text from runs where name = %s", [key]).fetchone()
    assert row == {"id": run.id}
    assert effects(sql, key) == ONCE


@pytest.mark.parametrize("cuts", [1, 5])
def test_a_connection_cut_right_after_the_call_has_one_effect_in_the_end(
    served: UpServer, sql: Connection, experiment_id: str, key: str, cuts: int
) -> None:
    request = new_run(experiment_id, key)
    for _ in range(cuts):
        wire = Wire.opened(served.connection)
        wire.open("CreateRun", request, key=key)
        wire.cut()
    with Wire.opened(served.connection) as wire:
        assert wire.call("CreateRun", request, key=key).status.code == 0
    assert effects(sql, key) == ONCE
    assert runs_named(sql, key) == 1


def test_an_error_is_not_kept(
    wire: Wire, sql: Connection, served: UpServer, experiment_id: str, key: str
) -> None:
    missing = message("CreateRunRequest", experiment_id=str(uuid.uuid4()), name=key)
    first = wire.call("CreateRun", missing, key=key)
    assert first.status.reason == "EXPERIMENT_NOT_FOUND"
    assert effects(sql, key) == {"runs": 0, "audits": 0, "events": 0, "answers": 0}
    assert wire.call("CreateRun", new_run(experiment_id, key), key=key).status.code == 0
    assert effects(sql, key) == ONCE


def test_a_change_that_looks_first_is_kept_too(
    wire: Wire, sql: Connection, run_id: str, key: str
) -> None:
    request = message("UpdateRunRequest", id=run_id, name=f"named {key}")
    first, second = (wire.call("UpdateRun", request, key=key) for _ in range(2))
    assert first.status.code == 0
    assert second.message == first.message
    row = sql.execute(
        "select count(*) as entries from audit_logs where resource_id = %s"
        " and action = 'run.update'",
        [run_id],
    ).fetchone()
    assert row == {"entries": 1}


def test_an_answer_outlives_what_it_was_about(served: UpServer, sql: Connection, key: str) -> None:
    organization = create_organization(sql, "gone")
    project = str(organization.project_id)
    with Wire.opened(organization.connection(served.connection)) as wire:
        made = wire.call(
            "CreateExperiment",
            message("CreateExperimentRequest", project_id=project, name=key),
        )
        experiment = message("CreateExperimentResponse").FromString(made.message).experiment.id
        request = new_run(experiment, key)
        first = wire.call("CreateRun", request, key=key)
        delete = identity_message("DeleteProjectRequest", id=project)
        assert wire.call(f"{IDENTITY}/DeleteProject", delete).status.code == 0
        assert wire.call("CreateRun", request, key=key).message == first.message
        status = wire.call("CreateRun", request).status
        assert status.reason == "EXPERIMENT_NOT_FOUND"
    assert effects(sql, key) == ONCE


def test_a_key_belongs_to_its_organization(
    served: UpServer, wire: Wire, sql: Connection, experiment_id: str, key: str
) -> None:
    assert wire.call("CreateRun", new_run(experiment_id, key), key=key).status.code == 0
    rival = create_organization(sql, "rival")
    with Wire.opened(rival.connection(served.connection)) as other:
        request = message("CreateExperimentRequest", project_id=str(rival.project_id), name=key)
        assert other.call("CreateExperiment", request, key=key).status.code == 0


def test_changes_without_a_key_are_each_made(
    wire: Wire, sql: Connection, experiment_id: str, key: str
) -> None:
    for _ in range(3):
        assert wire.call("CreateRun", new_run(experiment_id, key)).status.code == 0
    assert runs_named(sql, key) == 3


def test_a_key_of_64_bytes_is_taken(wire: Wire, sql: Connection, experiment_id: str) -> None:
    key = os.urandom(32).hex()
    assert wire.call("CreateRun", new_run(experiment_id, key), key=key).status.code == 0
    assert effects(sql, key) == ONCE
