"""Review queues: traces that people are to review; stored, listed, changed and refused."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracing import ReviewLabelSchemas, ReviewQueueKind, ReviewStatus, ReviewUsers
from projects import audited, refused
from test_purged_runs import purge
from trays import CUSTOM, USER, Tray, open_tray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail
    from program import Connection, UpServer

LONG = "x" * 251


@pytest.fixture
def tray(client: needletail.Client) -> Iterator[Tray]:
    """A project of the test's own."""
    with open_tray(client) as tray:
        yield tray


def test_a_review_queue_is_kept_as_it_was_created(tray: Tray) -> None:
    schemas = sorted(tray.ask(name) for name in "ab")
    made = tray.create(
        "Answers of É", users=["Bob", "ada", "bob"], owner="Ada L", label_schema_ids=schemas[::-1]
    )
    assert tray.get(made) == made
    assert {"project_id": made.project_id, "experiment_id": made.experiment_id} == tray.at
    assert (made.name, made.kind, made.owner) == ("Answers of É", CUSTOM, "Ada L")
    assert (list(made.users), list(made.label_schema_ids)) == (["ada", "bob"], schemas)
    assert made.update_time_ms == made.create_time_ms > 0
    bare = tray.create("bare")
    assert (bare.users, bare.label_schema_ids, bare.owner) == ((), (), None)
    own = tray.create("Ada@Example.com", USER, users=["ADA@example.com"])
    assert (own.name, own.kind, own.users) == ("ada@example.com", USER, ("ada@example.com",))
    assert tray.create("bob", USER).users == ("bob",)


def test_review_queues_are_listed_the_newest_first(tray: Tray, client: needletail.Client) -> None:
    first = tray.create("É", users=["ada"])
    second = tray.create("b", users=["ada", "Bob"])
    tray.create("bob", USER)
    tray.add(first, "tr-1", "tr-2")
    tray.add(second, "tr-1")
    for size in (0, 1, 2):
        assert tray.listed(page_size=size) == ["bob", "b", "É"]
    for fields, expected in (
        ({"name": "é"}, ["É"]), ({"name": "B"}, ["b"]), ({"name": "none"}, []),
        ({"user": "ADA"}, ["b", "É"]), ({"user": "bob"}, ["bob", "b"]), ({"user": "none"}, []),
        ({"trace_id": "tr-1"}, ["b", "É"]), ({"trace_id": "tr-2"}, ["É"]),
        ({"trace_id": "tr-3"}, []), ({"user": "bob", "trace_id": "tr-1"}, ["b"]),
    ):  # fmt: skip
        assert tray.listed(**fields) == expected, fields
        assert tray.listed(**fields, page_size=1) == expected, fields
    listing = tray.tracing.list_review_queues
    token = listing(**tray.at, page_size=1).next_page_token
    for wrong in ({"name": "b"}, {"user": "ada"}, {"trace_id": "tr-1"}):
        refused("PAGE_TOKEN_INVALID", listing, **tray.at, **wrong, page_token=token)
    other = client.tracking.create_experiment(**tray.project, name="y").id
    assert tray.create("É", experiment_id=other).id != first.id
    assert tray.listed(name="é") == ["É"]


def test_a_name_is_taken_in_any_case(tray: Tray) -> None:
    first, second = tray.create("Café"), tray.create("b")
    refused("REVIEW_QUEUE_NAME_TAKEN", tray.create, "CAFÉ")
    refused("REVIEW_QUEUE_NAME_TAKEN", tray.create, "B", USER)
    refused("REVIEW_QUEUE_NAME_TAKEN", tray.update, second, name="cafÉ")
    assert tray.update(first, name="CAFÉ").name == "CAFÉ"
    assert tray.get(first).name == "CAFÉ"


def test_what_is_given_is_changed(tray: Tray, sql: Connection) -> None:
    schemas = sorted(tray.ask(name) for name in "ab")
    made = tray.create(users=["ada"], label_schema_ids=schemas[:1])
    assert tray.update(made, name="new", owner="bob") == tray.get(made)
    changed = tray.update(
        made, users=ReviewUsers(users=["Eve", "bob"]),
        label_schemas=ReviewLabelSchemas(label_schema_ids=schemas),
    )  # fmt: skip
    assert changed == tray.get(made)
    assert dataclasses.replace(changed, update_time_ms=made.update_time_ms) == dataclasses.replace(
        made, name="new", owner="bob", users=("bob", "eve"), label_schema_ids=tuple(schemas)
    )
    cleared = tray.update(made, users=ReviewUsers(), label_schemas=ReviewLabelSchemas())
    assert (cleared.users, cleared.label_schema_ids, cleared.name) == ((), (), "new")
    details = audited(sql, made.id, "review_queue.update")
    assert details[0] == {
        "before": {"name": "team", "owner": ""}, "after": {"name": "new", "owner": "bob"}
    }  # fmt: skip
    assert details[1]["after"] == {"users": "bob | eve", "label_schema_ids": " ".join(schemas)}
    own = tray.create("ada", USER)
    for fields in ({"name": "x"}, {"owner": "x"}, {"users": ReviewUsers()}, {}):
        refused("REVIEW_QUEUE_FIXED", tray.update, own, **fields)


def test_what_is_asked_stays_while_there_are_items(tray: Tray) -> None:
    schema = tray.ask("a")
    queue = tray.create(label_schema_ids=[schema])
    tray.add(queue, "tr-1")
    asked = ReviewLabelSchemas(label_schema_ids=[])
    refused("REVIEW_QUEUE_HAS_ITEMS", tray.update, queue, label_schemas=asked)
    assert tray.update(queue, users=ReviewUsers(users=["bob"])).label_schema_ids == (schema,)
    tray.remove(queue, "tr-1")
    assert tray.update(queue, label_schemas=asked).label_schema_ids == ()


def test_a_deleted_label_schema_is_asked_no_more(tray: Tray) -> None:
    gone, stays = tray.ask("a"), tray.ask("b")
    queue = tray.create(label_schema_ids=[gone, stays])
    tray.tracing.delete_label_schema(**tray.project, label_schema_id=gone)
    assert tray.get(queue).label_schema_ids == (stays,)
    assert tray.update(queue, name="x").label_schema_ids == (stays,)
    (listed,) = tray.tracing.list_review_queues(**tray.at).review_queues
    assert listed.label_schema_ids == (stays,)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": ""}), ("name", {"name": LONG}), ("name", {"name": "a\n"}),
        ("kind", {"kind": ReviewQueueKind.UNSPECIFIED}), ("owner", {"owner": ""}),
        ("owner", {"owner": LONG}), ("users", {"users": [str(n) for n in range(11)]}),
        ("users[1]", {"users": ["a", ""]}), ("users[0]", {"users": [LONG]}),
        ("users", {"kind": USER, "users": ["eve"]}),
        ("label_schema_ids[0]", {"label_schema_ids": ["x"]}),
        ("label_schema_ids", {"label_schema_ids": [str(uuid.uuid4()) for _ in range(101)]}),
        ("label_schema_ids", {"kind": USER, "label_schema_ids": [str(uuid.uuid4())]}),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_its_name(tray: Tray, field: str, fields: dict[str, Any]) -> None:
    error = refused("FIELD_INVALID", tray.create, **fields)
    assert [one.field for one in error.field_violations] == [field]
    assert tray.listed() == []
    # Ten of them are not too many, however often they come.
    assert len(tray.create(users=[str(n) for n in range(10)] * 2).users) == 10


def test_what_is_not_there_is_refused(
    tray: Tray, client: needletail.Client, experiment_id: str
) -> None:
    other = client.tracking.create_experiment(**tray.project, name="y").id
    elsewhere = tray.ask("a", experiment_id=other)
    for wrong in (str(uuid.uuid4()), elsewhere):
        error = refused("LABEL_SCHEMA_NOT_FOUND", tray.create, label_schema_ids=[wrong])
        assert error.details["label_schema_ids"] == wrong
    assert tray.listed() == []
    queue, tracing = tray.create(), tray.tracing
    refused(
        "LABEL_SCHEMA_NOT_FOUND", tray.update, queue,
        label_schemas=ReviewLabelSchemas(label_schema_ids=[elsewhere]),
    )  # fmt: skip
    for wrong in (str(uuid.uuid4()), experiment_id):
        refused("EXPERIMENT_NOT_FOUND", tray.create, "b", experiment_id=wrong)
        refused(
            "EXPERIMENT_NOT_FOUND", tracing.list_review_queues, **tray.project, experiment_id=wrong
        )
    project = client.tracking.get_experiment(id=experiment_id).project_id
    review = {"trace_id": "a", "status": ReviewStatus.PENDING}
    calls: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
        (tracing.get_review_queue, {}), (tracing.update_review_queue, {"name": "x"}),
        (tracing.delete_review_queue, {}), (tracing.add_review_items, {"trace_ids": ["a"]}),
        (tracing.remove_review_items, {"trace_ids": ["a"]}), (tracing.list_review_items, {}),
        (tracing.update_review_item, review),
    )  # fmt: skip
    for method, fields in calls:
        strange = {**tray.project, "review_queue_id": str(uuid.uuid4())}
        refused("REVIEW_QUEUE_NOT_FOUND", method, **strange, **fields)
        strange = {"project_id": project, "review_queue_id": queue.id}
        refused("REVIEW_QUEUE_NOT_FOUND", method, **strange, **fields)
        strange["project_id"] = str(uuid.uuid4())
        refused("PROJECT_NOT_FOUND", method, **strange, **fields)


def test_review_queues_go_with_their_experiment(
    tray: Tray, client: needletail.Client, served: UpServer, sql: Connection
) -> None:
    queue, experiment = tray.create(), tray.at["experiment_id"]
    tray.add(queue, tray.bench.start(), "to come")
    client.tracking.delete_experiment(id=experiment)
    refused("EXPERIMENT_NOT_FOUND", tray.listed)
    assert tray.get(queue) == queue
    client.tracking.undelete_experiment(id=experiment)
    assert tray.listed() == ["team"]
    client.tracking.delete_experiment(id=experiment, purge=True)
    purge(served, sql, "experiments", experiment)
    refused("REVIEW_QUEUE_NOT_FOUND", tray.get, queue)
    of = "review_queue_id = %s"
    assert sql.execute(f"select from review_items where {of}", [queue.id]).fetchall() == []
