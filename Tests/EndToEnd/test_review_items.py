"""Items of review queues: what becomes of traces that people are to review."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.errors import CallError
from needletail.tracing import ReviewLabelSchemas, ReviewStatus, ReviewUsers
from projects import audited, refused
from traces import Bench
from trays import Tray, open_tray
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail
    from needletail.tracing import ReviewItem, ReviewQueue
    from program import Connection

LONG = "x" * 251


@pytest.fixture
def tray(client: needletail.Client) -> Iterator[Tray]:
    """A project of the test's own."""
    with open_tray(client) as tray:
        yield tray


def test_items_are_added_once_and_listed_the_latest_first(tray: Tray) -> None:
    queue = tray.create()
    traces = [tray.bench.start() for _ in range(2)]
    items = tray.add(queue, traces[1], "tr-b", "tr-a", traces[0])
    assert [one.trace_id for one in items] == [traces[1], "tr-b", "tr-a", traces[0]]
    assert {one.status for one in items} == {ReviewStatus.PENDING}
    assert {(one.review_queue_id, one.completed_by) for one in items} == {(queue.id, None)}
    done = tray.review(queue, "tr-a", ReviewStatus.COMPLETE, "Ada")
    wait_until("the clock ticks", lambda: tray.bench.start() and _now(tray) > items[0])
    again = tray.add(queue, "tr-c", "tr-a")
    assert (again[0].status, again[1]) == (ReviewStatus.PENDING, done)
    expected = ["tr-c", *sorted([*traces, "tr-a", "tr-b"])]
    for size in (0, 1, 2, 500):
        assert tray.items(queue, page_size=size) == expected
    assert tray.items(queue, status=ReviewStatus.COMPLETE, page_size=1) == ["tr-a"]
    pending = [one for one in expected if one != "tr-a"]
    assert tray.items(queue, status=ReviewStatus.PENDING, page_size=1) == pending
    assert tray.remove(queue, "tr-b", "none", traces[0]) == 2
    assert tray.items(queue) == ["tr-c", *sorted([traces[1], "tr-a"])]
    listing = tray.tracing.list_review_items
    token = listing(**tray.where(queue), page_size=1).next_page_token
    complete = {**tray.where(queue), "status": ReviewStatus.COMPLETE}
    refused("PAGE_TOKEN_INVALID", listing, **complete, page_token=token)
    refused("FIELD_INVALID", listing, **tray.where(queue), status=9)
    refused("FIELD_INVALID", listing, **tray.where(queue), page_size=501)


def _now(tray: Tray) -> Any:
    """Return an item that is made now, for its time."""

    class Later:
        def __init__(self, queue: ReviewQueue) -> None:
            self.time = queue.create_time_ms

        def __gt__(self, item: ReviewItem) -> bool:
            return self.time > item.create_time_ms

    return Later(tray.create(str(uuid.uuid4())))


def test_an_item_has_a_status_of_its_own_in_each_queue(tray: Tray) -> None:
    one, two = tray.create("one"), tray.create("two")
    for queue in (one, two):
        tray.add(queue, "tr-1")
    done = tray.review(one, "tr-1", ReviewStatus.COMPLETE, "Bob")
    assert (done.status, done.completed_by) == (ReviewStatus.COMPLETE, "bob")
    assert done.complete_time_ms == done.update_time_ms >= done.create_time_ms
    assert tray.items(two, status=ReviewStatus.PENDING) == ["tr-1"]
    # Whoever says it again has not done it.
    assert tray.review(one, "tr-1", ReviewStatus.COMPLETE, "eve") == done
    declined = tray.review(one, "tr-1", ReviewStatus.DECLINED, "eve")
    assert (declined.status, declined.completed_by) == (ReviewStatus.DECLINED, "eve")
    again = tray.review(one, "tr-1", ReviewStatus.PENDING)
    assert (again.status, again.completed_by, again.complete_time_ms) == (
        ReviewStatus.PENDING, None, None,
    )  # fmt: skip
    assert tray.tracing.list_review_items(**tray.where(one)).items == (again,)
    refused("REVIEW_ITEM_NOT_FOUND", tray.review, one, "tr-2", ReviewStatus.COMPLETE, "bob")


def test_items_go_with_their_traces(tray: Tray) -> None:
    queues = [tray.create(name) for name in ("one", "two")]
    kept, gone, old = (tray.bench.start(request_time_ms=time) for time in (9_000, 8_000, 10))
    for queue in queues:
        tray.add(queue, kept, gone, old, "to come")
    tray.tracing.delete_traces(**tray.at, trace_ids=[gone])
    tray.tracing.delete_traces(**tray.at, request_time_ms_max=100)
    for queue in queues:
        assert sorted(tray.items(queue)) == sorted([kept, "to come"])
    # In another project a trace may be called the same.
    tray.bench.start("to come")
    tray.tracing.delete_traces(**tray.at, trace_ids=["to come"])
    assert tray.items(queues[0]) == [kept]


def test_traces_of_another_experiment_are_refused(tray: Tray, client: needletail.Client) -> None:
    other = client.tracking.create_experiment(**tray.project, name="y").id
    strange = Bench(client, tray.project, other).start()
    queue = tray.create()
    error = refused("TRACE_NOT_FOUND", tray.add, queue, "tr-1", strange)
    assert error.details["trace_ids"] == strange
    assert tray.items(queue) == []


def test_a_request_that_is_sent_again_has_its_effect_once(tray: Tray) -> None:
    keys = [str(uuid.uuid4()) for _ in range(2)]
    first, second = (tray.create(idempotency_key=keys[0]) for _ in range(2))
    assert first == second
    assert tray.listed() == ["team"]
    items = tray.add(first, "tr-1", idempotency_key=keys[1])
    tray.remove(first, "tr-1")
    assert tray.add(first, "tr-1", idempotency_key=keys[1]) == items
    assert tray.items(first) == []


def test_what_is_asked_and_items_do_not_change_at_once(tray: Tray) -> None:
    queue = tray.create(label_schema_ids=[tray.ask("a")])
    refusals: list[str] = []

    def ask() -> None:
        try:
            tray.update(queue, label_schemas=ReviewLabelSchemas())
        except CallError as error:
            refusals.append(error.reason)

    threads = [threading.Thread(target=ask), threading.Thread(target=tray.add, args=(queue, "t"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tray.items(queue) == ["t"]
    assert refusals == (["REVIEW_QUEUE_HAS_ITEMS"] if tray.get(queue).label_schema_ids else [])


def test_a_bad_change_or_item_is_refused_by_its_field(tray: Tray) -> None:
    queue = tray.create()
    tray.add(queue, "tr-1")

    def fails(field: str, method: Callable[..., Any], *arguments: Any, **fields: Any) -> None:
        error = refused("FIELD_INVALID", method, *arguments, **fields)
        assert [one.field for one in error.field_violations] == [field]

    fails("name", tray.update, queue, name="")
    fails("owner", tray.update, queue, owner="")
    fails("users.users[0]", tray.update, queue, users=ReviewUsers(users=[""]))
    wrong = ReviewLabelSchemas(label_schema_ids=["x"])
    fails("label_schemas.label_schema_ids[0]", tray.update, queue, label_schemas=wrong)
    for method in (tray.add, tray.remove):
        fails("trace_ids", method, queue)
        fails("trace_ids", method, queue, *(str(n) for n in range(1_001)))
        fails("trace_ids[1]", method, queue, "a", "a")
        fails("trace_ids[0]", method, queue, LONG)
    fails("status", tray.review, queue, "tr-1", ReviewStatus.UNSPECIFIED)
    fails("completed_by", tray.review, queue, "tr-1", ReviewStatus.COMPLETE)
    fails("completed_by", tray.review, queue, "tr-1", ReviewStatus.DECLINED, LONG)
    fails("completed_by", tray.review, queue, "tr-1", ReviewStatus.PENDING, "ada")
    assert tray.items(queue, status=ReviewStatus.PENDING) == ["tr-1"]
    assert len(tray.add(queue, *(f"tr-{n}" for n in range(1_000)))) == 1_000


def test_a_deleted_queue_takes_its_items_along(tray: Tray, sql: Connection) -> None:
    queue = tray.create()
    tray.add(queue, "tr-1")
    tray.review(queue, "tr-1", ReviewStatus.COMPLETE, "ada")
    tray.delete(queue)
    refused("REVIEW_QUEUE_NOT_FOUND", tray.get, queue)
    refused("REVIEW_QUEUE_NOT_FOUND", tray.items, queue)
    for action, expected in (
        ("update", {"what": "items_added", "count": "1", "trace_ids": "tr-1"}),
        ("review", {"trace_id": "tr-1", "status": "complete", "completed_by": "ada"}),
    ):
        assert audited(sql, queue.id, f"review_queue.{action}") == [expected]
    (details,) = audited(sql, queue.id, "review_queue.delete")
    assert details["before"]["name"] == "team"
