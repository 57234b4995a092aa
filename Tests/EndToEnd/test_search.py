"""Search: filters, orders, pages and counts over a real server."""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import needletail
import pytest
from needletail.tracking import InputDataset, NewRunInput, RunFork, RunSource, SearchInclude
from organizations import Organization, create_member, create_organization
from program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from program import Connection, UpServer

# What runs are called, and what they measured, were configured and tagged with.
RUNS = {
    "a": ({"loss": 0.1, "acc": 0.9}, {"lr": "0.1", "opt": "Adam"}, {"team": "vision"}),
    "b": ({"loss": 0.4, "acc": math.nan}, {"lr": "0.01", "opt": "SGD"}, {"team": "speech"}),
    "c": ({"loss": math.nan}, {"lr": "0.1"}, {"a b": "it's"}),
    "d": ({"loss": math.inf, "acc": 0.5}, {"opt": "adam"}, {}),
    "e": ({}, {}, {"team": "vision", "100%": "x_y"}),
}
# Which datasets they read.
INPUTS = {
    "a": [("digits", "d1", "training"), ("faces", "f1", "eval")],
    "b": [("digits", "d2", "training"), ("digits", "d2", "")],
    "c": [("Digits", "d1", "")],
}


@dataclass
class Searched:
    """An organization whose runs are searched."""

    organization: Organization
    client: needletail.Client
    project: str
    experiment: str
    runs: dict[str, str]

    def names(self, text: str = "", *, order_by: tuple[str, ...] = (), size: int = 100) -> str:
        """Return the names of the runs that a filter finds, from all pages."""
        names, token = "", ""
        while True:
            page = self.client.tracking.search_runs(
                project_id=self.project, experiment_ids=[self.experiment], filter=text,
                order_by=order_by, page_size=size, page_token=token,
            )  # fmt: skip
            names += "".join(one.run.name for one in page.runs)
            token = page.next_page_token
            if not token:
                return names


@pytest.fixture(scope="module")
def searched(served: UpServer) -> Iterator[Searched]:
    with served.sql() as sql:
        organization = create_organization(sql, "search")
        found = organization.connection(served.connection)
        with needletail.connect(
            f"needletail://{found['address']}:{found['port']}",
            api_key=found["api_key"], ca_file=found["ca_file"],
        ) as client:  # fmt: skip
            project = client.identity.create_project(name=f"Search {uuid.uuid4()}").id
            experiment = client.tracking.create_experiment(project_id=project, name="searched").id
            runs = {
                name: client.tracking.create_run(experiment_id=experiment, name=name).id
                for name in RUNS
            }
            client.tracking.finish_run(id=runs["e"])
            for name, (metrics, parameters, tags) in RUNS.items():
                of = {"organization": organization.id, "run": runs[name]}
                for key, value in metrics.items():
                    sql.execute(
                        "insert into run_metric_summaries values (%(organization)s, %(run)s,"
                        " %(key)s, 1, 0, 0, 0, %(value)s, %(value)s, %(value)s)",
                        {**of, "key": key, "value": value},
                    )
                for table, pairs in (("run_parameters", parameters), ("run_tags", tags)):
                    for key, text in pairs.items():
                        sql.execute(
                            f"insert into {table} values"
                            " (%(organization)s, %(run)s, %(key)s, %(value)s)",
                            {**of, "key": key, "value": text},
                        )
            for name, inputs in INPUTS.items():
                client.tracking.log_inputs(run_id=runs[name], inputs=[
                    NewRunInput(dataset=InputDataset(name=data, digest=digest), context=context)
                    for data, digest, context in inputs
                ])  # fmt: skip
            yield Searched(organization, client, project, experiment, runs)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "edcba"),
        # As MLflow documents them.
        ("metrics.loss < 0.5", "ba"),
        ("metrics.acc > 0.72 and metrics.loss <= 0.15", "a"),
        ("params.lr = '0.1'", "ca"),
        ("params.opt LIKE 'A%'", "a"),
        ("params.opt ILIKE 'a%'", "da"),
        ("params.opt != 'SGD'", "da"),
        ('tags.`a b` = "it\'s"', "c"),
        ("tags.team IS NULL", "dc"),
        ("params.opt IS NOT NULL AND metrics.acc = 0.5", "d"),
        ("attributes.status = 'FINISHED'", "e"),
        ("status IN ('RUNNING') AND run_name NOT IN ('a', 'b')", "dc"),
        ("attributes.start_time > 1664067852747", "edcba"),
        ("created < 1664067852747", ""),
        ("end_time IS NULL", "dcba"),
        ("attributes.`run name` = 'a'", "a"),
        ("dataset.name = 'digits'", "ba"),
        ("datasets.digest IN ('f1', 'd2')", "ba"),
        ("dataset.context LIKE 'train%' AND dataset.name != 'digits'", "a"),
        ("dataset.name ILIKE 'DIG%'", "cba"),
        ("dataset.digest NOT IN ('d1')", "ba"),
        # And beyond it.
        ("dataset.name IS NULL", "ed"),
        ("dataset.context IS NOT NULL AND NOT dataset.name = 'faces'", "b"),
        ("artifact_uri LIKE 'needletail:/runs/%/artifacts'", "edcba"),
        ("artifact_uri = 'needletail:/runs/x/artifacts'", ""),
        ("metrics.loss < 0.5 OR tags.team = 'vision'", "eba"),
        ("NOT params.lr = '0.1'", "edb"),
        ("NOT (params.opt LIKE 'A%' OR metrics.loss > 1) AND NOT tags.team IS NULL", "eb"),
        ("metrics.acc IS NULL", "ec"),
        ("metrics.acc > 0", "da"),
        ("metrics.acc != 0.9", "db"),
        ("tags.`100%` LIKE 'x\\_y'", "e"),
        ("tags.team IN ('vision', 'speech')", "eba"),
        ("parent_run_id IS NULL AND duration_ms >= 0", "e"),
        # Whoever tries to leave a text does not.
        ("tags.team = 'x'' or true; drop table runs; --'", ""),
        ("tags.`team' or '1'='1` = 'x'", ""),
    ],
)
def test_a_filter_finds_and_counts(searched: Searched, text: str, found: str) -> None:
    assert searched.names(text) == found
    assert searched.names(text, size=1) == found
    tracking = searched.client.tracking
    assert tracking.count_runs(experiment_ids=[searched.experiment], filter=text).count == len(
        found
    )


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (("metrics.loss",), "abdce"),
        (("metrics.loss DESC",), "dbace"),
        (("metrics.acc desc",), "adbec"),
        (("params.lr ASC", "attributes.run_name DESC"), "bcaed"),
        (("tags.team", "metrics.loss DESC"), "baedc"),
        (("status DESC", "run_name"), "abcde"),
        (("run_name",), "abcde"),
        (("end_time", "params.opt DESC"), "edbac"),
    ],
)
def test_an_order_holds_over_pages(searched: Searched, order: tuple[str, ...], found: str) -> None:
    for size in (1, 2, 100):
        assert searched.names(order_by=order, size=size) == found


def test_runs_that_come_meanwhile_move_no_page(searched: Searched) -> None:
    tracking = searched.client.tracking
    other = tracking.create_experiment(project_id=searched.project, name="meanwhile").id
    names = [tracking.create_run(experiment_id=other, name=f"{i}").name for i in range(4)]
    asked = {"experiment_ids": [other], "page_size": 2, "order_by": ["run_name DESC"]}
    first = tracking.search_runs(**asked)
    tracking.create_run(experiment_id=other, name="9")
    second = tracking.search_runs(**asked, page_token=first.next_page_token)
    found = [one.run.name for one in (*first.runs, *second.runs)]
    assert found == sorted(names, reverse=True)
    for changed in ({"filter": "run_name != 'x'"}, {"order_by": ["run_name"]}):
        with pytest.raises(needletail.CallError) as caught:
            tracking.search_runs(**{**asked, **changed}, page_token=first.next_page_token)
        assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_what_is_asked_for_comes_along(searched: Searched) -> None:
    found = searched.client.tracking.search_runs(
        project_id=searched.project, filter="run_name = 'a'",
        parameters=SearchInclude(all=True), tags=SearchInclude(keys=["gone"]),
        metrics=SearchInclude(keys=["loss"]),
    ).runs[0]  # fmt: skip
    assert [(one.key, one.value) for one in found.parameters] == [("lr", "0.1"), ("opt", "Adam")]
    assert found.tags == ()
    assert [(one.key, one.last_value) for one in found.metrics] == [("loss", 0.1)]


def test_a_page_is_as_long_as_an_answer_may_be(searched: Searched, sql: Connection) -> None:
    tracking = searched.client.tracking
    experiment = tracking.create_experiment(project_id=searched.project, name="large").id
    runs = [tracking.create_run(experiment_id=experiment, name=f"{i}").id for i in range(3)]
    for run, count in zip(runs, (20, 20, 40), strict=True):
        sql.execute(
            "insert into run_tags select %s, %s, 'key ' || n, repeat('x', 32000)"
            " from generate_series(1, %s) as n",
            [searched.organization.id, run, count],
        )
    asked = {"experiment_ids": [experiment], "order_by": ["run_name"]}
    everything = SearchInclude(all=True)
    pages, token = [], ""
    while not pages or (token and len(pages) < 2):
        page = tracking.search_runs(**asked, tags=everything, page_token=token)
        pages.append([(one.run.name, len(one.tags)) for one in page.runs])
        token = page.next_page_token
    assert pages == [[("0", 20)], [("1", 20)]]
    with pytest.raises(needletail.CallError) as caught:
        tracking.search_runs(**asked, tags=everything, page_token=token)
    assert caught.value.reason == "SEARCH_TOO_LARGE"
    rest = tracking.search_runs(experiment_ids=[experiment], tags=SearchInclude(keys=["key 1"]))
    assert [len(one.tags) for one in rest.runs] == [1, 1, 1]


@pytest.mark.parametrize(
    ("asked", "reason", "field", "expected"),
    [
        ({"filter": "metrics.loss <"}, "FILTER_INVALID", "filter", "character 15 (byte 14)"),
        ({"filter": "x" * 102_400}, "FILTER_INVALID", "filter", "at most 16384 bytes"),
        ({"order_by": ["loss"]}, "ORDER_INVALID", "order_by[0]", "metrics.<key>"),
        ({"order_by": ["run_id", "id DESC"]}, "ORDER_INVALID", "order_by[1]", "does not name"),
        ({"order_by": ["dataset.name"]}, "ORDER_INVALID", "order_by[0]", "has one value"),
        ({"filter": "dataset.x = 'a'"}, "FILTER_INVALID", "filter", "datasets.context"),
        ({"order_by": ["run_id"] * 9}, "FIELD_INVALID", "order_by", "at most 8"),
        ({"experiment_ids": ["x"]}, "FIELD_INVALID", "experiment_ids[0]", "UUID"),
        (
            {"experiment_ids": [str(uuid.UUID(int=7))] * 1_001},
            "FIELD_INVALID", "experiment_ids", "at most 1000",
        ),
        (
            {"tags": SearchInclude(all=True, keys=["x"])},
            "FIELD_INVALID", "tags.keys", "must be empty",
        ),
        (
            {"metrics": SearchInclude(keys=["x"] * 101)},
            "FIELD_INVALID", "metrics.keys", "at most 100",
        ),
        ({"page_size": 1_001}, "FIELD_INVALID", "page_size", "1 to 1000"),
    ],
)  # fmt: skip
def test_a_bad_search_is_told_where_it_is_bad(
    searched: Searched, asked: dict[str, object], reason: str, field: str, expected: str
) -> None:
    with pytest.raises(needletail.CallError) as caught:
        searched.client.tracking.search_runs(**asked)
    assert caught.value.reason == reason
    (violation,) = caught.value.field_violations
    assert violation.field == field
    assert expected in violation.description


def test_only_what_a_caller_sees_is_found(
    searched: Searched, served: UpServer, sql: Connection
) -> None:
    outsider = create_member(sql, searched.organization.id, role="developer")
    found = searched.organization.connection(served.connection) | {"api_key": outsider.api_key}
    with needletail.connect(
        f"needletail://{found['address']}:{found['port']}",
        api_key=found["api_key"], ca_file=found["ca_file"],
    ) as client:  # fmt: skip
        tracking = client.tracking
        for project in ("", searched.project):
            assert tracking.count_runs(project_id=project).count == 0
            assert tracking.search_runs(project_id=project).runs == ()
        assert tracking.list_experiments(filter="name LIKE '%'").experiments == ()
    tracking = searched.client.tracking
    gone = searched.client.identity.create_project(name=f"Gone {uuid.uuid4()}").id
    experiment = tracking.create_experiment(project_id=gone, name="gone").id
    tracking.create_run(experiment_id=experiment, name="gone")
    assert tracking.count_runs(filter="run_name = 'gone'").count == 1
    searched.client.identity.delete_project(id=gone)
    assert tracking.count_runs(filter="run_name = 'gone'").count == 0


def test_what_is_archived_is_found_when_asked_and_what_is_deleted_never(
    searched: Searched,
) -> None:
    tracking = searched.client.tracking
    project = searched.client.identity.create_project(name=f"Put away {uuid.uuid4()}").id
    experiments = {
        name: tracking.create_experiment(project_id=project, name=name).id for name in "xyz"
    }
    runs = {
        name: tracking.create_run(experiment_id=experiments["x"], name=name).id for name in "abc"
    }
    tracking.update_run(id=runs["b"], archived=True)
    tracking.delete_run(id=runs["c"])
    tracking.create_run(experiment_id=experiments["z"], name="d")
    tracking.update_experiment(id=experiments["y"], archived=True)
    tracking.delete_experiment(id=experiments["z"])
    for archived, names, found in ((False, ["a"], ["x"]), (True, ["b", "a"], ["y", "x"])):
        asked = {"project_id": project, "include_archived": archived}
        page = tracking.search_runs(filter="run_name LIKE '%'", **asked)
        assert [one.run.name for one in page.runs] == names
        assert [run.name for run in tracking.list_runs(**asked).runs] == names
        assert tracking.count_runs(**asked).count == len(names)
        for text in ("", "name LIKE '%'"):
            listed = tracking.list_experiments(filter=text, **asked).experiments
            assert [one.name for one in listed] == found
    with pytest.raises(needletail.CallError) as caught:
        tracking.list_experiments(filter="name = 'z'", deleted=True)
    assert [one.field for one in caught.value.field_violations] == ["deleted"]


def test_a_run_that_is_found_is_the_run_that_is_shown(searched: Searched) -> None:
    tracking = searched.client.tracking
    run = tracking.create_run(
        experiment_id=searched.experiment, name="whole", parent_run_id=searched.runs["a"],
        forked_from=RunFork(run_id=searched.runs["b"], step=7),
        source=RunSource(entry_point="train.py", git_dirty=True, process_number=4),
    ).id  # fmt: skip
    tracking.update_run(id=run, pinned=True, archived=True)
    tracking.finish_run(id=run)
    page = tracking.search_runs(filter=f"run_id = '{run}'", include_archived=True)
    assert [one.run for one in page.runs] == [tracking.get_run(id=run)]
    tracking.delete_run(id=run)


def test_experiments_are_found_and_sorted(searched: Searched, sql: Connection) -> None:
    tracking = searched.client.tracking
    project = searched.client.identity.create_project(name=f"Sorted {uuid.uuid4()}").id
    ids = {n: tracking.create_experiment(project_id=project, name=n).id for n in ("x", "Y", "z")}
    sql.execute(
        "insert into experiment_tags values (%s, %s, 'team', 'vision')",
        [searched.organization.id, ids["Y"]],
    )

    def names(text: str = "", *order: str, size: int = 100) -> str:
        found = tracking.iterate_experiments(
            project_id=project, filter=text, order_by=order, page_size=size
        )
        return "".join(one.name for one in found)

    assert names("tags.team = 'vision'") == "Y"
    assert names("tags.team IS NULL", size=1) == "zx"
    assert names("", "name", size=2) == "Yxz"
    assert names("", "tags.team", "name DESC", size=1) == "Yzx"
    assert names(f"experiment_id IN ('{ids['x']}', '{ids['z']}') AND NOT name = 'x'") == "z"
    assert names("name ILIKE 'y' AND creation_time > 0 AND last_update_time > 0") == "Y"
    with pytest.raises(needletail.CallError) as caught:
        names("metrics.loss > 0")
    assert caught.value.reason == "FILTER_INVALID"


def test_a_search_that_runs_away_is_ended(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server("--set", "search-timeout=1ms")
    server.start()
    with server.sql() as sql, server.client() as client:
        row = sql.execute("select organization_id, id, created_by from projects").fetchone()
        assert row is not None
        experiment = client.tracking.create_experiment(project_id=str(row["id"]), name="large").id
        sql.execute(
            "insert into runs (organization_id, id, experiment_id, project_id, name, status,"
            " started_at, created_by) select %s, gen_random_uuid(), %s, %s, 'run', 'running',"
            " now(), %s from generate_series(1, 20000)",
            [row["organization_id"], experiment, row["id"], row["created_by"]],
        )
        with pytest.raises(needletail.CallError) as caught:
            client.tracking.count_runs(filter="run_id LIKE '%a%b%c%d%'")
    assert caught.value.reason == "SEARCH_TIMED_OUT"


def test_the_command_line_searches(searched: Searched, served: UpServer, place: Path) -> None:
    connection = place / "connection.json"
    connection.write_text(json.dumps(searched.organization.connection(served.connection)))

    def run(*arguments: str, code: int = 0) -> str:
        result = run_program(*arguments, "--connection-file", connection)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout or result.stderr

    mine = ("runs", "list", "--experiment", searched.experiment)
    listed = run(*mine, "--filter", "metrics.loss IS NOT NULL", "--order-by", "metrics.loss DESC")
    assert [line.split()[1] for line in listed.splitlines()[1:]] == ["d", "b", "a", "c"]
    assert run(*mine, "--filter", "metrics.loss < 0.5", "--count") == "2\n"
    assert json.loads(run(*mine, "--count", "-o", "json")) == {"count": "5"}
    assert "character 15" in run(*mine, "--filter", "metrics.loss <", code=7)
    assert "--status" in run(*mine, "--count", "--status", "running", code=2)
    columns = ("--columns", "name,metrics.loss,params.lr,tags.none", "--order-by", "metrics.loss")
    titles, *rows = run(*mine, "--filter", "metrics.loss < 0.5", *columns).splitlines()
    assert titles.split() == ["NAME", "metrics.loss", "params.lr", "tags.none"]
    assert [row.split()[0] for row in rows] == ["a", "b"]
    found = run("experiments", "list", "--filter", "name = 'searched'", "--order-by", "name")
    assert searched.experiment in found
