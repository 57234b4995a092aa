"""What becomes of experiments and runs: reopened, moved, nested, archived, deleted."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracking import MetricSeries, RunFork, RunSource, RunStatus
from projects import audited, open_team, refused

if TYPE_CHECKING:
    import needletail
    from program import Connection, UpServer

MONTH = dt.timedelta(days=30)


def listed(client: needletail.Client, experiment: str, **filters: Any) -> list[str]:
    found = client.tracking.iterate_runs(experiment_id=experiment, **filters)
    return [run.id for run in found]


@pytest.fixture
def other_experiment(client: needletail.Client, served: UpServer) -> str:
    return client.tracking.create_experiment(
        project_id=served.connection["project_id"], name=f"other {uuid.uuid4()}"
    ).id


def test_a_run_that_is_reopened_goes_on(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    refused("RUN_NOT_FINISHED", tracking.reopen_run, id=run_id)
    ended = tracking.finish_run(id=run_id, status=RunStatus.FAILED)
    refused("ETAG_MISMATCH", tracking.reopen_run, id=run_id, etag="1")
    again = tracking.reopen_run(id=run_id, etag=ended.etag)
    assert (again.status, again.completed_at) == (RunStatus.RUNNING, None)
    assert again.started_at == ended.started_at
    shown = tracking.get_run(id=run_id)
    assert (shown.status, shown.etag, shown.completed_at) == (again.status, again.etag, None)
    tracking.log_batch(run_id=run_id, series=[MetricSeries(key="loss", steps=(1,), values=(1.0,))])
    (entry,) = audited(sql, run_id, "run.reopen")
    assert entry["after"] == {"status": "running"}
    assert entry["before"].keys() == {"status", "completed_at_us"}


def test_a_run_that_was_cancelled_before_it_began_begins_when_reopened(
    client: needletail.Client, experiment_id: str
) -> None:
    tracking = client.tracking
    run = tracking.create_run(experiment_id=experiment_id, status=RunStatus.SCHEDULED).id
    assert tracking.finish_run(id=run, status=RunStatus.CANCELLED).started_at is None
    again = tracking.reopen_run(id=run)
    assert again.started_at is not None
    assert tracking.get_run(id=run).started_at == again.started_at


def test_a_deleted_run_is_not_found_until_it_is_brought_back(
    client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    tracking.log_batch(run_id=run_id, series=[MetricSeries(key="l", steps=(1,), values=(1.0,))])
    tracking.finish_run(id=run_id)
    deleted = tracking.delete_run(id=run_id)
    assert deleted.deleted_at is not None
    assert deleted.purge_after == deleted.deleted_at + MONTH
    for call in (tracking.get_run, tracking.update_run, tracking.finish_run, tracking.delete_run):
        refused("RUN_NOT_FOUND", call, id=run_id)
    refused("RUN_NOT_FOUND", tracking.list_run_tags, run_id=run_id)
    assert listed(client, experiment_id) == []
    (shown,) = tracking.iterate_runs(experiment_id=experiment_id, deleted=True)
    assert shown == deleted
    back = tracking.undelete_run(id=run_id)
    assert (back.deleted_at, back.purge_after) == (None, None)
    assert tracking.get_run(id=run_id).etag == back.etag
    assert [metric.key for metric in tracking.iterate_run_metrics(run_id=run_id)] == ["l"]
    assert listed(client, experiment_id, deleted=True) == []
    refused("RECOVERY_OVER", tracking.undelete_run, id=run_id)
    assert audited(sql, run_id, "run.delete")[0]["after"].keys() == {"deleted_at_us"}
    assert audited(sql, run_id, "run.undelete")[0]["before"].keys() == {"deleted_at_us"}


def test_what_was_deleted_too_long_ago_stays_away(
    client: needletail.Client, experiment_id: str, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    tracking.delete_run(id=run_id)
    sql.execute("update runs set purge_after = now() where id = %s", [run_id])
    refused("RECOVERY_OVER", tracking.undelete_run, id=run_id)
    assert listed(client, experiment_id, deleted=True) == []
    tracking.delete_experiment(id=experiment_id)
    sql.execute("update experiments set purge_after = now() where id = %s", [experiment_id])
    refused("RECOVERY_OVER", tracking.undelete_experiment, id=experiment_id)
    assert experiment_id not in {e.id for e in tracking.iterate_experiments(deleted=True)}


def test_an_experiment_goes_and_comes_back_with_its_runs(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    tracking = client.tracking
    gone_before = tracking.create_run(experiment_id=experiment_id).id
    tracking.delete_run(id=gone_before)
    deleted = tracking.delete_experiment(
        id=experiment_id, etag=tracking.get_experiment(id=experiment_id).etag
    )
    assert deleted.deleted_at is not None
    assert deleted.purge_after == deleted.deleted_at + MONTH
    refused("EXPERIMENT_NOT_FOUND", tracking.get_experiment, id=experiment_id)
    refused("EXPERIMENT_NOT_FOUND", tracking.create_run, experiment_id=experiment_id)
    refused("RUN_NOT_FOUND", tracking.get_run, id=run_id)
    assert listed(client, experiment_id) == []
    # Neither run comes back without it.
    refused("EXPERIMENT_NOT_FOUND", tracking.undelete_run, id=run_id)
    refused("EXPERIMENT_NOT_FOUND", tracking.undelete_run, id=gone_before)
    assert deleted in list(tracking.iterate_experiments(deleted=True))

    back = tracking.undelete_experiment(id=experiment_id)
    assert back == tracking.get_experiment(id=experiment_id)
    assert listed(client, experiment_id) == [run_id]
    assert listed(client, experiment_id, deleted=True) == [gone_before]
    refused("RECOVERY_OVER", tracking.undelete_experiment, id=experiment_id)
    tracking.undelete_run(id=gone_before)
    assert listed(client, experiment_id) == [gone_before, run_id]


def test_the_name_of_a_deleted_experiment_is_free(
    client: needletail.Client, served: UpServer
) -> None:
    tracking, name = client.tracking, f"name {uuid.uuid4()}"
    project = served.connection["project_id"]
    first = tracking.create_experiment(project_id=project, name=name).id
    tracking.delete_experiment(id=first)
    tracking.create_experiment(project_id=project, name=name)
    refused("EXPERIMENT_NAME_TAKEN", tracking.undelete_experiment, id=first)


def test_what_is_archived_is_listed_when_asked_for(
    client: needletail.Client, experiment_id: str, run_id: str, served: UpServer, sql: Connection
) -> None:
    tracking = client.tracking
    archived = tracking.update_run(id=run_id, archived=True)
    assert archived.archived_at is not None
    # Again is no change of when.
    assert tracking.update_run(id=run_id, archived=True).archived_at == archived.archived_at
    assert tracking.get_run(id=run_id).archived_at == archived.archived_at
    project = served.connection["project_id"]
    for filters in (
        {"experiment_id": experiment_id}, {"project_id": project}, {},
        {"status": RunStatus.RUNNING},
    ):  # fmt: skip
        assert run_id not in {run.id for run in tracking.iterate_runs(**filters)}
        with_it = tracking.iterate_runs(**filters, include_archived=True)
        assert run_id in {run.id for run in with_it}
    assert tracking.update_run(id=run_id, archived=False).archived_at is None
    assert listed(client, experiment_id) == [run_id]
    assert [list(e["after"]) for e in audited(sql, run_id, "run.update")] == [
        ["archived_at_us"], [], [],
    ]  # fmt: skip

    assert tracking.update_experiment(id=experiment_id, archived=True).archived_at is not None
    for filters in ({"project_id": project}, {}):
        assert experiment_id not in {e.id for e in tracking.iterate_experiments(**filters)}
        with_it = tracking.iterate_experiments(**filters, include_archived=True)
        assert experiment_id in {experiment.id for experiment in with_it}
    assert listed(client, experiment_id) == [run_id]
    shown = tracking.update_experiment(id=experiment_id, archived=False)
    assert shown == tracking.get_experiment(id=experiment_id)
    assert shown.archived_at is None


def test_a_run_is_pinned_renamed_and_told_its_source(
    client: needletail.Client, run_id: str
) -> None:
    source = RunSource(
        entry_point="train.py", git_commit="c0ffee", git_repository="https://example.com/r.git",
        git_branch="main", git_dirty=True, code_digest="00ff", host="node 1", process_number=4_000,
    )  # fmt: skip
    assert client.tracking.get_run(id=run_id).source is None
    changed = client.tracking.update_run(id=run_id, name="better", pinned=True, source=source)
    assert (changed.name, changed.pinned, changed.source) == ("better", True, source)
    shown = client.tracking.get_run(id=run_id)
    assert (shown.name, shown.pinned, shown.source) == ("better", True, source)
    same = client.tracking.update_run(id=run_id, description="x")
    assert (same.pinned, same.source) == (True, source)
    client.tracking.update_run(id=run_id, pinned=False, source=RunSource())
    shown = client.tracking.get_run(id=run_id)
    assert (shown.pinned, shown.source) == (False, None)
    for bad in (RunSource(host="x" * 1_001), RunSource(process_number=-1)):
        refused("FIELD_INVALID", client.tracking.update_run, id=run_id, source=bad)


def test_a_run_moves_to_another_experiment_of_its_project(
    client: needletail.Client, experiment_id: str, run_id: str, other_experiment: str,
    sql: Connection,
) -> None:  # fmt: skip
    tracking = client.tracking
    moved = tracking.update_run(id=run_id, experiment_id=other_experiment)
    assert moved.experiment_id == other_experiment
    assert listed(client, experiment_id) == []
    assert listed(client, other_experiment) == [run_id]
    assert audited(sql, run_id, "run.update") == [
        {"before": {"experiment_id": experiment_id}, "after": {"experiment_id": other_experiment}}
    ]
    tracking.delete_experiment(id=experiment_id)
    elsewhere = client.identity.create_project(name="elsewhere", slug=f"e-{uuid.uuid4()}").id
    foreign = tracking.create_experiment(project_id=elsewhere, name="first").id
    for unusable in (experiment_id, foreign, str(uuid.uuid4())):
        refused("EXPERIMENT_NOT_FOUND", tracking.update_run, id=run_id, experiment_id=unusable)
    refused("FIELD_INVALID", tracking.update_run, id=run_id, experiment_id="")


def test_runs_are_nested_without_circles_and_to_a_depth(
    client: needletail.Client, experiment_id: str
) -> None:
    tracking = client.tracking
    line = [tracking.create_run(experiment_id=experiment_id).id]
    for _ in range(9):
        run = tracking.create_run(experiment_id=experiment_id, parent_run_id=line[-1])
        assert run.parent_run_id == line[-1]
        line.append(run.id)
    assert tracking.get_run(id=line[1]).parent_run_id == line[0]
    refused(
        "NESTING_TOO_DEEP", tracking.create_run, experiment_id=experiment_id,
        parent_run_id=line[-1],
    )  # fmt: skip
    for below in (line[0], line[1], line[-1]):
        refused("PARENT_RUN_INVALID", tracking.update_run, id=line[0], parent_run_id=below)
    # What is under a run counts, too.
    top = tracking.create_run(experiment_id=experiment_id).id
    refused("NESTING_TOO_DEEP", tracking.update_run, id=line[0], parent_run_id=top)
    assert tracking.update_run(id=line[1], parent_run_id=top).parent_run_id == top
    assert tracking.update_run(id=line[1], parent_run_id="").parent_run_id == ""
    refused("RUN_NOT_FOUND", tracking.update_run, id=top, parent_run_id=str(uuid.uuid4()))
    tracking.delete_run(id=line[0])
    refused(
        "RUN_NOT_FOUND", tracking.create_run, experiment_id=experiment_id, parent_run_id=line[0]
    )


def test_a_parent_is_of_the_same_project(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    project = client.identity.create_project(name="apart", slug=f"a-{uuid.uuid4()}").id
    other = client.tracking.create_experiment(project_id=project, name="first").id
    refused("RUN_NOT_FOUND", client.tracking.create_run, experiment_id=other, parent_run_id=run_id)


def test_a_fork_says_where_it_goes_on_from(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    fork = RunFork(run_id=run_id, step=-3)
    run = client.tracking.create_run(experiment_id=experiment_id, forked_from=fork)
    assert run.forked_from == fork
    assert client.tracking.get_run(id=run.id).forked_from == fork
    absent = RunFork(run_id=str(uuid.uuid4()), step=1)
    refused(
        "RUN_NOT_FOUND", client.tracking.create_run, experiment_id=experiment_id,
        forked_from=absent,
    )  # fmt: skip


def test_nobody_forks_what_they_do_not_see(served: UpServer, sql: Connection) -> None:
    with open_team(served, sql) as team:
        secret, mine = team.project().id, team.developer.client
        own = mine.identity.create_project(name="own", slug=f"o-{uuid.uuid4()}").id
        runs = {}
        for client, project in ((team.owner.client, secret), (mine, own)):
            experiment = client.tracking.create_experiment(project_id=project, name="e").id
            runs[project] = client.tracking.create_run(experiment_id=experiment)
        fork = RunFork(run_id=runs[secret].id, step=1)
        create = {"experiment_id": runs[own].experiment_id, "forked_from": fork}
        refused("RUN_NOT_FOUND", mine.tracking.create_run, **create)
        admin = team.admin.client.tracking.create_run(**create)
        assert admin.forked_from == fork


def test_an_imported_run_began_when_it_did(client: needletail.Client, experiment_id: str) -> None:
    tracking = client.tracking
    began = dt.datetime(2020, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)
    run = tracking.create_run(experiment_id=experiment_id, started_at=began)
    assert run.started_at == began
    ended = tracking.finish_run(id=run.id, completed_at=began + dt.timedelta(milliseconds=1_234))
    assert ended.duration_ms == 1_234
    assert tracking.get_run(id=run.id).duration_ms == 1_234
    late = dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=1)
    early = dt.datetime(1969, 12, 31, tzinfo=dt.UTC)
    for bad in (late, early):
        refused("FIELD_INVALID", tracking.create_run, experiment_id=experiment_id, started_at=bad)
    refused(
        "FIELD_INVALID", tracking.create_run, experiment_id=experiment_id, started_at=began,
        status=RunStatus.SCHEDULED,
    )  # fmt: skip


def test_an_imported_run_goes_from_any_status_to_any(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    began = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    ended = began + dt.timedelta(seconds=3)
    for status in (RunStatus.FAILED, RunStatus.COMPLETED, RunStatus.SCHEDULED):
        refused("FIELD_INVALID", tracking.update_run, id=run_id, status=status)
    for fields in ({"started_at": began}, {"completed_at": ended}, {"end_unknown": True}):
        refused("FIELD_INVALID", tracking.update_run, id=run_id, **fields)

    def write(**fields: Any) -> Any:
        written = tracking.update_run(id=run_id, any_status=True, **fields)
        shown = tracking.get_run(id=run_id)
        assert (written.status, written.etag) == (shown.status, shown.etag)
        times = (written.started_at, written.completed_at)
        assert times == (shown.started_at, shown.completed_at)
        return times

    imported = write(status=RunStatus.FAILED, started_at=began, completed_at=ended, name="old")
    assert imported == (began, ended)
    assert tracking.get_run(id=run_id).duration_ms == 3_000
    assert write(status=RunStatus.COMPLETED) == (began, ended)
    # An end before the start is taken as the start.
    assert write(completed_at=began - dt.timedelta(days=1)) == (began, began)
    assert write(started_at=ended) == (ended, ended)
    assert write(status=RunStatus.RUNNING) == (ended, None)
    assert write(status=RunStatus.SCHEDULED) == (None, None)
    assert write(status=RunStatus.CANCELLED, completed_at=ended) == (None, ended)
    assert write(status=RunStatus.COMPLETED) == (ended, ended)
    # What had an end keeps it; what ends at a time that nobody knows has none, until it is told.
    assert write(status=RunStatus.FAILED, end_unknown=True) == (ended, ended)
    assert write(status=RunStatus.RUNNING) == (ended, None)
    assert write(status=RunStatus.FAILED, end_unknown=True) == (ended, None)
    assert write(status=RunStatus.COMPLETED) == (ended, None)
    assert tracking.get_run(id=run_id).duration_ms == 0
    assert write(completed_at=ended) == (ended, ended)
    entries = audited(sql, run_id, "run.update")
    assert entries[0]["before"].keys() == {"name", "status", "started_at_us"}
    assert entries[0]["after"]["status"] == "failed"
    assert entries[0]["after"]["completed_at_us"] == str(int(ended.timestamp()) * 1_000_000)

    late = dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=1)
    for bad in (
        {"started_at": late}, {"completed_at": dt.datetime(1969, 1, 1, tzinfo=dt.UTC)},
        {"status": RunStatus.RUNNING, "completed_at": ended},
        {"status": RunStatus.SCHEDULED, "started_at": began}, {"status": 9},
        {"status": RunStatus.RUNNING, "end_unknown": True},
        {"completed_at": ended, "end_unknown": True},
    ):  # fmt: skip
        refused("FIELD_INVALID", tracking.update_run, id=run_id, any_status=True, **bad)


def test_a_run_that_is_created_while_its_experiment_is_deleted_goes_with_it(
    client: needletail.Client, experiment_id: str, served: UpServer, sql: Connection
) -> None:
    with served.sql() as creator:
        creator.execute("begin")
        # As CreateRun does it: the experiment is held until the run is committed.
        creator.execute("select from experiments where id = %s for key share", [experiment_id])
        creator.execute(
            "insert into runs (organization_id, id, experiment_id, project_id, name, status,"
            " started_at, created_by) select organization_id, gen_random_uuid(), id, project_id,"
            " 'late', 'running', now(), created_by from experiments where id = %s",
            [experiment_id],
        )
        refused(
            "DEADLINE_EXCEEDED", client.tracking.delete_experiment, id=experiment_id,
            timeout_seconds=0.5,
        )  # fmt: skip
        creator.execute("commit")
    client.tracking.delete_experiment(id=experiment_id)
    row = sql.execute(
        "select count(*) as n from runs where experiment_id = %s and deleted_at is null",
        [experiment_id],
    ).fetchone()
    assert row == {"n": 0}
