"""What runs read and made: datasets and models that they are linked to."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import needletail
import pytest
from needletail.identity import Visibility
from needletail.tracking import (
    InputDataset,
    ModelRole,
    NewRunInput,
    NewRunModel,
    SearchInclude,
    Tag,
)
from organizations import create_organization
from program import run_program
from projects import audited, open_team, refused

if TYPE_CHECKING:
    from pathlib import Path

    from program import Connection, UpServer

INPUT, OUTPUT = ModelRole.INPUT, ModelRole.OUTPUT
ALL = SearchInclude(all=True)


def dataset(name: str = "digits", digest: str = "d1", **fields: str) -> InputDataset:
    return InputDataset(name=name, digest=digest, **fields)


def read(name: str = "digits", digest: str = "d1", context: str = "", **fields: Any) -> NewRunInput:
    return NewRunInput(dataset=dataset(name, digest), context=context, **fields)


def inputs(client: needletail.Client, run: str, page: int = 2) -> list[tuple[str, str, str]]:
    """Return name, digest and context of what a run read, oldest first."""
    found = [
        (one.dataset.name, one.dataset.digest, one.context)
        for one in client.tracking.iterate_run_inputs(run_id=run, page_size=page)
        if one.dataset is not None
    ]
    return found[::-1]


def models(client: needletail.Client, run: str, role: ModelRole = ModelRole.UNSPECIFIED) -> Any:
    """Return name and step of the models of a run, oldest first."""
    found = client.tracking.iterate_run_models(run_id=run, role=role, page_size=2)
    return [(one.name, one.step) for one in found][::-1]


def test_what_a_run_read_is_told_whole(client: needletail.Client, run_id: str) -> None:
    whole = dataset(
        str(uuid.uuid4()), source_type="s3", source="s3://bucket/digits",
        schema='{"columns": 3}', profile='{"rows":7}',
    )  # fmt: skip
    tags = [Tag(key="b", value="2"), Tag(key="B", value="1"), Tag(key='"\u00e9', value="\\\n")]
    client.tracking.log_inputs(
        run_id=run_id, inputs=[NewRunInput(dataset=whole, context="training", tags=tags)]
    )
    (found,) = client.tracking.list_run_inputs(run_id=run_id).inputs
    told = dataclasses.replace(whole, profile_bytes=len(whole.profile))
    assert (found.dataset, found.context) == (told, "training")
    assert list(found.tags) == sorted(tags, key=lambda tag: tag.key.encode())
    assert found.created_at is not None


def test_a_link_that_is_there_stays_and_is_no_second_one(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    tracking, name = client.tracking, str(uuid.uuid4())
    tracking.log_inputs(
        run_id=run_id, inputs=[read(name, context="training"), read(name, context="eval")]
    )
    again = NewRunInput(dataset=dataset(name, source="another"), context="training")
    tracking.log_inputs(run_id=run_id, inputs=[again, read("more")])
    tracking.log_inputs(run_id=run_id, inputs=[again])
    assert inputs(client, run_id) == [
        (name, "d1", "training"), (name, "d1", "eval"), ("more", "d1", ""),
    ]  # fmt: skip
    # What was said of the dataset first stays.
    assert {
        one.dataset.source for one in tracking.list_run_inputs(run_id=run_id).inputs if one.dataset
    } == {""}
    assert audited(sql, run_id, "run.log_inputs") == [
        {
            "before": {},
            "after": {"inputs[0]": f"{name} d1 (training)", "inputs[1]": f"{name} d1 (eval)"},
        },
        {"before": {}, "after": {"inputs[0]": "more d1"}},
        {"before": {}, "after": {}},
    ]


def test_a_dataset_without_a_context_is_no_second_link(
    client: needletail.Client, run_id: str
) -> None:
    tracking, name = client.tracking, str(uuid.uuid4())
    tracking.log_inputs(run_id=run_id, inputs=[read(name, context="training"), read("other")])
    tracking.log_inputs(run_id=run_id, inputs=[read(name), read(name, "d2")])
    # Another way round there is something new to say.
    tracking.log_inputs(run_id=run_id, inputs=[read("other", context="eval")])
    assert inputs(client, run_id) == [
        (name, "d1", "training"), ("other", "d1", ""), (name, "d2", ""), ("other", "d1", "eval"),
    ]  # fmt: skip


def test_a_dataset_is_kept_once_in_a_project(
    client: needletail.Client, experiment_id: str, served: UpServer, sql: Connection
) -> None:
    name = f"shared {uuid.uuid4()}"
    elsewhere = client.identity.create_project(name=name).id
    other = client.tracking.create_experiment(project_id=elsewhere, name="other").id
    runs = [
        client.tracking.create_run(experiment_id=experiment).id
        for experiment in (experiment_id, experiment_id, other)
    ]
    for run in runs:
        client.tracking.log_inputs(run_id=run, inputs=[read(name), read(name, "d2")])
        assert inputs(client, run) == [(name, "d1", ""), (name, "d2", "")]
    kept = sql.execute(
        "select project_id::text as project from input_datasets where name = %s", [name]
    ).fetchall()
    assert sorted(row["project"] for row in kept) == sorted(
        [served.connection["project_id"], elsewhere] * 2
    )
    # Others of this server's tests take the only project for granted.
    client.identity.delete_project(id=elsewhere)


def test_what_a_run_made_and_began_from_is_told_by_role(
    client: needletail.Client, run_id: str, sql: Connection
) -> None:
    tracking = client.tracking
    tracking.finish_run(id=run_id)
    tracking.log_models(run_id=run_id, models=[
        NewRunModel(role=INPUT, name="base"),
        NewRunModel(role=OUTPUT, name="net", artifact_path="checkpoints/1", step=1),
        NewRunModel(role=OUTPUT, name="net", artifact_path="checkpoints/1", step=2),
    ])  # fmt: skip
    tracking.log_models(run_id=run_id, models=[
        NewRunModel(role=OUTPUT, name="base"), NewRunModel(role=INPUT, name="base"),
    ])  # fmt: skip
    assert models(client, run_id) == [("base", 0), ("net", 1), ("net", 2), ("base", 0)]
    assert models(client, run_id, INPUT) == [("base", 0)]
    assert models(client, run_id, OUTPUT) == [("net", 1), ("net", 2), ("base", 0)]
    assert audited(sql, run_id, "run.log_models")[-1] == {
        "before": {}, "after": {"models[0]": "base output @0"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "inputs"),
        ([read(f"{n}") for n in range(1_001)], "inputs"),
        ([read(), read("")], "inputs[1].dataset.name"),
        ([read("x" * 501)], "inputs[0].dataset.name"),
        ([read(digest="a\nb")], "inputs[0].dataset.digest"),
        ([read(digest="x" * 129)], "inputs[0].dataset.digest"),
        ([NewRunInput(dataset=dataset(source="x" * 65_536))], "inputs[0].dataset.source"),
        ([NewRunInput(dataset=dataset(schema="x" * 1_048_576))], "inputs[0].dataset.schema"),
        ([NewRunInput(dataset=dataset(profile="x" * 1_048_576))], "inputs[0].dataset.profile"),
        ([NewRunInput(dataset=dataset(source_type="x" * 101))], "inputs[0].dataset.source_type"),
        ([read(context="x" * 501)], "inputs[0].context"),
        ([read(), read()], "inputs[1]"),
        ([read(tags=[Tag(key="", value="x")])], "inputs[0].tags[0].key"),
        ([read(tags=[Tag(key="k", value="x" * 501)])], "inputs[0].tags[0].value"),
        ([read(tags=[Tag(key=f"{n}", value="") for n in range(101)])], "inputs[0].tags"),
    ],
)
def test_a_bad_input_is_named_and_none_is_linked(
    client: needletail.Client, run_id: str, given: list[NewRunInput], field: str
) -> None:
    error = refused("FIELD_INVALID", client.tracking.log_inputs, run_id=run_id, inputs=given)
    assert {violation.field for violation in error.field_violations} == {field}
    assert inputs(client, run_id) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "models"),
        ([NewRunModel(role=OUTPUT, name=f"{n}") for n in range(1_001)], "models"),
        ([NewRunModel(name="x")], "models[0].role"),
        ([NewRunModel(role=OUTPUT)], "models[0].name"),
        ([NewRunModel(role=OUTPUT, name="x" * 251)], "models[0].name"),
        ([NewRunModel(role=OUTPUT, name="x", step=-1)], "models[0].step"),
        ([NewRunModel(role=OUTPUT, name="x", artifact_path="../x")], "models[0].artifact_path"),
        ([NewRunModel(role=OUTPUT, name="x")] * 2, "models[1]"),
    ],
)
def test_a_bad_model_is_named_and_none_is_linked(
    client: needletail.Client, run_id: str, given: list[NewRunModel], field: str
) -> None:
    error = refused("FIELD_INVALID", client.tracking.log_models, run_id=run_id, models=given)
    assert {violation.field for violation in error.field_violations} == {field}
    assert models(client, run_id) == []


def test_the_links_of_a_run_are_bounded(client: needletail.Client, run_id: str) -> None:
    tracking = client.tracking
    many = [read(f"{n}") for n in range(10_000)]
    for start in range(0, len(many), 1_000):
        tracking.log_inputs(run_id=run_id, inputs=many[start : start + 1_000])
    refused("INPUT_LIMIT_REACHED", tracking.log_inputs, run_id=run_id, inputs=[read("one more")])
    tracking.log_inputs(run_id=run_id, inputs=many[:2])
    assert len(inputs(client, run_id, page=1_000)) == 10_000
    made = [NewRunModel(role=OUTPUT, name="m", step=step) for step in range(1_000)]
    tracking.log_models(run_id=run_id, models=made)
    one_more = [NewRunModel(role=INPUT, name="m")]
    refused("MODEL_LIMIT_REACHED", tracking.log_models, run_id=run_id, models=one_more)
    tracking.log_models(run_id=run_id, models=made[:2])
    assert len(models(client, run_id)) == 1_000


def test_a_page_of_long_profiles_ends_early_and_none_is_lost(
    client: needletail.Client, run_id: str
) -> None:
    prefix = str(uuid.uuid4())
    for number in range(4):
        client.tracking.log_inputs(run_id=run_id, inputs=[NewRunInput(
            dataset=dataset(f"{prefix} {number}", schema="s" * 1_048_575, profile="p" * 1_048_575)
        )])  # fmt: skip
    token, pages = "", []
    while True:
        page = client.tracking.list_run_inputs(run_id=run_id, page_token=token)
        pages.append([one.dataset.name for one in page.inputs if one.dataset])
        token = page.next_page_token
        if not token:
            break
    assert [name for page in pages for name in page] == [f"{prefix} {n}" for n in (3, 2, 1, 0)]
    assert all(len(page) <= 1 for page in pages)


def test_a_program_links_as_it_runs_and_the_command_line_tells(
    served: UpServer, sql: Connection, place: Path
) -> None:
    connection = create_organization(sql, "links").connection(served.connection)
    file = place / "connection.json"
    file.write_text(json.dumps(connection))

    def cli(*arguments: str) -> str:
        result = run_program(*arguments, "--connection-file", file)
        assert result.returncode == 0, result.stderr
        return result.stdout

    with needletail.connect(
        f"needletail://{connection['address']}:{connection['port']}",
        api_key=connection["api_key"], ca_file=connection["ca_file"],
    ) as client:  # fmt: skip
        project = client.identity.create_project(name="links").id
        with needletail.run(client=client, project=project, experiment="links") as run:
            run.log_input(
                "digits", "d1", context="training", source="s3://x", tags={"mlflow.x": "1"}
            )
            run.log_model("net", artifact_path="net.bin", step=7)
            run.log_model("base", role="input")
            identifier = run.id
        assert identifier is not None
        cli("runs", "log-input", identifier, "digits", "d2", "--context", "eval", "--tag", "a=b")
        cli("runs", "log-model", identifier, "small", "--role", "output", "--step", "8")
        assert inputs(client, identifier) == [
            ("digits", "d1", "training"), ("digits", "d2", "eval"),
        ]  # fmt: skip
        assert models(client, identifier, OUTPUT) == [("net", 7), ("small", 8)]
    listed = json.loads(cli("runs", "inputs", identifier, "-o", "json"))["inputs"]
    assert [one["dataset"]["digest"] for one in listed] == ["d2", "d1"]
    assert listed[0]["tags"] == [{"key": "a", "value": "b"}]
    told = cli("runs", "models", identifier, "--role", "input")
    assert "base" in told
    assert "net" not in told
    shown = cli("runs", "show", identifier)
    for text in ("digits d1 (training)", "net at step 7", "base at step 0"):
        assert text in shown


def test_links_come_along_with_runs_that_are_found(
    client: needletail.Client, experiment_id: str, run_id: str
) -> None:
    tracking = client.tracking
    other = tracking.create_run(experiment_id=experiment_id).id
    tracking.log_inputs(run_id=run_id, inputs=[read("a", context="training"), read("b")])
    tracking.log_models(
        run_id=run_id, models=[NewRunModel(role=OUTPUT, name=n, step=7) for n in ("m", "n")]
    )
    search = {"experiment_ids": [experiment_id]}
    first, second = tracking.search_runs(inputs=ALL, models=ALL, **search).runs
    assert first.run is not None
    assert (first.run.id, first.inputs, first.models) == (other, (), ())
    assert second.inputs == tracking.list_run_inputs(run_id=run_id).inputs
    assert second.models == tracking.list_run_models(run_id=run_id).models
    named = SearchInclude(keys=("b", "n"))
    _, second = tracking.search_runs(inputs=named, models=named, **search).runs
    assert [one.dataset.name for one in second.inputs if one.dataset] == ["b"]
    assert [one.name for one in second.models] == ["n"]
    _, second = tracking.search_runs(**search).runs
    assert (second.inputs, second.models) == ((), ())
    both = SearchInclude(all=True, keys=("b",))
    refused("FIELD_INVALID", tracking.search_runs, inputs=both, **search)


def test_a_page_is_shorter_where_links_are_large(
    client: needletail.Client, experiment_id: str
) -> None:
    tracking, runs = client.tracking, []
    for number in range(3):
        runs.append(tracking.create_run(experiment_id=experiment_id).id)
        large = dataset(str(uuid.uuid4()), profile=f"{number}" * 500_000)
        tracking.log_inputs(run_id=runs[-1], inputs=[NewRunInput(dataset=large)])
    search = {"experiment_ids": [experiment_id], "inputs": ALL}
    page = tracking.search_runs(**search)
    assert len(page.runs) == 2
    (last,) = tracking.search_runs(page_token=page.next_page_token, **search).runs
    assert last.run is not None
    assert last.run.id == runs[0]
    for letter in "ab":
        large = dataset(str(uuid.uuid4()), schema=letter * 1_000_000)
        tracking.log_inputs(run_id=runs[2], inputs=[NewRunInput(dataset=large)])
    refused("SEARCH_TOO_LARGE", tracking.search_runs, **search)


def test_datasets_of_experiments_are_listed_each_once(
    client: needletail.Client, experiment_id: str, served: UpServer
) -> None:
    tracking = client.tracking
    other = tracking.create_experiment(
        project_id=served.connection["project_id"], name=str(uuid.uuid4())
    ).id
    for experiment in (experiment_id, experiment_id, other):
        run = tracking.create_run(experiment_id=experiment).id
        tracking.log_inputs(
            run_id=run, inputs=[read("b"), read("a", context="eval"), read("a", "d2")]
        )
    wanted = [
        (experiment, *rest)
        for experiment in sorted((experiment_id, other))
        for rest in (("a", "d1", "eval"), ("a", "d2", ""), ("b", "d1", ""))
    ]
    found = tracking.iterate_datasets(experiment_ids=[other, experiment_id], page_size=2)
    assert [(one.experiment_id, one.name, one.digest, one.context) for one in found] == wanted
    tracking.delete_run(id=run)
    absent = str(uuid.uuid4())
    left = tracking.list_datasets(experiment_ids=[other, absent])
    assert (left.datasets, left.next_page_token) == ((), "")
    token = tracking.list_datasets(experiment_ids=[experiment_id], page_size=1).next_page_token
    refused("PAGE_TOKEN_INVALID", tracking.list_datasets, experiment_ids=[other], page_token=token)
    refused("FIELD_INVALID", tracking.list_datasets)
    refused("FIELD_INVALID", tracking.list_datasets, experiment_ids=[absent] * 1_001)


def test_nobody_hears_of_datasets_of_projects_that_they_do_not_see(
    served: UpServer, sql: Connection
) -> None:
    with open_team(served, sql) as team:
        project = team.project(visibility=Visibility.PRIVATE).id
        owner, other = team.owner.client.tracking, team.developer.client.tracking
        experiment = owner.create_experiment(project_id=project, name="secret").id
        run = owner.create_run(experiment_id=experiment).id
        owner.log_inputs(run_id=run, inputs=[read("secret")])
        for tracking, count in ((owner, 1), (team.admin.client.tracking, 1), (other, 0)):
            assert len(tracking.list_datasets(experiment_ids=[experiment]).datasets) == count


def test_keys_of_tags_of_inputs_are_as_long_as_those_of_mlflow(
    client: needletail.Client, run_id: str
) -> None:
    tags = [Tag(key="k" * 255, value="v")]
    client.tracking.log_inputs(run_id=run_id, inputs=[NewRunInput(dataset=dataset(), tags=tags)])
    (found,) = client.tracking.list_run_inputs(run_id=run_id).inputs
    assert list(found.tags) == tags
    long = [Tag(key="k" * 256, value="v")]
    refused(
        "FIELD_INVALID", client.tracking.log_inputs, run_id=run_id,
        inputs=[NewRunInput(dataset=dataset("other"), tags=long)],
    )  # fmt: skip
