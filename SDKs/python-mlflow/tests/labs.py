"""MLflow stores to import from, and what an import made of them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
    SpanType,
)
from needletail import artifacts
from needletail.tracking import LifeView, SearchInclude

import judging
from needletail_mlflow import ids
from needletail_mlflow.importing import SOURCE_TAG
from needletail_mlflow.importing.command import main
from needletail_mlflow.importing.source import _with_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail

KINDS = ("sqlite", "files", "postgresql", "mysql")
# Taken at import: no test sees the environment of whoever runs it.
SERVERS = {
    "postgresql": os.environ.get("NEEDLETAIL_TEST_POSTGRES"),
    "mysql": os.environ.get("NEEDLETAIL_TEST_MYSQL"),
}
START = 1_700_000_000_000
ALL = SearchInclude(all=True)


def _address(folder: Path, kind: str) -> str:
    """Where a new store is kept: databases are made on the servers that are named for tests."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/m.db"
    if kind == "files":
        return str(folder / "mlruns")
    variable = {"postgresql": "NEEDLETAIL_TEST_POSTGRES", "mysql": "NEEDLETAIL_TEST_MYSQL"}[kind]
    server = SERVERS[kind]
    if not server:
        pytest.skip(f"no server of databases: set {variable}")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    name = f"mlflow_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(_with_driver(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"create database {name}"))
    engine.dispose()
    return urlsplit(_with_driver(server))._replace(path=f"/{name}").geturl()


class Labs(dict[str, "Lab"]):
    """A store of each kind, made when it is first asked for."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, kind: str) -> Lab:
        lab = self[kind] = Lab(self._folder(kind), kind).fill()
        return lab


class Lab:
    """A store of MLflow's with a little of everything."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.uri = _address(folder, kind)
        self.is_database = kind != "files"
        if self.is_database:
            # Else the first experiment's files would go to the current folder.
            stores = pytest.importorskip("mlflow.store.tracking.sqlalchemy_store")
            stores.SqlAlchemyStore(self.uri, f"file://{folder}/files/0")
        self.client = MlflowClient(self.uri)
        self.store: Any = self.client._tracking_client.store
        self.experiments = {
            name: self.client.create_experiment(name, f"file://{folder}/files/{number}")
            for number, name in enumerate(("digits", "letters"), 1)
        }
        self.client.set_experiment_tag(self.experiments["digits"], "team", "vision")
        self.runs: dict[str, str] = {}

    def fill(self) -> Lab:
        """Makes runs, models and, where the store keeps them, traces."""
        self.run("parent", "digits", "FINISHED")
        self.run("child", "digits", "FAILED", parent="parent")
        self.run("other", "letters", "KILLED")
        self.run("going", "0", None)
        with self.as_default():
            self.models()
            if self.is_database:
                self.logged_model()
                self.trace()
                self.evaluation()
                judging.fill(self)
        return self

    def run(self, name: str, experiment: str, status: str | None, parent: str = "") -> str:
        tags = {"mlflow.user": "ada", "free": f"ü {name}\n"}
        if parent:
            tags["mlflow.parentRunId"] = self.runs[parent]
        number = len(self.runs)
        where = self.experiments.get(experiment, experiment)
        run = self.client.create_run(where, START + number, tags, name)
        run_id = self.runs[name] = run.info.run_id
        self.log(run_id, "loss", range(120))
        odd = [math.nan, 0.0, -0.0, 1e308] + ([] if self.is_database else [math.inf])
        points = [Metric("odd", value, START - 5, -step) for step, value in enumerate(odd)]
        self.store.log_batch(run_id, points, [Param("lr", "0.1"), Param("ü", "x" * 500)], [])
        if self.is_database:
            dataset = Dataset("digits", "5c1ab2", "local", "file:///digits", "{}", None)
            tag = InputTag("mlflow.data.context", "training")
            self.store.log_inputs(run_id, [DatasetInput(dataset, [tag])])
        files = self.folder / "made"
        (files / "deep" / "er").mkdir(parents=True, exist_ok=True)
        (files / "empty").touch()
        (files / "deep" / "#1 100%? ü").write_bytes(b"odd")
        (files / "deep" / "er" / "weights").write_bytes(name.encode() * 100_000)
        self.client.log_artifacts(run_id, str(files))
        if status:
            self.client.set_terminated(run_id, status, START + 60_000 + number)
        return run_id

    def log(self, run_id: str, key: str, steps: range) -> None:
        points = [Metric(key, 1 / (step + 1), START + step, step) for step in steps]
        for start in range(0, len(points), 1_000):
            self.store.log_batch(run_id, points[start : start + 1_000], [], [])

    def models(self) -> None:
        run_id, client = self.runs["parent"], self.client
        client.create_registered_model("fraud", {"team": "risk"}, "finds fraud")
        for number in range(3):
            client.create_model_version(
                "fraud", f"runs:/{run_id}/deep", run_id, {"number": str(number)}
            )
        client.delete_model_version("fraud", "2")
        client._get_registry_client().transition_model_version_stage("fraud", "3", "Production")
        client.set_registered_model_alias("fraud", "champion", "3")
        client.register_prompt("greeting", "Hello {{name}}", "first", {"tone": "kind"})
        client.set_prompt_alias("greeting", "now", 1)
        client.set_prompt_tag(
            "greeting", "_mlflow_experiment_ids", f",0,{self.experiments['letters']},"
        )

    def logged_model(self) -> None:
        client, run_id = self.client, self.runs["parent"]
        model = client.create_logged_model(
            self.experiments["digits"], "forest", run_id, {"kind": "trees"}, {"depth": "3"}, "agent"
        )
        self.model_id = model.model_id
        client.log_model_artifacts(model.model_id, str(self.folder / "made"))
        client.finalize_logged_model(model.model_id, "READY")
        measured = Metric("accuracy", 0.9, START, 7)
        measured._model_id, measured._dataset_name, measured._dataset_digest = (
            model.model_id,
            "digits",
            "5c1ab2",
        )
        self.store.log_batch(run_id, [measured], [], [])
        self.store.log_outputs(run_id, [LoggedModelOutput(model.model_id, 7)])
        client.create_registered_model("forest")
        client.create_model_version(
            "forest", f"models:/{model.model_id}", run_id, model_id=model.model_id
        )

    @contextlib.contextmanager
    def as_default(self) -> Iterator[None]:
        """Makes it the store that MLflow's own functions use."""
        with pytest.MonkeyPatch.context() as patched:
            # What is set here is the process's: other tests find it as it was.
            patched.setattr("mlflow.tracking.fluent._active_experiment_id", None)
            patched.setenv("MLFLOW_EXPERIMENT_ID", self.experiments["letters"])
            mlflow.set_tracking_uri(self.uri)
            try:
                yield
            finally:
                mlflow.set_tracking_uri(None)

    def trace(self) -> None:
        attachments = pytest.importorskip("mlflow.tracing.attachments")
        picture = attachments.Attachment(content_type="image/png", content_bytes=b"\x89PNG" * 1_000)
        with mlflow.start_span("root", SpanType.CHAIN) as root:
            root.set_inputs({"question": "why?"})
            with mlflow.start_span("leaf", SpanType.LLM) as leaf:
                leaf.set_attribute("size", 3)
                leaf.set_inputs({"picture": picture})
            root.set_outputs("because")
        self.trace_id = root.trace_id
        mlflow.flush_trace_async_logging()
        mlflow.log_feedback(trace_id=self.trace_id, name="good", value=0.5, rationale="so")
        mlflow.log_expectation(trace_id=self.trace_id, name="right", value={"a": [1]})
        self.client.link_traces_to_run([self.trace_id], self.runs["other"])

    def evaluation(self) -> None:
        """A dataset that is used in two experiments, and one that is used in none."""
        used = self.store.create_dataset(
            "questions", {"team": "search", "mlflow.user": "ada"}, list(self.experiments.values())
        )
        self.store.create_dataset("unused ü", {}, [])
        self.dataset_id = used.dataset_id
        self.ask(range(3))
        more = {"inputs": {"q": 0, "deep": {"b": 1, "a": [None, 0.1]}}, "outputs": "0"}
        self.store.upsert_dataset_records(used.dataset_id, [more, {"inputs": {"only": "inputs"}}])

    def ask(self, numbers: range) -> None:
        """Writes records of the dataset that is used."""
        records = [
            {
                "inputs": {"q": number, "ü": "why?"},
                "outputs": {"answer": str(number)},
                "expectations": {"right": number, "said": ["because"]},
                "tags": {"mlflow.user": "ada", "hard": "yes"},
                "source": {
                    "source_type": "TRACE", "source_data": {"trace_id": self.trace_id},
                },
            }
            for number in numbers
        ]  # fmt: skip
        self.store.upsert_dataset_records(self.dataset_id, records)


def here(client: needletail.Client, project: str, *, whole: bool = False) -> dict[str, Any]:
    """What was imported, by the source's ids; `whole` = with what changes with every change."""
    tracking, project_id = client.tracking, _project(client, project)
    found: dict[str, Any] = {}
    experiments = list(
        tracking.iterate_experiments(project_id=project_id, view=LifeView.ALL, tags=ALL)
    )
    names = {one.id: one.name for one in experiments}
    for one in experiments:
        found[f"experiment {one.name}"] = (
            {tag.key: tag.value for tag in one.tags},
            one.deleted_at is None,
            one.etag if whole else "",
        )
    page = tracking.search_runs(
        project_id=project_id, view=LifeView.ALL, parameters=ALL, tags=ALL, metrics=ALL,
        inputs=ALL, models=ALL, page_size=1_000,
    )  # fmt: skip
    sources = {one.run.id: _tags(one.tags)[SOURCE_TAG] for one in page.runs}
    for one in page.runs:
        run, tags = one.run, _tags(one.tags)
        if "mlflow.parentRunId" in tags:
            tags["mlflow.parentRunId"] = "here"
        histories = {
            key: repr(history.points())
            for (_, key), history in client.history(
                run.id, [metric.key for metric in one.metrics], include_deleted=True
            ).items()
        } if one.metrics else {}  # fmt: skip
        assert sources[run.id] not in found, "a run is there twice"
        found[sources[run.id]] = (
            names[run.experiment_id], run.name, run.status, run.started_at, run.completed_at,
            sources.get(run.parent_run_id), run.deleted_at is None, tags,
            {parameter.key: parameter.value for parameter in one.parameters}, histories,
            [metric.count for metric in one.metrics],
            [(link.dataset, link.context, link.tags) for link in one.inputs],
            len(one.models),
            [(file.path, file.sha256) for file in artifacts.list_files(client, run.id)]
            if run.deleted_at is None
            else [],
            run.etag if whole else "",
        )  # fmt: skip
    models = tracking.search_logged_models(project_id=project_id, view=LifeView.ALL).models
    for logged in models:
        files = (
            list(artifacts.list_files(client, artifacts.Owner(logged_model_id=logged.id)))
            if logged.deleted_at is None
            else []
        )
        found[_tags(logged.tags)[SOURCE_TAG]] = (
            names[logged.experiment_id], logged.name, logged.status, logged.model_type,
            sources.get(logged.source_run_id), _tags(logged.tags),
            [(one.key, one.value) for one in logged.parameters],
            [(one.key, one.value, one.dataset_name) for one in logged.metrics],
            [(file.path, file.sha256) for file in files], logged.deleted_at is None,
            logged.etag if whole else "",
        )  # fmt: skip
    for model in client.registry.iterate_models(project_id=project_id):
        versions = client.registry.iterate_model_versions(model_id=model.id)
        tags = _tags(model.tags)
        for one, name in names.items():
            for key in tags:
                tags[key] = tags[key].replace(ids.to_mlflow(one), name)
        found[f"model {model.name}"] = (
            model.description, tags, model.last_ordinal,
            {alias.alias: alias.ordinal for alias in model.aliases},
            {
                one.ordinal: (
                    one.stage, one.status, sorted(_tags(one.tags)), bool(one.source_run_id)
                )
                for one in versions
            },
            model.etag if whole else "",
        )  # fmt: skip
    traces = client.tracing.search_traces(project_id=project_id).traces
    for trace in traces:
        spans = client.tracing.list_spans(project_id=project_id, trace_ids=[trace.trace_id]).spans
        found[trace.trace_id] = (
            names[trace.experiment_id], trace.state, trace.request_time_ms, trace.execution_ms,
            _tags(trace.tags), [one.assessment_id for one in trace.assessments],
            [(one.span.span_id, one.span.content_json) for one in spans if one.span],
            [
                (file.path, file.sha256)
                for file in artifacts.list_files(
                    client, artifacts.Owner(trace_id=trace.trace_id, project_id=project_id)
                )
            ],
        )  # fmt: skip
    for dataset in client.tracing.search_evaluation_datasets(project_id=project_id).datasets:
        records = client.tracing.list_evaluation_records(
            project_id=project_id, evaluation_dataset_id=dataset.id
        ).records
        name = _tags(dataset.tags)[SOURCE_TAG]
        assert name not in found, "an evaluation dataset is there twice"
        found[name] = (
            dataset.name, _tags(dataset.tags), dataset.record_count, dataset.author,
            sorted(names[one] for one in dataset.experiment_ids),
            sorted(
                # What is merged has its members in another order.
                json.dumps(
                    [
                        json.loads(text or "null")
                        for text in (
                            one.inputs_json, one.outputs_json, one.expectations_json,
                            one.tags_json, one.source_json,
                        )
                    ] + [one.author],
                    sort_keys=True,
                )
                for one in records
            ),
            dataset.update_time_ms if whole else 0,
        )  # fmt: skip
    return found | judging.here(client, project_id, names, sources, whole=whole)


def runs_of(found: dict[str, Any]) -> list[str]:
    """The names of the runs among what was imported."""
    return [key for key in found if re.search(r"/[0-9a-f]{32}\Z", key)]


def new_project(client: needletail.Client) -> str:
    """The slug of a new project."""
    name = f"import-{uuid.uuid4().hex}"
    client.identity.create_project(name=name, slug=name)
    return name


def bring(lab: Lab, project: str, *more: str) -> int:
    """Imports everything; returns the exit code."""
    # As people write it: which driver there is, is found out.
    uri = re.sub(r"\A(\w+)\+\w+:", r"\1:", lab.uri)
    return main(["--from", uri, "--to", project, "--quiet", *more])


def _project(client: needletail.Client, slug: str) -> str:
    return next(one.id for one in client.identity.iterate_projects() if one.slug == slug)


def _tags(tags: Any) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


def tag_of(lab: Lab, run_id: str, key: str, value: str) -> None:
    """Sets a tag of a run in the source."""
    lab.store.log_batch(run_id, [], [], [RunTag(key, value)])
