"""Requests for every method, built from the descriptors, so that a new method needs no line here.

A field that identifies something is found by its name: `run_id` is a run's, `id` that of what the
method is named after. What a name does not say stands in the tables below, which a test that needs
it names.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import needletail._generated
from needletail._methods import Idempotency, Kind, Method
from wire import message, registry_message, tracing_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from estate import Estate
    from wire import Wire

# What a client gives a name of its own: nobody else's is meant by it.
CHOSEN = "chosen"
# What a field identifies, where its name or its method's does not say; None: the client chooses it.
# A name alone is for every method, `Method.name` for one.
KINDS: dict[str, str | None] = {
    "actor_id": "admin",
    "principal_id": "admin",
    "resource_id": "project",
    "filter.api_key_id": "admin_key",
    "ExplainAccess.api_key_id": "admin_key",
    "after": "audit_log",
    "writer_id": None,
    "GetMember.user_id": "user",
    "UndeleteProject.id": "deleted_project",
    "WatchRun.run_id": "finished_run",
    "WatchLogs.run_id": "finished_run",
    "ListLogs.run_id": "finished_run",
    "ListRunEpochs.run_id": "finished_run",
    "ReopenRun.id": "finished_run",
    "UndeleteRun.id": "deleted_run",
    "UndeleteExperiment.id": "deleted_experiment",
    "parent_run_id": "finished_run",
    # Of another organization they find nothing, and nothing is refused.
    "experiment_ids": None,
    "ListDatasets.experiment_ids": "experiment",
    "UndeleteLoggedModel.id": "deleted_logged_model",
    "ListLoggedModelMetrics.logged_model_id": "logged_model",
    # A run of another organization is not looked up: it may be gone by now.
    "CreateLoggedModel.source_run_id": CHOSEN,
    "CreateIssue.source_run_id": "run",
    "CreateReviewQueue.label_schema_ids": "label_schema",
    # The estate's queue has items, and keeps what it asks.
    "UpdateReviewQueue.label_schemas.label_schema_ids": None,
    "CreateEvaluationDataset.experiment_ids": "experiment",
    "add_experiment_ids": "experiment",
    "remove_experiment_ids": None,
    # What clients of traces name as they like.
    "StartTrace.trace_id": CHOSEN,
    "LogSpans.traces.trace_id": CHOSEN,
    "AddReviewItems.trace_ids": CHOSEN,
    "WriteEvaluationRecords.records.id": CHOSEN,
    "client_request_id": CHOSEN,
    "span_id": CHOSEN,
    "parent_span_id": CHOSEN,
    "source_id": CHOSEN,
    "CreateAssessment.assessment.assessment_id": CHOSEN,
    "CreateAssessment.assessment.run_id": CHOSEN,
    "UndeleteModel.id": "deleted_model",
    # What is named by its id is not named by its model, too.
    "model.project_id": None,
    "GetModelVersion.model_id": None,
    "UpdateModelVersion.model_id": None,
    "DeleteModelVersion.model_id": None,
    "TransitionModelVersionStage.model_id": None,
    "ListStageTransitions.model_id": None,
    "SetModelVersionTags.model_id": None,
    # Files are of one of the three.
    **{
        f"{method}Artifact{plural}.{field}": None
        for method, plural in (
            ("Upload", ""),
            ("Download", ""),
            ("Get", ""),
            ("List", "s"),
            ("Delete", ""),
        )
        for field in ("logged_model_id", "trace_id", "project_id")
    },
}
# Fields without which a method refuses its request. "{text}" and such differ for another
# request, but not whom they are of; what else stands in braces is the estate's. None: left out.
VALUES: dict[str, Any] = {
    "name": "{text}",
    "display_name": "{text}",
    "description": "{text}",
    "role": 3,
    "CreateApiKey.scopes": ["run.get"],
    "sequence": 1,
    "writer_id": "{uuid}",
    "key": "{metric}",
    "DownsampleMetricHistory.keys": ["{metric}"],
    "password": "{password}",
    "current_password": "{password}",
    "new_password": "{text} is a password",
    "token": "{token}",
    "CreateOrganization.slug": "made-{uuid}",
    "DeleteOrganization.slug": "{typed}",
    "DeleteUser.email": "{email}",
    "ExplainAccess.method": "needletail.tracking.v1.Tracking/CreateRun",
    "InviteMember.email": "{text}-{uuid}@example.com",
    "Login.email": "{email}",
    "Login.organization": "{slug}",
    "Login.key_name": "{text}",
    "UndeleteOrganization.slug": "{slug}",
    "UndeleteOrganization.email": "{email}",
    "UndeleteUser.email": "{deleted_email}",
    "StreamMetricHistories.keys": ["mine"],
    # Without it, it never ends.
    "catch_up": True,
    "series": [message("MetricSeries", key="mine", steps=[1], values=[1.0])],
    "tags": [message("Tag", key="mine", value="mine")],
    "parameters": [message("Parameter", key="mine", value="mine")],
    "inputs": [message("NewRunInput", dataset=message("InputDataset", name="mine", digest="mine"))],
    "models": [message("NewRunModel", role=2, name="mine")],
    "ListRunModels.role": 2,
    "CreateLoggedModel.status": 2,
    "UpdateLoggedModel.status": 2,
    "model_series.series": message("MetricSeries", key="mine", steps=[1], values=[1.0]),
    "definitions": [message("MetricDefinition", pattern="mine", goal=1)],
    "SetModelTags.tags": [registry_message("ModelTag", key="mine", value="mine")],
    "SetModelVersionTags.tags": [registry_message("ModelTag", key="mine", value="mine")],
    "CreateModel.tags": [registry_message("ModelTag", key="mine", value="mine")],
    "CreateModelVersion.tags": [registry_message("ModelTag", key="mine", value="mine")],
    "SetModelAlias.alias": "{text}",
    "SetModelAlias.ordinal": 1,
    "CreateWebhook.name": "mine",
    "CreateWebhook.url": "https://mine.example.com",
    "CreateWebhook.events": ["model_version.created"],
    "CreateWebhook.sealed_secret": "mine",
    "UpdateWebhook.name": "mine",
    "DeleteModelAlias.alias": "{text}",
    "TransitionModelVersionStage.stage": 3,
    # Points without a place on an axis are left out, and so would all be.
    "x_key": None,
    "ListExperiments.name": None,
    "StartTrace.trace_id": "tr-{uuid}",
    "StartTrace.tags": [tracing_message("TracePair", key="mine", value="mine")],
    "StartTrace.metadata": [tracing_message("TracePair", key="mine", value="mine")],
    "StartTrace.request_time_ms": 1,
    "SetTraceTags.tags": [tracing_message("TracePair", key="mine", value="mine")],
    "LogSpans.traces": [
        tracing_message(
            "TraceSpans",
            trace_id="mine",
            spans=[tracing_message("Span", span_id="1", name="mine", content_json="{}")],
        )
    ],
    "CreateAssessment.assessment": tracing_message(
        "Assessment", kind=1, name="mine", value_json="1", metadata_json="{}"
    ),
    "CreateEvaluationDataset.tags": [tracing_message("TracePair", key="mine", value="mine")],
    "UpdateEvaluationDataset.tags": [tracing_message("TracePair", key="mine", value="mine")],
    "WriteEvaluationRecords.records": [
        tracing_message("EvaluationRecord", inputs_json='{"mine": 1}', outputs_json="1")
    ],
    # The estate's, which those that read and delete one find.
    **{
        f"{method}.name": "{metric}"
        for method in ("GetScorer", "ListScorerVersions", "DeleteScorer")
    },
    "RegisterScorer.serialized_json": '{{"mine": 1}}',
    "CreateLabelSchema.kind": 1,
    "CreateLabelSchema.input": tracing_message(
        "LabelInput", text=tracing_message("TextInput", max_length=9)
    ),
    "ListLabelSchemas.name": None,
    "CreateReviewQueue.kind": 2,
    "CreateReviewQueue.users": ["{text}"],
    "ListReviewQueues.name": None,
    "AddReviewItems.trace_ids": ["mine"],
    "UpdateReviewItem.status": 2,
    "UpdateReviewItem.completed_by": "{text}",
    "MeasureTraces.subject": 1,
    "MeasureTraces.measure": "count",
    "MeasureTraces.group_by": ["name"],
    "MeasureTraces.percentiles": [50],
    "text": "mine",
    "text_bytes": [4],
    **{
        f"{method}DatasetProfile.{field}": "{metric}"
        for method in ("Append", "Read")
        for field in ("name", "digest")
    },
    "AppendDatasetProfile.profile_bytes": 2_000_000,
    "AppendDatasetProfile.offset": 65_536,
    "AppendDatasetProfile.text": "m" * 65_536,
    "path": "{metric}",
    "ListArtifacts.path": None,
    # What comes along with what is found.
    "SearchRuns.parameters": None,
    "SearchRuns.tags": None,
    "SearchRuns.inputs": None,
    "SearchRuns.models": None,
    "GetExperiment.tags": None,
    "ListExperiments.tags": None,
    # Whatever another request is: a role that the one before did not give.
    "SetProjectMember.role": 2,
}
# Places in a listing. They are filled only by what asks for them.
TOKENS = {"page_token": "next_page_token", "resume_token": "resume_token"}
PLACES = {*TOKENS, "after"}
# What is called without an API key.
ANONYMOUS = {"AcceptInvitation", "Login", "UndeleteOrganization", "UndeleteUser"}


def _methods() -> Iterator[Method[Any, Any]]:
    package = needletail._generated  # noqa: SLF001 the one table of methods that there is
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.endswith("_calls"):
            found = importlib.import_module(f"{package.__name__}.{module.name}")
            yield from (value for value in vars(found).values() if isinstance(value, Method))


METHODS: dict[str, Method[Any, Any]] = {method.name: method for method in _methods()}
KEYED = sorted(n for n, m in METHODS.items() if m.idempotency is Idempotency.KEYED)


def short(method: str) -> str:
    """Return a method's name without its service."""
    return method.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request that identifies something of an organization."""

    method: str
    path: tuple[str, ...]
    kind: str | None

    @property
    def name(self) -> str:
        """The field as tables and people call it."""
        return f"{short(self.method)}.{'.'.join(self.path)}"


def _entry(table: dict[str, Any], method: str, path: tuple[str, ...]) -> tuple[bool, Any]:
    """Look a field up, the most special name first."""
    whole = ".".join(path)
    for name in (f"{short(method)}.{whole}", whole, path[-1]):
        if name in table:
            return True, table[name]
    return False, None


def _kind(method: str, path: tuple[str, ...]) -> str | None:
    is_known, kind = _entry(KINDS, method, path)
    if is_known:
        return kind
    if path[-1] == "id":
        noun = re.sub(r"^[A-Z][a-z]+", "", short(method))
        return re.sub(r"(?<!^)(?=[A-Z])", "_", noun).lower()
    return re.sub("_ids?$", "", path[-1])


def _paths(descriptor: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field in descriptor.fields:
        path = (*before, field.name)
        if field.message_type is not None:
            if field.message_type.file.package.startswith("needletail"):
                yield from _paths(field.message_type, path)
        elif field.name == "id" or field.name.endswith(("_id", "_ids")) or field.name in PLACES:
            yield path


def id_fields(method: str) -> list[Field]:
    """Return the fields of a method's request that identify something, places in listings too."""
    return [
        Field(method, path, path[-1] if path[-1] in TOKENS else _kind(method, path))
        for path in _paths(METHODS[method].request_class.DESCRIPTOR)
        if _kind(method, path) != CHOSEN
    ]


def build(method: str, estate: Estate, *, other: bool = False, **replaced: str) -> Any:
    """Make a request that must succeed for an organization that has what `estate` has.

    `other` makes another one, with other text and with identifiers of nothing. `replaced` are
    values of fields by their path, with two underscores for each dot.
    """
    request = METHODS[method].request_class()
    for field in id_fields(method):
        name = "__".join(field.path)
        if name in replaced:
            _set(request, field.path, replaced[name])
        elif field.path[-1] not in PLACES and field.kind is not None:
            _set(request, field.path, str(uuid.uuid4()) if other else estate.id_of(field))
    _fill(request, method, (), estate, other=other)
    return request


def _fill(
    request: Any, method: str, before: tuple[str, ...], estate: Estate, *, other: bool
) -> None:
    for field in request.DESCRIPTOR.fields:
        path = (*before, field.name)
        _, value = _entry(VALUES, method, path)
        is_set = field.name in {found.name for found, _ in request.ListFields()}
        if is_set and field.message_type is not None:
            inner = getattr(request, field.name)
            _fill(inner[0] if field.is_repeated else inner, method, path, estate, other=other)
        elif value is None or is_set:
            continue
        elif isinstance(value, list):
            words = estate.words(other=other)
            getattr(request, field.name).extend(
                one.format(**words) if isinstance(one, str) else one for one in value
            )
        elif isinstance(value, str):
            words = estate.words(other=other)
            setattr(request, field.name, value.format(uuid=uuid.uuid4(), **words))
        elif field.message_type is not None:
            getattr(request, field.name).CopyFrom(value)
        else:
            setattr(request, field.name, value)


def _set(request: Any, path: tuple[str, ...], value: str) -> None:
    for name in path[:-1]:
        inner = getattr(request, name)
        if request.DESCRIPTOR.fields_by_name[name].is_repeated:
            request = inner[0] if len(inner) else inner.add()
        else:
            inner.SetInParent()
            request = inner
    if request.DESCRIPTOR.fields_by_name[path[-1]].is_repeated:
        getattr(request, path[-1]).append(value)
    else:
        setattr(request, path[-1], value)


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that was sent for a call."""

    status: Any
    messages: list[bytes]
    frames: bytes


def exchange(wire: Wire, method: str, request: Any, *, key: str = "") -> Heard:
    """Make a call of any kind to its end."""
    stream = wire.open(method, request, key=key)
    is_unary = METHODS[method].kind in {Kind.UNARY, Kind.CLIENT_STREAMING}
    messages, frames = [], b""
    while True:
        frame = wire.receive()
        assert frame.stream == stream
        frames += frame.SerializeToString()
        if frame.HasField("end"):
            if is_unary:
                messages.append(frame.end.message)
            return Heard(frame.end.status, messages, frames)
        messages.append(frame.data.message)


def token_of(wire: Wire, field: Field, estate: Estate) -> str:
    """Return a place in an organization's own listing."""
    request = build(field.method, estate)
    if "page_size" in request.DESCRIPTOR.fields_by_name:
        request.page_size = 1
    heard = exchange(wire, field.method, request)
    assert heard.status.code == 0, (field.name, heard.status)
    answer = METHODS[field.method].response_class.FromString(heard.messages[0])
    token = str(getattr(answer, TOKENS[field.path[-1]]))
    assert token, f"{field.name}: two of them must be in estate.py for a second page"
    return token
