"""Label schemas: what people are asked about traces; stored, listed, changed and refused."""

from __future__ import annotations

import dataclasses
import math
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from needletail.tracing import (
    AssessmentKind,
    CategoricalInput,
    LabelInput,
    NumericInput,
    PassFailInput,
    TextInput,
)
from projects import audited, refused
from test_purged_runs import purge

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail
    from needletail.tracing import LabelSchema
    from program import Connection, UpServer

YES_NO = LabelInput(pass_fail=PassFailInput(positive_label="yes", negative_label="no"))
SOME = LabelInput(categorical=CategoricalInput(options=("b", "a"), multi_select=True))
NUMBER = LabelInput(numeric=NumericInput(min_value=-1.5, max_value=2))
TEXT = LabelInput(text=TextInput(max_length=500))


class Survey:
    """What is asked in one experiment."""

    def __init__(self, client: needletail.Client, project: str, experiment: str) -> None:
        self.tracing, self.project = client.tracing, {"project_id": project}
        self.at = {**self.project, "experiment_id": experiment}

    def create(self, name: str = "Is it?", given: LabelInput = YES_NO, **fields: Any) -> Any:
        """Create a label schema."""
        fields = {**self.at, "kind": AssessmentKind.FEEDBACK, **fields}
        return self.tracing.create_label_schema(**{"name": name, "input": given, **fields})

    def where(self, schema: LabelSchema) -> dict[str, str]:
        """Return what names a label schema."""
        return {**self.project, "label_schema_id": schema.id}

    def get(self, schema: LabelSchema) -> LabelSchema:
        """Return a label schema as it is now."""
        return self.tracing.get_label_schema(**self.where(schema))

    def update(self, schema: LabelSchema, **fields: Any) -> LabelSchema:
        """Change a label schema."""
        return self.tracing.update_label_schema(**self.where(schema), **fields)

    def delete(self, schema: LabelSchema) -> None:
        """Delete a label schema."""
        self.tracing.delete_label_schema(**self.where(schema))

    def listed(self, **fields: Any) -> list[str]:
        """Return the names of label schemas, from all pages."""
        return [one.name for one in self.tracing.iterate_label_schemas(**self.at, **fields)]


@pytest.fixture
def survey(client: needletail.Client) -> Iterator[Survey]:
    """Others count on the organization's only project: this one goes when the test is over."""
    project = client.identity.create_project(name="l", slug=f"l-{uuid.uuid4()}").id
    experiment = client.tracking.create_experiment(project_id=project, name="x").id
    yield Survey(client, project, experiment)
    client.identity.delete_project(id=project)


@pytest.mark.parametrize("given", [
    YES_NO, SOME, NUMBER, TEXT, LabelInput(numeric=NumericInput()), LabelInput(text=TextInput()),
    LabelInput(categorical=CategoricalInput(options=("x" * 64,))),
])  # fmt: skip
def test_a_label_schema_is_kept_as_it_was_created(survey: Survey, given: LabelInput) -> None:
    made = survey.create("Is it (ü)?", given, instruction="Look.", allows_comment=True)
    assert survey.get(made) == made
    assert {"project_id": made.project_id, "experiment_id": made.experiment_id} == survey.at
    assert (made.name, made.kind, made.input) == ("Is it (ü)?", AssessmentKind.FEEDBACK, given)
    assert (made.instruction, made.allows_comment, made.is_fixed) == ("Look.", True, False)
    assert made.update_time_ms == made.create_time_ms > 0
    bare = survey.create("x" * 250, given, kind=AssessmentKind.EXPECTATION)
    assert (bare.kind, bare.instruction) == (AssessmentKind.EXPECTATION, None)
    assert survey.get(bare) == bare


def test_label_schemas_are_listed_the_newest_first(
    survey: Survey, client: needletail.Client
) -> None:
    for name in ("a", "A", "b"):
        survey.create(name)
    other = client.tracking.create_experiment(**survey.project, name="y").id
    survey.create("a", experiment_id=other)
    for size in (0, 1, 2):
        assert survey.listed(page_size=size) == ["b", "A", "a"]
    assert survey.listed(name="A") == ["A"]
    assert survey.listed(name="none") == []
    listing = survey.tracing.list_label_schemas
    token = listing(**survey.at, page_size=1).next_page_token
    refused("PAGE_TOKEN_INVALID", listing, **survey.at, name="a", page_token=token)
    refused("PAGE_TOKEN_INVALID", listing, **survey.project, experiment_id=other, page_token=token)
    refused("FIELD_INVALID", listing, **survey.at, page_size=101)


def test_what_is_given_is_changed(survey: Survey, sql: Connection) -> None:
    made = survey.create(instruction="old", given=SOME)
    assert survey.update(made, name="New?") == survey.get(made)
    more = LabelInput(categorical=CategoricalInput(options=("c",), multi_select=True))
    changed = survey.update(made, instruction="", allows_comment=True, input=more)
    assert changed == survey.get(made)
    assert dataclasses.replace(changed, update_time_ms=made.update_time_ms) == dataclasses.replace(
        made, name="New?", instruction="", allows_comment=True, input=more
    )
    assert changed.update_time_ms >= made.update_time_ms
    details = audited(sql, made.id, "label_schema.update")
    assert [one["after"] for one in details] == [
        {"name": "New?"},
        {"instruction": "", "allows_comment": "true", "input": "categorical | c"},
    ]
    # What it is answered with stays of a kind.
    single = LabelInput(categorical=CategoricalInput(options=("c",)))
    for wrong in (YES_NO, NUMBER, TEXT, single):
        refused("LABEL_INPUT_FIXED", survey.update, made, input=wrong)
    assert survey.get(made) == changed


def test_a_name_is_taken_once_in_an_experiment(survey: Survey) -> None:
    first, second = survey.create("a"), survey.create("b")
    refused("LABEL_SCHEMA_NAME_TAKEN", survey.create, "a", TEXT)
    refused("LABEL_SCHEMA_NAME_TAKEN", survey.update, second, name="a")
    assert survey.update(first, name="a").name == "a"
    survey.delete(first)
    assert survey.update(second, name="a").name == "a"


def test_a_request_that_is_sent_again_makes_one_label_schema(survey: Survey) -> None:
    key = str(uuid.uuid4())
    first, second = (survey.create(idempotency_key=key) for _ in range(2))
    assert first == second
    assert survey.listed() == ["Is it?"]


def test_a_fixed_label_schema_stays_as_it_is(survey: Survey) -> None:
    made = survey.create(is_fixed=True)
    assert made.is_fixed
    refused("LABEL_SCHEMA_FIXED", survey.update, made, instruction="x")
    refused("LABEL_SCHEMA_FIXED", survey.delete, made)
    assert survey.get(made) == made


def test_what_is_deleted_is_gone(survey: Survey, sql: Connection) -> None:
    made = survey.create()
    survey.delete(made)
    for method in (survey.get, survey.update, survey.delete):
        refused("LABEL_SCHEMA_NOT_FOUND", method, made)
    assert survey.listed() == []
    assert survey.create("Is it?").id != made.id
    (details,) = audited(sql, made.id, "label_schema.delete")
    assert details["before"]["input"] == "pass_fail | yes | no"


def _labels(*names: str) -> LabelInput:
    return LabelInput(categorical=CategoricalInput(options=names))


def _pair(*names: str) -> LabelInput:
    return LabelInput(pass_fail=PassFailInput(positive_label=names[0], negative_label=names[1]))


def _range(*limits: float) -> LabelInput:
    return LabelInput(numeric=NumericInput(min_value=limits[0], max_value=limits[1]))


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": ""}), ("name", {"name": "x" * 251}), ("name", {"name": "a\nb"}),
        ("kind", {"kind": AssessmentKind.UNSPECIFIED}), ("kind", {"kind": AssessmentKind.ISSUE}),
        ("instruction", {"instruction": "x" * 1_001}),
        ("input", {"input": None}), ("input", {"input": LabelInput()}),
        ("input", {"input": LabelInput(text=TextInput(), numeric=NumericInput())}),
        ("input.pass_fail.positive_label", {"input": _pair("", "no")}),
        ("input.pass_fail.negative_label", {"input": _pair("yes", "x" * 65)}),
        ("input.pass_fail.negative_label", {"input": _pair("yes", "yes")}),
        ("input.categorical.options", {"input": _labels()}),
        ("input.categorical.options", {"input": _labels(*"abcdefghijk")}),
        ("input.categorical.options[1]", {"input": _labels("a", "")}),
        ("input.categorical.options[1]", {"input": _labels("a", "a")}),
        ("input.categorical.options[0]", {"input": _labels("x" * 65)}),
        ("input.numeric.max_value", {"input": _range(5, 5)}),
        ("input.numeric.max_value", {"input": _range(6, 5)}),
        ("input.numeric.min_value", {"input": _range(-math.inf, 5)}),
        ("input.text.max_length", {"input": LabelInput(text=TextInput(max_length=0))}),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_its_name(
    survey: Survey, field: str, fields: dict[str, Any]
) -> None:
    error = refused("FIELD_INVALID", survey.create, **fields)
    assert [one.field for one in error.field_violations] == [field]
    assert survey.listed() == []
    if field != "kind" and fields.get("input", TEXT) is not None:
        made = survey.create("good")
        error = refused("FIELD_INVALID", survey.update, made, **fields)
        assert [one.field for one in error.field_violations] == [field]
        assert survey.get(made) == made


def test_what_is_not_there_is_refused(
    survey: Survey, client: needletail.Client, experiment_id: str
) -> None:
    made = survey.create()
    listing, project = survey.tracing.list_label_schemas, survey.project
    for wrong in (str(uuid.uuid4()), experiment_id):
        refused("EXPERIMENT_NOT_FOUND", survey.create, experiment_id=wrong)
        refused("EXPERIMENT_NOT_FOUND", listing, **project, experiment_id=wrong)
    refused("PROJECT_NOT_FOUND", survey.create, project_id=str(uuid.uuid4()))
    other = client.tracking.get_experiment(id=experiment_id).project_id
    tracing = survey.tracing
    for method in (
        tracing.get_label_schema, tracing.update_label_schema, tracing.delete_label_schema,
    ):  # fmt: skip
        refused("LABEL_SCHEMA_NOT_FOUND", method, **project, label_schema_id=str(uuid.uuid4()))
        refused("LABEL_SCHEMA_NOT_FOUND", method, project_id=other, label_schema_id=made.id)
        refused("PROJECT_NOT_FOUND", method, project_id=str(uuid.uuid4()), label_schema_id=made.id)


def test_label_schemas_go_with_their_experiment(
    survey: Survey, client: needletail.Client, served: UpServer, sql: Connection
) -> None:
    made, experiment = survey.create(), survey.at["experiment_id"]
    client.tracking.delete_experiment(id=experiment)
    refused("EXPERIMENT_NOT_FOUND", survey.listed)
    refused("EXPERIMENT_NOT_FOUND", survey.create, "b")
    # What names it still finds it.
    assert survey.get(made) == made
    client.tracking.undelete_experiment(id=experiment)
    assert survey.listed() == ["Is it?"]
    client.tracking.delete_experiment(id=experiment, purge=True)
    purge(served, sql, "experiments", experiment)
    refused("LABEL_SCHEMA_NOT_FOUND", survey.get, made)


def test_what_is_done_to_label_schemas_is_audited(survey: Survey, sql: Connection) -> None:
    made = survey.create("a", NUMBER, instruction="x")
    assert audited(sql, made.id, "label_schema.create") == [
        {
            "experiment_id": made.experiment_id, "name": "a", "kind": "feedback",
            "instruction": "x", "allows_comment": "false",
            "input": "numeric | from -1.5 | to 2.0",
        }
    ]  # fmt: skip
    (event,) = sql.execute("select type from events where resource_id = %s", [made.id]).fetchall()
    assert event["type"] == "label_schema.created"
