"""Imports from stores of MLflow's into a real server."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from labs import KINDS, START, Lab, bring, here, new_project, runs_of, tag_of
from needletail_mlflow.importing.command import DONE, WRONG_COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    import needletail


@pytest.mark.parametrize("kind", KINDS)
def test_everything_comes_over_and_a_second_time_nothing_changes(
    filled: dict[str, Lab],
    kind: str,
    client: needletail.Client,
    project: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = filled[kind]
    report = tmp_path / "report.json"
    assert bring(lab, project, "--report", str(report)) == DONE
    assert "Everything is as in the source." in capsys.readouterr().out
    told = json.loads(report.read_text())
    assert told["failures"] == told["notes"] == []
    counts = {row["kind"]: row["here"] for row in told["counts"]}
    assert counts["runs"] == 4
    is_whole = lab.is_database
    assert counts["points"] == 4 * (120 + (4 if is_whole else 5)) + is_whole
    assert counts["artifacts"] == 12 + 4 * is_whole
    assert counts["model versions"] == 3 + is_whole
    assert counts.get("logged models", 0) == is_whole
    assert counts.get("spans", 0) == 2 * is_whole
    assert counts.get("evaluation datasets", 0) == 2 * is_whole
    assert counts.get("evaluation records", 0) == 5 * is_whole
    assert (counts.get("issues", 0), counts.get("assessments", 0)) == (2 * is_whole, 3 * is_whole)
    assert (counts.get("scorers", 0), counts.get("scorer versions", 0)) == (
        2 * is_whole,
        3 * is_whole,
    )
    for row in told["counts"]:
        assert row["source"] == row["here"]
        assert row.get("source_digest") == row.get("here_digest")
    before = here(client, project, whole=True)
    assert bring(lab, project) == DONE
    assert here(client, project, whole=True) == before


def test_a_run_that_ended_without_an_end_has_none(
    client: needletail.Client,
    project: str,
    tmp_path: Path,
) -> None:
    lab = Lab(tmp_path, "sqlite")
    run_id = lab.run("endless", "digits", "FINISHED")
    with contextlib.closing(sqlite3.connect(lab.uri.partition(":///")[2])) as database:
        database.execute("update runs set end_time = null")
        database.commit()
    assert lab.client.get_run(run_id).info.end_time is None
    for _ in range(2):
        assert bring(lab, project) == DONE
    there = MlflowClient(f"needletail://{client.settings.address}/{project}")
    (found,) = there.search_runs([there.get_experiment_by_name("digits").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.end_time is None


def test_mlflow_tells_what_it_told_before(
    filled: dict[str, Lab], client: needletail.Client, project: str
) -> None:
    lab = filled["sqlite"]
    assert bring(lab, project) == DONE
    there = MlflowClient(f"needletail://{client.settings.address}/{project}")
    ids = [one.experiment_id for one in there.search_experiments()]
    found = {run.info.run_name: run for run in there.search_runs(ids)}
    for name, run_id in lab.runs.items():
        wanted, run = lab.client.get_run(run_id), found[name]
        for fact in ("status", "start_time", "end_time", "user_id", "lifecycle_stage"):
            assert getattr(run.info, fact) == getattr(wanted.info, fact)
        assert run.data.params == wanted.data.params
        assert run.data.tags.keys() == wanted.data.tags.keys()
        metrics = [sorted(one.data.metrics.items()) for one in (run, wanted)]
        assert repr(metrics[0]) == repr(metrics[1])
        assert run.inputs.dataset_inputs == wanted.inputs.dataset_inputs
        history = [
            [(one.step, one.timestamp, one.value) for one in side.get_metric_history(which, "loss")]
            for side, which in ((lab.client, run_id), (there, run.info.run_id))
        ]
        assert history[0] == history[1]
    child = found["child"].data.tags["mlflow.parentRunId"]
    assert child == found["parent"].info.run_id
    assert there.get_experiment_by_name("digits").tags == {"team": "vision"}
    assert there.get_experiment("0").name == "Default"
    model = there.get_registered_model("fraud")
    assert (model.description, model.tags) == ("finds fraud", {"team": "risk"})
    assert model.aliases == lab.client.get_registered_model("fraud").aliases
    version = there.get_model_version("fraud", "3")
    assert (version.current_stage, version.run_id) == ("Production", found["parent"].info.run_id)
    assert version.tags == {"number": "2"}
    uri = there.get_model_version_download_uri("fraud", "3")
    assert uri.startswith("needletail:/runs/")
    assert uri.endswith("/deep")
    (logged,) = there.search_logged_models(ids)
    there_before = lab.client.get_logged_model(lab.model_id)
    for fact in ("name", "model_type", "status", "tags", "params"):
        assert getattr(logged, fact) == getattr(there_before, fact)
    assert logged.source_run_id == found["parent"].info.run_id
    assert [(one.key, one.value, one.dataset_name) for one in logged.metrics] == [
        ("accuracy", 0.9, "digits")
    ]
    made = found["parent"].outputs.model_outputs
    assert [(one.model_id, one.step) for one in made] == [(logged.model_id, 7)]
    files = {one.path for one in there.list_logged_model_artifacts(logged.model_id)}
    assert files == {"deep", "empty"}
    forest = there.get_model_version("forest", "1")
    assert (forest.source, forest.model_id) == (f"models:/{logged.model_id}", logged.model_id)
    uri = there.get_model_version_download_uri("forest", "1")
    assert uri == logged.artifact_location
    trace, wanted_trace = there.get_trace(lab.trace_id), lab.client.get_trace(lab.trace_id)
    assert [span.to_dict() for span in trace.data.spans] == [
        span.to_dict() for span in wanted_trace.data.spans
    ]
    assert {one.name for one in trace.info.assessments} >= {"good", "right"}
    experiment = found["other"].info.experiment_id
    linked = there.search_traces(
        [experiment], filter_string=f"attributes.run_id = '{found['other'].info.run_id}'"
    )
    assert [one.info.trace_id for one in linked] == [lab.trace_id]


def test_prompts_are_prompts_here(
    filled: dict[str, Lab], client: needletail.Client, project: str
) -> None:
    assert bring(filled["sqlite"], project, "--without", "artifacts") == DONE
    there = MlflowClient(f"needletail://{client.settings.address}/{project}")
    prompts = there.search_prompts()
    assert [(one.name, one.tags["tone"]) for one in prompts] == [("greeting", "kind")]
    letters = there.get_experiment_by_name("letters").experiment_id
    assert prompts[0].tags["_mlflow_experiment_ids"] == f",0,{letters},"
    prompt = there.load_prompt("prompts:/greeting@now")
    assert (prompt.template, prompt.commit_message) == ("Hello {{name}}", "first")


def test_a_source_that_goes_on_brings_what_is_new(
    client: needletail.Client, project: str, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, "sqlite").fill()
    assert bring(lab, project) == DONE
    going, ended = lab.runs["going"], lab.runs["other"]
    lab.log(going, "loss", range(120, 300))
    lab.store.log_batch(going, [Metric("loss", 9.0, START - 1, 3), Metric("new", 1, 1, 1)], [], [])
    tag_of(lab, going, "free", "changed")
    assert bring(lab, project) == DONE
    # Points of a run that has ended, and the end of one that was going on.
    lab.log(ended, "late", range(3))
    lab.client.set_terminated(going, "FAILED", START + 99_000)
    child = lab.run("grandchild", "letters", "FINISHED", parent="child")
    lab.client.set_registered_model_alias("fraud", "champion", "1")
    with lab.as_default():
        lab.client.create_model_version("fraud", f"runs:/{child}/deep", child)
    assert bring(lab, project) == DONE
    fresh = new_project(client)
    assert bring(lab, fresh) == DONE
    assert here(client, project) == here(client, fresh)


def test_what_is_deleted_comes_only_when_asked_for_and_is_deleted_here(
    client: needletail.Client, project: str, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, "sqlite").fill()
    lab.client.delete_run(lab.runs["parent"])
    lab.client.delete_registered_model("forest")
    lab.store.delete_logged_model(lab.model_id)
    lab.client.delete_experiment(lab.experiments["letters"])
    assert bring(lab, project) == DONE
    names = {key for key in here(client, project) if key.startswith("experiment")}
    assert names == {"experiment Default", "experiment digits"}
    assert bring(lab, project, "--deleted") == DONE
    found = here(client, project, whole=True)
    runs = {name: found[key] for name, run in lab.runs.items() for key in found if run in key}
    assert [runs[name][6] for name in ("parent", "child", "other")] == [False, True, False]
    assert runs["child"][5].endswith(lab.runs["parent"])
    assert found["experiment letters"][1] is False
    (logged,) = (value for key, value in found.items() if key.endswith(lab.model_id))
    assert (logged[1], logged[9], len(logged[6])) == ("forest", False, 1)
    assert logged[4].endswith(lab.runs["parent"])
    (asked,) = (value for key, value in found.items() if key.endswith(lab.dataset_id))
    assert asked[4] == ["digits", "letters"]
    assert bring(lab, project, "--deleted") == DONE
    assert here(client, project, whole=True) == found


def test_what_was_deleted_here_stays_so(
    client: needletail.Client,
    project: str,
    filled: dict[str, Lab],
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = filled["sqlite"]
    assert bring(lab, project) == DONE
    found = client.tracking.search_runs(filter="attributes.run_name = 'going'", page_size=1_000)
    for one in found.runs:
        client.tracking.delete_run(id=one.run.id)
    capsys.readouterr()
    assert bring(lab, project) == DONE
    assert f"run {lab.runs['going']}: was deleted here" in capsys.readouterr().out


def test_names_that_differ_in_case_alone_are_not_mixed(
    client: needletail.Client,
    project: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = Lab(tmp_path, "sqlite")
    lab.experiments["Digits"] = lab.client.create_experiment("Digits", f"file://{tmp_path}/D")
    lab.run("small", "digits", None)
    lab.run("large", "Digits", None)
    assert bring(lab, project) == DONE
    name = f"Digits ({lab.experiments['Digits']})"
    assert name in capsys.readouterr().out
    assert bring(lab, project) == DONE
    found = here(client, project)
    runs = {value[1]: value[0] for value in found.values() if len(value) > 10}
    assert runs == {"small": "digits", "large": name}


def test_chosen_experiments_come_alone(
    filled: dict[str, Lab],
    client: needletail.Client,
    project: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = filled["sqlite"]
    options = ("--experiment", "digits", "--without", "models", "--without", "artifacts")
    assert bring(lab, project, *options) == DONE
    found = here(client, project)
    assert len(runs_of(found)) == 2
    assert not any(key.startswith("model") for key in found)
    capsys.readouterr()
    assert bring(lab, project, "--experiment", "nothing") == WRONG_COMMAND
    assert "no experiment nothing" in capsys.readouterr().err


def test_a_dry_run_counts_and_writes_nothing(
    filled: dict[str, Lab],
    client: needletail.Client,
    project: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    report = tmp_path / "report.json"
    options = ("--dry-run", "--json", "--report", str(report))
    assert bring(filled["sqlite"], project, *options) == DONE
    counts = json.loads(capsys.readouterr().out)
    assert json.loads(report.read_text()) == counts
    assert (counts["runs"], counts["runs here before"], counts["experiments"]) == (4, 0, 3)
    assert (counts["evaluation datasets"], counts["issues"], counts["scorers"]) == (2, 2, 2)
    assert (counts["models and prompts"], counts["logged models"], counts["traces"]) == (3, 1, 1)
    assert here(client, project) == {}


def test_a_source_that_moved_is_known_by_the_name_it_is_given(
    client: needletail.Client, project: str, tmp_path: Path
) -> None:
    lab = Lab(tmp_path / "old" if (tmp_path / "old").mkdir() is None else tmp_path, "sqlite")
    lab.run("one", "digits", "FINISHED")
    assert bring(lab, project, "--source-name", "lab") == DONE
    before = here(client, project, whole=True)
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "old" / "m.db", tmp_path / "new" / "m.db")
    lab.uri = f"sqlite:///{tmp_path}/new/m.db"
    assert bring(lab, project, "--source-name", "lab") == DONE
    assert here(client, project, whole=True) == before
