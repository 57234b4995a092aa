"""Label schemas and review queues, through MLflow's own functions and its server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.exceptions import MlflowException
from needletail.tracing import AssessmentKind, LabelInput, ReviewQueueKind, TextInput

from needletail_mlflow.tracking_store import TrackingStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import needletail

pytest.importorskip("mlflow.genai.review_queues", reason="this MLflow has no review queues")

from mlflow.genai import label_schemas as asked
from mlflow.genai import review_queues as queues
from mlflow.genai.label_schemas import (
    InputCategorical,
    InputNumeric,
    InputPassFail,
    InputText,
)
from mlflow.genai.label_schemas.label_schemas import LabelSchemaType
from mlflow.genai.review_queues import ReviewQueueType, ReviewStatus

YES_NO = InputPassFail("yes", "no")
INPUTS = {
    "pass": YES_NO, "some": InputCategorical(["b", "a"], multi_select=True),
    "number": InputNumeric(-1.5, 2), "any number": InputNumeric(), "text": InputText(9),
    "any text": InputText(),
}  # fmt: skip


def ask(store: TrackingStore, name: str = "Is it?", **fields: Any) -> Any:
    fields = {"experiment_id": "0", "type": "feedback", "input": YES_NO, **fields}
    return store.create_label_schema(name=name, **fields)


def start(store: TrackingStore, trace_id: str, experiment_id: str = "0", time: int = 1) -> str:
    store.start_trace(TraceInfo(
        trace_id=trace_id, trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=time, execution_duration=1, state=TraceState.OK,
    ))  # fmt: skip
    return trace_id


def fails(code: str, match: str, method: Callable[..., Any], *given: Any, **fields: Any) -> None:
    with pytest.raises(MlflowException, match=match) as caught:
        method(*given, **fields)
    assert caught.value.error_code == code


@pytest.fixture(params=["here", "at a server"])
def experiment(request: pytest.FixtureRequest, uri: str) -> Iterator[str]:
    """Lets MLflow's functions work on an experiment, themselves or at a server of MLflow's."""
    at = uri if request.param == "here" else request.getfixturevalue("server")
    mlflow.set_tracking_uri(at)
    yield mlflow.set_experiment("reviewed").experiment_id
    mlflow.set_tracking_uri(None)


def test_people_review_what_mlflow_gives_them(experiment: str, uri: str) -> None:
    made = {
        name: asked.create_label_schema(
            name=name, type="expectation", input=given, instruction="Look.", enable_comment=True
        )
        for name, given in INPUTS.items()
    }
    for name, schema in made.items():
        assert asked.get_label_schema(schema_id=schema.schema_id) == schema
        assert asked.get_label_schema(name, experiment_id=experiment) == schema
        assert (schema.input, schema.type) == (INPUTS[name], LabelSchemaType.EXPECTATION)
        assert (schema.instruction, schema.enable_comment, schema.is_default) == (
            "Look.", True, False,
        )  # fmt: skip
    listed = asked.list_label_schemas()
    assert [one.name for one in listed] == ["Feedback", *reversed(INPUTS)]
    changed = asked.update_label_schema(made["pass"].schema_id, name="New?")
    assert (changed.name, changed.input) == ("New?", YES_NO)
    asked.delete_label_schema(schema_id=made["text"].schema_id)
    assert len(asked.list_label_schemas()) == len(INPUTS)

    store = TrackingStore(uri)
    traces = [start(store, f"tr-{number}", experiment) for number in range(3)]
    queue = queues.create_review_queue(
        "Team", queue_type="custom", users=["Bob", "ada"], schema_ids=[changed.schema_id]
    )
    assert (queue.users, queue.schema_ids) == (["ada", "bob"], [changed.schema_id])
    added = queues.add_items_to_review_queue(queue.queue_id, item_ids=traces)
    assert [one.item_id for one in added] == traces
    for trace, status in ((traces[0], "complete"), (traces[1], "declined")):
        done = queues.set_review_queue_item_status(
            queue.queue_id, item_id=trace, status=status, completed_by="Bob"
        )
        assert (done.status, done.completed_by) == (status, "bob")
    own = queues.get_or_create_user_queue("Ada")
    assert queues.get_or_create_user_queue("ADA") == own
    assert (own.queue_type, own.name, own.created_by) == (ReviewQueueType.USER, "ada", "ada")
    assert [one.name for one in queues.list_review_queues(user="ada")] == ["ada", "Team"]
    assert queues.get_review_queue(name="TEAM").queue_id == queue.queue_id
    pending = queues.list_review_queue_items(queue.queue_id, status="pending")
    assert [one.item_id for one in pending] == traces[2:]
    queues.remove_items_from_review_queue(queue.queue_id, item_ids=traces[:1])
    assert len(queues.list_review_queue_items(queue.queue_id)) == 2
    renamed = queues.update_review_queue(queue.queue_id, name="Group", users=[])
    assert (renamed.name, renamed.users) == ("Group", [])
    queues.delete_review_queue(queue.queue_id)
    fails("RESOURCE_DOES_NOT_EXIST", "not found", queues.get_review_queue, queue_id=queue.queue_id)


def test_what_is_kept_is_what_other_clients_see(
    store: TrackingStore, client: needletail.Client
) -> None:
    schema = ask(store, instruction="Look.")
    queue = store.create_review_queue(
        "0", name="q", queue_type="custom", created_by="Ada", schema_ids=[schema.schema_id]
    )
    tracing, at = client.tracing, {"project_id": store._connection.project_id}
    uuid = store._experiments.uuid("0")
    (kept,) = tracing.list_label_schemas(**at, experiment_id=uuid).label_schemas
    assert schema.schema_id == f"ls-{kept.id.replace('-', '')}"
    assert (kept.name, kept.instruction, kept.is_fixed) == ("Is it?", "Look.", False)
    (kept_queue,) = tracing.list_review_queues(**at, experiment_id=uuid).review_queues
    assert queue.queue_id == f"rq-{kept_queue.id.replace('-', '')}"
    assert (kept_queue.kind, kept_queue.owner) == (ReviewQueueKind.CUSTOM, "Ada")
    assert kept_queue.label_schema_ids == (kept.id,)
    # What others make is MLflow's, too.
    other = tracing.create_label_schema(
        **at, experiment_id=uuid, name="other", kind=AssessmentKind.FEEDBACK,
        input=LabelInput(text=TextInput()),
    )  # fmt: skip
    found = store.get_label_schema_by_name("0", "other")
    assert (found.schema_id, found.input) == (f"ls-{other.id.replace('-', '')}", InputText())


def test_an_experiment_has_a_question_when_it_is_first_looked_at(
    store: TrackingStore, uri: str, client: needletail.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(store)
    slug = uri.rpartition("/")[2]
    key = client.identity.create_api_key(
        name="reader", scopes=["experiment.list", "project.list", "label_schema.list"]
    )
    with monkeypatch.context() as patch:
        patch.setenv("NEEDLETAIL_API_KEY", key.secret)
        reader = TrackingStore(f"needletail://{client.settings.address}/{slug}")
        assert [one.name for one in reader.list_label_schemas("0")] == ["Is it?"]
    (first, _) = store.list_label_schemas("0")
    assert (first.name, first.is_default) == ("Feedback", True)
    assert TrackingStore(uri).list_label_schemas("0")[0] == first
    refused = "INVALID_PARAMETER_VALUE", "default question cannot be"
    for method in (store.update_label_schema, store.delete_label_schema):
        fails(*refused, method, first.schema_id)
    fails("INVALID_PARAMETER_VALUE", "reserved", ask, store, "feedback ")
    # One who asked that before has it alone.
    project = store._connection.project_id
    other = store.create_experiment("other")
    client.tracing.create_label_schema(
        project_id=project, experiment_id=store._experiments.uuid(other), name="Feedback",
        kind=AssessmentKind.EXPECTATION, input=LabelInput(text=TextInput()),
    )  # fmt: skip
    assert [one.is_default for one in store.list_label_schemas(other)] == [False]


def test_pages_are_as_long_as_they_are_wanted(store: TrackingStore) -> None:
    queue = store.create_review_queue("0", name="0", queue_type="custom").queue_id
    for number in range(1, 4):
        ask(store, str(number))
        store.create_review_queue("0", name=str(number), queue_type="custom")
    ids = [f"tr-{number:04}" for number in range(1_200)]
    assert [one.item_id for one in store.add_items_to_review_queue(queue, item_ids=ids)] == ids

    def pages(method: Callable[..., Any], place: str, size: int) -> list[int]:
        found, token = [], None
        while not found or token:
            page = method(place, max_results=size, page_token=token)
            found.append(len(page))
            token = page.token
        return found

    assert pages(store.list_label_schemas, "0", 3) == [3, 1]
    assert pages(store.list_review_queues, "0", 3) == [3, 1]
    assert pages(store.list_review_queue_items, queue, 700) == [700, 500]
    assert len(store.list_review_queue_items(queue)) == 1_000
    store.remove_items_from_review_queue(queue, item_ids=ids[1:])
    assert [one.item_id for one in store.list_review_queue_items(queue)] == ids[:1]
    assert store.list_review_queues("0", item_id="") == []
    assert store.list_review_queues("0", user=" ") == []
    for method, place in (
        (store.list_label_schemas, "0"), (store.list_review_queues, "0"),
        (store.list_review_queue_items, queue),
    ):  # fmt: skip
        fails("INVALID_PARAMETER_VALUE", "max_results", method, place, max_results=0)
        fails("INVALID_PARAMETER_VALUE", "page token", method, place, page_token="x")  # noqa: S106


def test_items_go_with_their_traces(store: TrackingStore) -> None:
    queue = store.create_review_queue("0", name="q", queue_type="custom").queue_id
    traces = [start(store, f"tr-{number}", time=number) for number in range(1, 4)]
    store.add_items_to_review_queue(queue, item_ids=[*traces, "tr-later"])
    store.delete_traces("0", trace_ids=traces[:1])
    store.delete_traces("0", max_timestamp_millis=2)
    left = {one.item_id for one in store.list_review_queue_items(queue)}
    assert left == {traces[2], "tr-later"}
    start(store, "tr-strange", store.create_experiment("other"))
    fails(
        "RESOURCE_DOES_NOT_EXIST", "tr-strange|another experiment",
        store.add_items_to_review_queue, queue, item_ids=["tr-strange"],
    )  # fmt: skip


def test_what_is_not_there_is_told(store: TrackingStore) -> None:
    gone = "0" * 32
    for wrong in ("none", "ls-", f"ls-{gone}", gone):
        for method in (store.get_label_schema, store.update_label_schema):
            match = f"Label schema with id '{wrong}' not found"
            fails("RESOURCE_DOES_NOT_EXIST", match, method, wrong)
        store.delete_label_schema(wrong)
    for wrong in ("none", "rq-", f"rq-{gone}", gone):
        for method, fields in (
            (store.get_review_queue, {}), (store.update_review_queue, {"name": "x"}),
            (store.list_review_queue_items, {}),
            (store.add_items_to_review_queue, {"item_ids": ["a"]}),
            (store.remove_items_from_review_queue, {"item_ids": ["a"]}),
            (store.set_review_queue_item_status, {"item_id": "a", "status": "pending"}),
        ):  # fmt: skip
            match = f"Review queue with id '{wrong}' not found"
            fails("RESOURCE_DOES_NOT_EXIST", match, method, wrong, **fields)
        store.delete_review_queue(wrong)
    deleted = store.create_experiment("deleted")
    store.delete_experiment(deleted)
    for experiment in (gone, "999999", deleted):
        for method, fields in (
            (store.create_label_schema, {"name": "x", "type": "feedback", "input": YES_NO}),
            (store.get_label_schema_by_name, {"name": "x"}), (store.list_label_schemas, {}),
            (store.create_review_queue, {"name": "x", "queue_type": "user"}),
            (store.get_review_queue_by_name, {"name": "x"}), (store.list_review_queues, {}),
            (store.get_or_create_user_queue, {"user": "x"}),
        ):  # fmt: skip
            match = f"No Experiment with id={experiment} exists"
            fails("RESOURCE_DOES_NOT_EXIST", match, method, experiment, **fields)
    for name in ("", "none"):
        by_name = store.get_review_queue_by_name
        fails("RESOURCE_DOES_NOT_EXIST", "not found", store.get_label_schema_by_name, "0", name)
        fails("RESOURCE_DOES_NOT_EXIST", "not found", by_name, "0", name=name)
    queue = store.create_review_queue("0", name="q", queue_type="custom").queue_id
    done = {"status": "complete", "completed_by": "ada"}
    review = store.set_review_queue_item_status
    fails("RESOURCE_DOES_NOT_EXIST", "not attached", review, queue, item_id="a", **done)
    elsewhere = ask(store, experiment_id=store.create_experiment("other")).schema_id
    for wrong in ("none", f"ls-{gone}", elsewhere):
        for method, fields in (
            (store.create_review_queue, {"name": "r", "queue_type": "custom"}),
            (store.update_review_queue, {}),
        ):
            place = queue if method == store.update_review_queue else "0"
            match = rf"id\(s\) \['{wrong}'\] not found for experiment '0'"
            fails("INVALID_PARAMETER_VALUE", match, method, place, schema_ids=[wrong], **fields)


def test_what_cannot_be_is_refused_as_mlflow_refuses_it(store: TrackingStore) -> None:
    schema = ask(store)
    fails("RESOURCE_ALREADY_EXISTS", "'Is it\\?' already exists", ask, store)
    other = ask(store, "b").schema_id
    change = store.update_label_schema
    fails("RESOURCE_ALREADY_EXISTS", "already exists", change, other, name="Is it?")
    fails(
        "INVALID_PARAMETER_VALUE", "input type cannot be changed", change, other,
        input=InputText(),
    )  # fmt: skip
    twice = InputCategorical(["a", "a"])
    fails("INVALID_PARAMETER_VALUE", "deduplicated", ask, store, "c", input=twice)
    create = store.create_review_queue
    queue = create("0", name="Q", queue_type="custom", schema_ids=[schema.schema_id]).queue_id
    user = create("0", name="ada", queue_type="user").queue_id
    again = {"name": "q", "queue_type": "custom"}
    fails("RESOURCE_ALREADY_EXISTS", "already exists", create, "0", **again)
    update, review = store.update_review_queue, store.set_review_queue_item_status
    fails("RESOURCE_ALREADY_EXISTS", "already exists", update, queue, name="Ada")
    own = store.get_or_create_user_queue
    fails("RESOURCE_ALREADY_EXISTS", "non-user queue named 'q'", own, "0", user="Q")
    store.add_items_to_review_queue(queue, item_ids=["tr-1"])
    for method, given, fields, match in (
        (create, "0", {"name": "default", "queue_type": "custom"}, "reserved"),
        (create, "0", {"name": "a", "queue_type": "x"}, "queue_type"),
        (create, "0", {"name": "eve", "queue_type": "user", "users": ["a"]}, "exactly one"),
        (update, user, {"name": "x"}, "fixed and cannot be updated"),
        (update, queue, {"schema_ids": []}, "locked once items are assigned"),
        (update, queue, {"users": [str(n) for n in range(11)]}, "at most 10 assigned users"),
        (update, queue, {"new_owner": " "}, "non-empty"),
        (review, queue, {"item_id": "tr-1", "status": "complete"}, "`completed_by` is required"),
        (
            review, queue, {"item_id": "tr-1", "status": "pending", "completed_by": "a"},
            "must not be set when reopening",
        ),
        (
            review, queue, {"item_id": "tr-1", "status": "declined", "completed_by": "x" * 251},
            "at most 250",
        ),
    ):  # fmt: skip
        fails("INVALID_PARAMETER_VALUE", match, method, given, **fields)
    assert store.list_review_queue_items(queue)[0].status == ReviewStatus.PENDING
    assert update(queue) == store.get_review_queue(queue)
    assert update(queue, new_owner=" Bob ").created_by == "Bob"
