"""Scorers and their versions: what is stored, listed, deleted and refused."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from projects import audited, refused
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail
    from needletail.tracing import ScorerVersion
    from program import Connection, UpServer

EMPTY = "{}"


class Panel:
    """The scorers of one experiment."""

    def __init__(self, client: needletail.Client, project: str, experiment: str) -> None:
        self.tracing, self.project = client.tracing, {"project_id": project}
        self.at = {**self.project, "experiment_id": experiment}

    def register(self, name: str = "judge", text: str = EMPTY, **fields: Any) -> ScorerVersion:
        """Register a scorer, or a version of one."""
        fields = {**self.at, **fields}
        return self.tracing.register_scorer(**fields, name=name, serialized_json=text)

    def get(self, name: str = "judge", version: int | None = None) -> ScorerVersion:
        """Return a version of a scorer, or its latest."""
        return self.tracing.get_scorer(**self.at, name=name, version=version)

    def versions(self, name: str = "judge", **fields: Any) -> list[int]:
        """Return the versions of a scorer, from all pages."""
        found = self.tracing.iterate_scorer_versions(**self.at, name=name, **fields)
        return [one.version for one in found]

    def listed(self, *experiments: str, **fields: Any) -> list[tuple[str, int]]:
        """Return names and latest versions of scorers, from all pages."""
        found = self.tracing.iterate_scorers(**self.project, experiment_ids=experiments, **fields)
        return [(one.name, one.version) for one in found]

    def delete(self, name: str = "judge", version: int | None = None) -> int:
        """Delete a version of a scorer, or all; return how many were."""
        return self.tracing.delete_scorer(**self.at, name=name, version=version).count


@pytest.fixture
def panel(client: needletail.Client) -> Iterator[Panel]:
    """Others count on the organization's only project: this one goes when the test is over."""
    project = client.identity.create_project(name="s", slug=f"s-{uuid.uuid4()}").id
    experiment = client.tracking.create_experiment(project_id=project, name="x").id
    yield Panel(client, project, experiment)
    client.identity.delete_project(id=project)


def test_a_scorer_is_registered_in_versions(panel: Panel, client: needletail.Client) -> None:
    texts = ['{"a": 1}', ' {"b" : [ "ü" ] } ', '{"a": 1}']
    made = [panel.register(text=text) for text in texts]
    assert [one.version for one in made] == [1, 2, 3]
    assert len({one.scorer_id for one in made}) == 1
    first = made[0]
    assert {"project_id": first.project_id, "experiment_id": first.experiment_id} == panel.at
    assert first.created_by == client.identity.who_am_i().user_id
    assert 0 < first.create_time_ms <= made[2].create_time_ms
    # Exactly as it was written.
    assert [panel.get(version=number).serialized_json for number in (1, 2, 3)] == texts
    assert panel.get() == panel.get(version=3) == made[2]
    assert panel.get(version=1) == first
    assert panel.versions() == panel.versions(page_size=1) == panel.versions(page_size=2)
    assert panel.versions() == [1, 2, 3]
    other = panel.register("Judge")
    assert (other.version, other.scorer_id == first.scorer_id) == (1, False)


def test_scorers_are_listed_by_experiment_and_name(panel: Panel, client: needletail.Client) -> None:
    experiments = [panel.at["experiment_id"]]
    experiments += [
        client.tracking.create_experiment(**panel.project, name=name).id for name in ("y", "z")
    ]
    for experiment in experiments[:2]:
        # A name may begin with a mark that belongs to the letter before it.
        for name in ("b", "a", "\u0301", "ü b", "a"):
            panel.register(name, experiment_id=experiment)
    expected = [("a", 2), ("b", 1), ("ü b", 1), ("\u0301", 1)]
    expected.sort(key=lambda one: one[0].encode())
    for size in (0, 1, 3):
        assert panel.listed(experiments[0], page_size=size) == expected
        assert panel.listed(page_size=size) == expected * 2
        assert panel.listed(*reversed(experiments), page_size=size) == expected * 2
    found = list(panel.tracing.iterate_scorers(**panel.project))
    assert [one.experiment_id for one in found] == [*experiments[:1] * 4, *experiments[1:2] * 4]
    assert panel.listed(experiments[2]) == panel.listed(str(uuid.uuid4())) == []
    first = panel.tracing.list_scorers(**panel.project, page_size=1).next_page_token
    refused(
        "PAGE_TOKEN_INVALID", panel.tracing.list_scorers, **panel.project,
        experiment_ids=experiments, page_token=first,
    )  # fmt: skip
    refused(
        "PAGE_TOKEN_INVALID", panel.tracing.list_scorer_versions, **panel.at, name="a",
        page_token=first,
    )  # fmt: skip
    # Those of a deleted experiment come back with it.
    client.tracking.delete_experiment(id=experiments[1])
    assert panel.listed() == expected
    assert panel.listed(experiments[1]) == []
    client.tracking.undelete_experiment(id=experiments[1])
    assert panel.listed(experiments[1]) == expected


def test_long_scorers_come_in_several_pages(panel: Panel) -> None:
    text = json.dumps({"a": "x" * 1_000_000})
    for number in range(3):
        panel.register(text=text)
        panel.register(f"scorer {number}", text)
    assert len(panel.tracing.list_scorers(**panel.project).scorers) == 2
    assert len(panel.listed()) == 4
    assert len(panel.tracing.list_scorer_versions(**panel.at, name="judge").scorers) == 2
    assert panel.versions() == [1, 2, 3]


def test_versions_are_deleted_one_by_one_or_all(panel: Panel) -> None:
    for _ in range(4):
        made = panel.register()
    assert panel.delete(version=2) == 1
    assert panel.versions() == [1, 3, 4]
    assert panel.get().version == 4
    # The next version is one more than the greatest that there is.
    assert panel.delete(version=4) == 1
    assert (panel.get().version, panel.listed()) == (3, [("judge", 3)])
    assert panel.register().version == 4
    for gone in (2, 5, 0, -1):
        refused("SCORER_VERSION_NOT_FOUND", panel.delete, version=gone)
        refused("SCORER_VERSION_NOT_FOUND", panel.get, version=gone)
    assert panel.delete() == 3
    for method in (panel.get, panel.delete, panel.versions):
        refused("SCORER_NOT_FOUND", method)
    assert panel.listed() == []
    again = panel.register()
    assert (again.version, again.scorer_id == made.scorer_id) == (1, False)
    # With its last version a scorer is gone.
    assert panel.delete(version=1) == 1
    refused("SCORER_NOT_FOUND", panel.get)


def test_versions_are_counted_whoever_registers_them(panel: Panel) -> None:
    found: list[int] = []

    def register() -> None:
        found.extend(panel.register().version for _ in range(10))

    threads = [threading.Thread(target=register) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == panel.versions() == list(range(1, 41))


def test_what_is_done_to_scorers_is_audited(panel: Panel, sql: Connection) -> None:
    made = panel.register(text='{"a": 1}')
    panel.register()
    panel.delete(version=1)
    panel.delete()
    where = {"experiment_id": made.experiment_id, "name": "judge"}
    assert audited(sql, made.scorer_id, "scorer.register") == [
        {**where, "version": "1", "bytes": "8"},
        {**where, "version": "2", "bytes": "2"},
    ]
    assert audited(sql, made.scorer_id, "scorer.delete") == [
        {**where, "version": "1", "count": "1"},
        {**where, "version": "all", "count": "1"},
    ]


def test_what_is_not_there_is_refused(
    panel: Panel, client: needletail.Client, experiment_id: str
) -> None:
    panel.register()
    one = {"name": "judge"}
    methods: list[tuple[Callable[..., Any], dict[str, str]]] = [
        (panel.tracing.register_scorer, {**one, "serialized_json": EMPTY}),
        (panel.tracing.get_scorer, one),
        (panel.tracing.list_scorer_versions, one),
        (panel.tracing.delete_scorer, one),
    ]
    project = client.identity.create_project(name="t", slug=f"t-{uuid.uuid4()}").id
    deleted = client.tracking.create_experiment(**panel.project, name="deleted").id
    panel.register(experiment_id=deleted)
    client.tracking.delete_experiment(id=deleted)
    for method, fields in methods:
        for wrong in (str(uuid.uuid4()), experiment_id, deleted):
            refused("EXPERIMENT_NOT_FOUND", method, **panel.project, experiment_id=wrong, **fields)
        experiment = panel.at["experiment_id"]
        refused(
            "EXPERIMENT_NOT_FOUND", method, project_id=project, experiment_id=experiment, **fields
        )
        nowhere = {"project_id": str(uuid.uuid4()), "experiment_id": experiment}
        refused("PROJECT_NOT_FOUND", method, **nowhere, **fields)
    refused("PROJECT_NOT_FOUND", panel.tracing.list_scorers, project_id=str(uuid.uuid4()))
    client.identity.delete_project(id=project)
    for method in (panel.get, panel.delete, panel.versions):
        refused("SCORER_NOT_FOUND", method, name="nobody")


@pytest.mark.parametrize(
    "fields",
    [
        *({"serialized_json": text} for text in ("", "[]", "1", "{", '{"a": NaN}', "{} {}")),
        {"serialized_json": json.dumps({"a": "x" * 1_048_576})},
        *({"name": name} for name in ("", " ", "a\n", "ü" * 257)),
        {"experiment_id": "0"},
        {"project_id": ""},
    ],
)
def test_a_bad_scorer_is_refused(panel: Panel, fields: dict[str, str]) -> None:
    good = {**panel.at, "name": "ü" * 256, "serialized_json": EMPTY}
    refused("FIELD_INVALID", panel.tracing.register_scorer, **{**good, **fields})
    assert panel.listed() == []
    panel.tracing.register_scorer(**good)
    assert panel.listed() == [("ü" * 256, 1)]


def test_a_scorer_has_as_many_versions_as_a_setting_allows(
    own_server: Callable[..., UpServer],
) -> None:
    server = own_server(
        "--set", "scorer-versions-max=2", "--set", "housekeeping-interval=50ms", "--set",
        "purge-batch-rows=1",
    )  # fmt: skip
    server.start()
    with server.client() as client, server.sql() as sql:
        project = client.identity.create_project(name="s", slug="s").id
        experiment = client.tracking.create_experiment(project_id=project, name="x").id
        panel = Panel(client, project, experiment)
        panel.register()
        panel.register()
        refused("SCORER_VERSION_LIMIT_REACHED", panel.register)
        assert panel.versions() == [1, 2]
        panel.delete(version=1)
        assert panel.register().version == 3
        panel.register("other")
        # All goes with its experiment.
        client.tracking.delete_experiment(id=experiment, purge=True)
        refused("EXPERIMENT_NOT_FOUND", panel.get)
        # Upkeep leaves calls a minute to end.
        sql.execute(
            "update experiments set purge_after = purge_after - interval '1 minute' where id = %s",
            [experiment],
        )

        def left() -> int:
            row = sql.execute(
                "select (select count(*) from scorers)"
                " + (select count(*) from scorer_versions) as n"
            ).fetchone()
            assert row is not None
            return int(row["n"])

        wait_until("the scorers are gone", lambda: left() == 0)
