"""The SDK against a real server."""

from __future__ import annotations

import asyncio
import datetime
import math
import os
import socket
import threading
import uuid
from typing import Any

import pytest

import needletail
from needletail.tracking import (
    AppendMetricsRequest,
    Experiment,
    MetricSeries,
    RunMetrics,
    RunSource,
    RunStatus,
    TrackingErrorReason,
)

MAX_STEP = (1 << 63) - 1


def test_the_key_says_who_it_is(client: needletail.Client) -> None:
    caller = client.identity.who_am_i()
    assert uuid.UUID(caller.organization_id)
    assert caller.organization_id == (client.settings.organization_id or caller.organization_id)
    assert caller.permissions == tuple(sorted(caller.permissions))
    assert "run.log" in caller.permissions
    assert caller.projects


def test_a_wrong_key_is_unauthenticated(client: needletail.Client) -> None:
    wrong = needletail.connect(api_key=client.settings.api_key[:-3] + "000")
    with wrong, pytest.raises(needletail.UnauthenticatedError) as caught:
        wrong.identity.who_am_i()
    assert caught.value.reason


def test_the_server_is_ready_and_lists_its_methods(client: needletail.Client) -> None:
    assert client.server.health().state is needletail.rpc.HealthResponseState.READY
    names = [method.name for method in client.server.list_methods().methods]
    assert names == sorted(names)
    assert "needletail.tracking.v1.Tracking/AppendMetrics" in names
    assert client.server.get_descriptors().file_descriptor_set


@pytest.mark.parametrize("size", [0, 1, 100_000, 3 << 20])
def test_what_is_sent_comes_back(client: needletail.Client, size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert client.server.echo(payload=payload).payload == payload


def test_experiments_are_created_read_listed_and_changed(
    client: needletail.Client, project: str, experiment: Experiment
) -> None:
    tracking = client.tracking
    assert tracking.get_experiment(id=experiment.id) == experiment
    age = datetime.datetime.now(datetime.timezone.utc) - experiment.created_at
    assert abs(age) < datetime.timedelta(minutes=5)
    page = tracking.list_experiments(project_id=project, name=experiment.name.upper())
    assert page.experiments == (experiment,)
    changed = tracking.update_experiment(
        id=experiment.id, etag=experiment.etag, description="what for"
    )
    assert (changed.name, changed.description) == (experiment.name, "what for")
    with pytest.raises(needletail.AbortedError) as caught:
        tracking.update_experiment(id=experiment.id, etag=experiment.etag, description="late")
    assert caught.value.reason == needletail.rpc.RpcErrorReason.ETAG_MISMATCH
    with pytest.raises(needletail.AlreadyExistsError) as taken:
        tracking.create_experiment(project_id=project, name=experiment.name)
    assert taken.value.reason == TrackingErrorReason.EXPERIMENT_NAME_TAKEN


def test_the_same_key_has_one_effect(client: needletail.Client, experiment: Experiment) -> None:
    key = str(uuid.uuid4())
    first, second = (
        client.tracking.create_run(experiment_id=experiment.id, name="once", idempotency_key=key)
        for _ in range(2)
    )
    assert first == second
    assert len(list(client.tracking.iterate_runs(experiment_id=experiment.id))) == 1
    with pytest.raises(needletail.AbortedError) as caught:
        client.tracking.create_run(experiment_id=experiment.id, name="other", idempotency_key=key)
    assert caught.value.reason == needletail.rpc.RpcErrorReason.IDEMPOTENCY_KEY_REUSED


def test_runs_are_paged_newest_first(client: needletail.Client, experiment: Experiment) -> None:
    made = [
        client.tracking.create_run(experiment_id=experiment.id, name=f"run {index}").id
        for index in range(7)
    ]
    pages = client.tracking.iterate_runs(experiment_id=experiment.id, page_size=3)
    assert [run.id for run in pages] == made[::-1]
    with pytest.raises(needletail.InvalidArgumentError) as caught:
        client.tracking.list_runs(experiment_id=experiment.id, page_token="nonsense")
    assert caught.value.reason == needletail.rpc.RpcErrorReason.PAGE_TOKEN_INVALID


def test_a_run_has_a_life(client: needletail.Client, experiment: Experiment) -> None:
    tracking = client.tracking
    run = tracking.create_run(experiment_id=experiment.id, status=RunStatus.SCHEDULED)
    assert (run.status, run.started_at) == (RunStatus.SCHEDULED, None)
    run = tracking.update_run(id=run.id, etag=run.etag, status=RunStatus.RUNNING, name="named")
    assert (run.status, run.name) == (RunStatus.RUNNING, "named")
    assert run.started_at is not None
    run = tracking.finish_run(id=run.id, status=RunStatus.FAILED)
    assert run.status is RunStatus.FAILED
    assert run.completed_at is not None
    with pytest.raises(needletail.FailedPreconditionError) as caught:
        tracking.finish_run(id=run.id)
    assert caught.value.reason == TrackingErrorReason.RUN_FINISHED


@pytest.mark.parametrize("identifier", [str(uuid.uuid4()), "no uuid"])
def test_what_is_not_there_is_an_error(client: needletail.Client, identifier: str) -> None:
    with pytest.raises((needletail.NotFoundError, needletail.InvalidArgumentError)):
        client.tracking.get_run(id=identifier)


def test_every_bad_field_is_named(client: needletail.Client) -> None:
    with pytest.raises(needletail.InvalidArgumentError) as caught:
        client.tracking.create_experiment(project_id="no uuid", name="", config_json="[")
    fields = {violation.field for violation in caught.value.field_violations}
    assert {"project_id", "name", "config_json"} <= fields


def test_a_logged_run_is_stored_point_by_point(
    client: needletail.Client, experiment: Experiment
) -> None:
    with needletail.run(experiment=experiment.id, name="logged") as run:
        for index in range(2500):
            run.log({"loss": 1 / (index + 1), "accuracy": index / 2500}, step=index)
        run.log({"odd": math.nan}, step=-5)
        run.log({"odd": math.inf}, step=MAX_STEP)
    assert run.finish().unsent_points == 0
    assert run.id is not None
    stored = client.tracking.get_run(id=run.id)
    assert (stored.status, stored.name) == (RunStatus.COMPLETED, "logged")
    metrics = {m.key: m for m in client.tracking.iterate_run_metrics(run_id=run.id)}
    assert list(metrics) == ["accuracy", "loss", "odd"]
    assert (metrics["loss"].count, metrics["loss"].last_step) == (2500, 2499)
    assert metrics["loss"].min_value == 1 / 2500
    assert (metrics["odd"].last_step, metrics["odd"].last_value) == (MAX_STEP, math.inf)
    steps: list[int] = []
    values: list[float] = []
    token = ""
    while True:
        page = client.tracking.get_metric_history(
            run_id=run.id, key="loss", page_size=1000, page_token=token
        )
        steps += page.series.steps
        values += page.series.values
        token = page.next_page_token
        if not token:
            break
    assert steps == list(range(2500))
    assert values == [1 / (index + 1) for index in range(2500)]
    streamed: list[int] = []
    for part in client.tracking.stream_metric_history(run_id=run.id, key="loss", from_step=2000):
        streamed += part.series.steps
    assert streamed == list(range(2000, 2500))


def batch(writer: str, sequence: int, run_id: str, step: int) -> AppendMetricsRequest:
    series = MetricSeries(key="x", steps=(step,), times_us=(1_800_000_000_000_000,), values=(0.5,))
    return AppendMetricsRequest(
        writer_id=writer, sequence=sequence, runs=(RunMetrics(run_id=run_id, series=(series,)),)
    )


def test_a_run_tells_its_source_and_is_nested_and_forked(
    client: needletail.Client, experiment: Experiment
) -> None:
    def begin(name: str, **more: Any) -> needletail.ActiveRun:
        return needletail.run(experiment=experiment.id, name=name, client=client, **more)

    with begin("first") as first:
        for step in range(10):
            first.log({"loss": float(step)})
        assert first.flush()
        with begin("second", parent=first, fork_of=first, fork_step=4) as second:
            second.log({"loss": 50.0})
    assert first.id is not None
    assert second.id is not None
    found = client.tracking.get_run(id=second.id)
    assert found.parent_run_id == first.id
    assert found.forked_from is not None
    assert (found.forked_from.run_id, found.forked_from.step) == (first.id, 4)
    points = client.history(second.id, "loss")[second.id, "loss"].points()
    assert [(step, value) for step, _, value in points] == [
        (0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 50.0)
    ]  # fmt: skip
    told = found.source
    assert told is not None
    assert (told.host, told.process_number) == (socket.gethostname(), os.getpid())
    with begin("silent", source=False) as silent:
        pass
    assert silent.id is not None
    assert client.tracking.get_run(id=silent.id).source is None
    said = RunSource(entry_point="notebook.ipynb", code_digest="5c1ab2")
    with begin("said", source=said) as named:
        pass
    assert named.id is not None
    assert client.tracking.get_run(id=named.id).source == said
    for wrong in ({"fork_of": first}, {"fork_step": 1}, {"resume": first.id, "parent": first}):
        with pytest.raises(needletail.SettingsError):
            begin("wrong", **wrong)
    unknown = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(needletail.NotFoundError):
        begin("orphan", parent=unknown)


def test_batches_are_committed_once_whatever_is_sent_again(
    client: needletail.Client, experiment: Experiment
) -> None:
    run = client.tracking.create_run(experiment_id=experiment.id)
    writer = str(uuid.uuid4())
    with client.tracking.append_metrics() as call:
        call.send(AppendMetricsRequest(writer_id=writer))
        opening = call.receive(10)
        assert opening is not None
        assert opening.acknowledged_sequence == 0
        for sequence in (1, 2, 3):
            call.send(batch(writer, sequence, run.id, sequence))
        while (answer := call.receive(10)) is not None and answer.acknowledged_sequence < 3:
            pass
    with client.tracking.append_metrics() as call:
        call.send(AppendMetricsRequest(writer_id=writer))
        opening = call.receive(10)
        assert opening is not None
        assert opening.acknowledged_sequence == 3
        for sequence in (2, 3, 4):
            call.send(batch(writer, sequence, run.id, sequence))
        call.half_close()
        assert max(answer.acknowledged_sequence for answer in call) == 4
    history = client.tracking.get_metric_history(run_id=run.id, key="x")
    assert history.series.steps == (1, 2, 3, 4)
    with client.tracking.append_metrics() as call:
        call.send(AppendMetricsRequest(writer_id=writer))
        call.send(batch(writer, 9, run.id, 9))
        with pytest.raises(needletail.FailedPreconditionError) as caught:
            for _ in call:
                pass
    assert caught.value.reason == TrackingErrorReason.SEQUENCE_GAP
    assert caught.value.details["expected_sequence"] == "5"


def test_a_finished_run_takes_no_points(client: needletail.Client, experiment: Experiment) -> None:
    run = client.tracking.create_run(experiment_id=experiment.id)
    client.tracking.finish_run(id=run.id)
    with client.tracking.append_metrics() as call:
        call.send(batch(str(uuid.uuid4()), 1, run.id, 1))
        with pytest.raises(needletail.FailedPreconditionError) as caught:
            for _ in call:
                pass
    assert caught.value.reason == TrackingErrorReason.RUN_FINISHED


def test_a_watcher_sees_everything_once_and_resumes(
    client: needletail.Client, experiment: Experiment
) -> None:
    with needletail.run(experiment=experiment.id, flush_seconds=0.02) as run:
        assert run.id is not None
        seen: list[int] = []
        token = ""
        for first, last in ((0, 50), (50, 100)):
            for index in range(first, last):
                run.log({"x": index}, step=index)
            with client.tracking.watch_run(run_id=run.id, resume_token=token) as watch:
                for change in watch:
                    seen += [step for series in change.series for step in series.steps]
                    token = change.resume_token or token
                    if len(seen) >= last:
                        break
        ended = threading.Timer(0.1, run.finish)
        ended.start()
        statuses = []
        for change in client.tracking.watch_run(run_id=run.id, resume_token=token):
            seen += [step for series in change.series for step in series.steps]
            statuses += [change.run.status] if change.run is not None else []
        ended.join()
    assert seen == list(range(100))
    assert statuses[-1] is RunStatus.COMPLETED


def test_a_bad_resume_token_is_refused(client: needletail.Client, experiment: Experiment) -> None:
    run = client.tracking.create_run(experiment_id=experiment.id)
    with pytest.raises(needletail.CallError) as caught:
        next(iter(client.tracking.watch_run(run_id=run.id, resume_token="nonsense")))
    assert caught.value.reason in {"RESUME_TOKEN_INVALID", "RESUME_TOKEN_EXPIRED"}


def test_many_threads_and_tasks_at_once(client: needletail.Client, experiment: Experiment) -> None:
    made: list[str] = []

    def work() -> None:
        made.extend(client.tracking.create_run(experiment_id=experiment.id).id for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 80

    async def main() -> list[str]:
        async with needletail.aio.connect() as other:
            runs = await asyncio.gather(
                *(other.tracking.get_run(id=identifier) for identifier in made)
            )
            return [run.id for run in runs]

    assert asyncio.run(main()) == made
