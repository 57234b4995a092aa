"""What was deleted can be read until it is gone for good, by whoever could read it before."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.identity import Visibility
from needletail.tracking import (
    InputDataset,
    LifeView,
    MetricSeries,
    ModelRole,
    NewRunInput,
    NewRunModel,
    Parameter,
    SearchInclude,
    Tag,
)
from program import run_program
from projects import open_team, refused

if TYPE_CHECKING:
    from pathlib import Path

    import needletail
    from program import Connection, UpServer

ALL = SearchInclude(all=True)
LIVE, DELETED, BOTH = LifeView.LIVE, LifeView.DELETED, LifeView.ALL


def fill(client: needletail.Client, run: str) -> None:
    """Give a run something of everything that it can have."""
    tracking = client.tracking
    tracking.log_batch(
        run_id=run, parameters=[Parameter(key="lr", value="1")], tags=[Tag(key="a", value="b")],
        series=[MetricSeries(key="loss", steps=(1, 2), values=(0.5, 0.25))],
    )  # fmt: skip
    tracking.log_parameters(run_id=run, parameters=[Parameter(key="lr", value="2")], overwrite=True)
    dataset = InputDataset(name="digits", digest="d1")
    tracking.log_inputs(run_id=run, inputs=[NewRunInput(dataset=dataset)])
    tracking.log_models(run_id=run, models=[NewRunModel(role=ModelRole.OUTPUT, name="m")])


def told(client: needletail.Client, run: str, **options: Any) -> dict[str, Any]:
    """Return what every reading method tells of a run."""
    tracking = client.tracking
    stream = tracking.stream_metric_history(run_id=run, key="loss", **options)
    streams = tracking.stream_metric_histories(run_ids=[run], keys=["loss"], **options)
    with stream as points, streams as several:
        streamed = [list(one.series.values) for one in (*points, *several)]
    buckets = tracking.downsample_metric_history(run_ids=[run], keys=["loss"], **options)
    read = {"run_id": run, **options}
    return {
        "name": tracking.get_run(id=run, **options).name,
        "tags": list(tracking.list_run_tags(**read).tags),
        "parameters": list(tracking.list_run_parameters(**read).parameters),
        "before": [v.value for v in tracking.list_parameter_history(key="lr", **read).versions],
        "metrics": list(tracking.list_run_metrics(**read).metrics),
        "points": list(tracking.get_metric_history(key="loss", **read).series.values),
        "streamed": streamed,
        "buckets": [list(one.counts) for one in buckets.series],
        "inputs": list(tracking.list_run_inputs(**read).inputs),
        "models": list(tracking.list_run_models(**read).models),
        "history": list(client.history(run, **options)[run, "loss"].values),
        "downsampled": list(client.downsample(run, **options)[run, "loss"].counts),
    }


def found(client: needletail.Client, experiment: str, **search: Any) -> list[str]:
    """Return the names of runs that a search finds, page by page."""
    runs = client.iterate_search_runs(experiment_ids=[experiment], page_size=1, **search)
    return [one.run.name for one in runs if one.run is not None]


@pytest.fixture
def runs(client: needletail.Client, experiment_id: str) -> dict[str, str]:
    """Runs by their names: one that lives, and one that is deleted."""
    made = {
        name: client.tracking.create_run(experiment_id=experiment_id, name=name).id
        for name in ("living", "deleted")
    }
    for run in made.values():
        fill(client, run)
    client.tracking.delete_run(id=made["deleted"])
    return made


def test_a_deleted_run_tells_all_that_it_told_before(
    client: needletail.Client, run_id: str
) -> None:
    tracking = client.tracking
    fill(client, run_id)
    before = told(client, run_id)
    tracking.delete_run(id=run_id)
    refused("RUN_NOT_FOUND", client.history, runs=run_id, keys="loss")
    for method in (
        tracking.list_run_tags, tracking.list_run_parameters, tracking.list_run_metrics,
        tracking.list_run_inputs, tracking.list_run_models,
    ):  # fmt: skip
        refused("RUN_NOT_FOUND", method, run_id=run_id)
    assert told(client, run_id, include_deleted=True) == before
    deleted = tracking.get_run(id=run_id, include_deleted=True)
    assert deleted.deleted_at is not None
    assert deleted.purge_after is not None
    # Reading is all that there is.
    refused("RUN_NOT_FOUND", tracking.log_batch, run_id=run_id, tags=[Tag(key="a", value="c")])


def test_a_view_says_whether_searches_find_what_was_deleted(
    client: needletail.Client, experiment_id: str, runs: dict[str, str]
) -> None:
    tracking = client.tracking
    for view, names in ((LIVE, ["living"]), (DELETED, ["deleted"]), (BOTH, ["deleted", "living"])):
        assert found(client, experiment_id, view=view) == names
        counted = tracking.count_runs(experiment_ids=[experiment_id], view=view)
        assert counted.count == len(names)
        for text in (
            "metrics.loss < 0.3 AND params.lr = '2'", "tags.a = 'b'", "dataset.name = 'digits'",
            "attributes.status = 'RUNNING'",
        ):  # fmt: skip
            assert found(client, experiment_id, view=view, filter=text) == names
        assert found(client, experiment_id, view=view, filter="metrics.loss > 1") == []
        for order in ("metrics.loss", "params.lr DESC", "attributes.run_name", "start_time DESC"):
            ordered = found(client, experiment_id, view=view, order_by=[order])
            assert sorted(ordered) == names
    assert found(client, experiment_id) == ["living"]
    assert found(client, experiment_id, view=BOTH, filter="delete_time IS NULL") == ["living"]
    assert found(client, experiment_id, view=BOTH, order_by=["delete_time"])[0] == "deleted"
    refused("FIELD_INVALID", tracking.search_runs, view=9)


def test_what_is_found_deleted_comes_with_what_it_had(
    client: needletail.Client, experiment_id: str, runs: dict[str, str]
) -> None:
    include = dict.fromkeys(("parameters", "tags", "metrics", "inputs", "models"), ALL)
    (one,) = client.tracking.search_runs(
        experiment_ids=[experiment_id], view=DELETED, **include
    ).runs
    shown = client.tracking.get_run(id=runs["deleted"], include_deleted=True)
    assert one.run is not None
    assert dataclasses.replace(one.run, duration_ms=shown.duration_ms) == shown
    assert [p.value for p in one.parameters] == ["2"]
    assert [t.key for t in one.tags] == ["a"]
    assert [m.last_value for m in one.metrics] == [0.25]
    assert [i.dataset.name for i in one.inputs if i.dataset] == ["digits"]
    assert [m.name for m in one.models] == ["m"]


def test_a_token_is_of_one_view(
    client: needletail.Client, experiment_id: str, runs: dict[str, str]
) -> None:
    search = {"experiment_ids": [experiment_id], "page_size": 1}
    token = client.tracking.search_runs(view=BOTH, **search).next_page_token
    assert token
    refused(
        "PAGE_TOKEN_INVALID", client.tracking.search_runs, view=DELETED, page_token=token, **search
    )


def test_runs_that_went_with_their_experiment_are_deleted_too(
    client: needletail.Client, experiment_id: str, runs: dict[str, str]
) -> None:
    tracking = client.tracking
    tracking.set_experiment_tags(experiment_id=experiment_id, tags=[Tag(key="t", value="v")])
    deleted = tracking.delete_experiment(id=experiment_id)
    assert found(client, experiment_id) == []
    assert found(client, experiment_id, view=DELETED) == ["deleted", "living"]
    run = tracking.get_run(id=runs["living"], include_deleted=True)
    assert (run.deleted_at, run.purge_after) == (deleted.deleted_at, None)
    assert told(client, runs["living"], include_deleted=True)["points"] == [0.5, 0.25]

    refused("EXPERIMENT_NOT_FOUND", tracking.list_experiment_tags, experiment_id=experiment_id)
    tags = tracking.list_experiment_tags(experiment_id=experiment_id, include_deleted=True).tags
    assert list(tags) == [Tag(key="t", value="v")]
    refused("EXPERIMENT_NOT_FOUND", tracking.get_experiment, id=experiment_id)
    shown = tracking.get_experiment(id=experiment_id, include_deleted=True, tags=ALL)
    assert (shown.deleted_at, shown.tags) == (deleted.deleted_at, tags)


def test_experiments_are_found_as_a_view_says(client: needletail.Client, served: UpServer) -> None:
    tracking, key = client.tracking, str(uuid.uuid4())
    for name in ("living", "deleted"):
        made = tracking.create_experiment(
            project_id=served.connection["project_id"], name=f"{name} {key}",
            tags=[Tag(key=key, value=name)],
        )  # fmt: skip
        if name == "deleted":
            tracking.delete_experiment(id=made.id)
    for view, names in ((LIVE, ["living"]), (DELETED, ["deleted"]), (BOTH, ["deleted", "living"])):
        listed = tracking.list_experiments(
            filter=f"tags.`{key}` IS NOT NULL", order_by=["name"], view=view, tags=ALL
        ).experiments
        assert [one.tags[0].value for one in listed] == names
        assert [one.deleted_at is not None for one in listed] == [n == "deleted" for n in names]
    (named,) = tracking.list_experiments(name=f"DELETED {key}", view=DELETED).experiments
    assert named.tags == ()
    assert named.purge_after is not None
    refused("FIELD_INVALID", tracking.list_experiments, deleted=True, view=DELETED)


def test_nobody_reads_what_was_deleted_of_projects_that_they_do_not_see(
    served: UpServer, sql: Connection
) -> None:
    with open_team(served, sql) as team:
        project = team.project(visibility=Visibility.PRIVATE).id
        owner, other = team.owner.client.tracking, team.developer.client.tracking
        experiment = owner.create_experiment(project_id=project, name="secret").id
        run = owner.create_run(experiment_id=experiment).id
        owner.delete_experiment(id=experiment)
        assert owner.get_run(id=run, include_deleted=True).id == run
        refused("RUN_NOT_FOUND", other.get_run, id=run, include_deleted=True)
        refused("RUN_NOT_FOUND", other.list_run_tags, run_id=run, include_deleted=True)
        refused("EXPERIMENT_NOT_FOUND", other.get_experiment, id=experiment, include_deleted=True)
        assert not other.search_runs(view=BOTH).runs
        assert other.count_runs(view=DELETED).count == 0
        assert not other.list_experiments(view=BOTH).experiments
        # With their project they are gone at once.
        team.owner.client.identity.delete_project(id=project)
        refused("RUN_NOT_FOUND", owner.get_run, id=run, include_deleted=True)
        assert not owner.search_runs(view=BOTH).runs


def test_the_command_line_finds_what_was_deleted(
    served: UpServer, runs: dict[str, str], experiment_id: str, place: Path
) -> None:
    file = place / "connection.json"
    file.write_text(json.dumps(served.connection))

    def run(*words: str) -> str:
        result = run_program(*words, "--connection-file", file)
        assert result.returncode == 0, result.stderr
        return result.stdout

    listing = ("runs", "list", "--experiment", experiment_id, "--deleted")
    table = run(*listing, "--filter", "metrics.loss < 1", "--columns", "name,metrics.loss")
    assert "deleted" in table
    assert "0.25" in table
    assert "living" not in table
    assert run(*listing, "--count").strip() == "1"
    assert "loss" in run("runs", "show", runs["deleted"], "--deleted")
    assert (
        "no run" in run_program("runs", "show", runs["deleted"], "--connection-file", file).stderr
    )
