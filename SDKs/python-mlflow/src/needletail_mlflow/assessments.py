"""Assessments of traces, as MLflow tells them and as they are kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlflow import entities
from mlflow.entities import AssessmentError, AssessmentSource, Expectation, Feedback
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR
from needletail.errors import CallError
from needletail.tracing import Assessment as Stored
from needletail.tracing import AssessmentKind

from needletail_mlflow import ids
from needletail_mlflow.errors import TRANSLATED, invalid, missing

if TYPE_CHECKING:
    from mlflow.entities import Assessment

    from needletail_mlflow.connection import Connection

_NO_JSON = "needletail.mlflow.value"
"""Member of a value with NaN or infinities, which are no JSON: the value as Python writes it."""


class Assessments:
    """The assessments of a project's traces."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # What MLflow calls.

    def create(self, assessment: Assessment) -> Assessment:
        with TRANSLATED:
            try:
                stored = self.write(assessment.trace_id, assessment)
            except CallError as error:
                if error.reason != "ASSESSMENT_ID_TAKEN":
                    raise
                raise MlflowException(f"constraint violation: {error}", INTERNAL_ERROR) from error
            return told(stored, assessment.trace_id)

    def get(self, trace_id, assessment_id) -> Assessment:
        with TRANSLATED:
            return told(self._stored(trace_id, assessment_id), trace_id)

    def update(
        self, trace_id, assessment_id, name, expectation, feedback, rationale, metadata
    ) -> Assessment:
        if expectation is not None and feedback is not None:
            raise invalid("Cannot specify both `expectation` and `feedback` parameters.")
        with TRANSLATED:
            kind = self._stored(trace_id, assessment_id).kind
            if expectation is not None and kind is not AssessmentKind.EXPECTATION:
                raise invalid("Cannot update expectation value on a Feedback assessment.")
            if feedback is not None and kind is not AssessmentKind.FEEDBACK:
                raise invalid("Cannot update feedback value on an Expectation assessment.")
            value = expectation if expectation is not None else feedback
            stored = self._tracing.update_assessment(
                project_id=self._connection.project_id,
                trace_id=trace_id,
                assessment_id=assessment_id,
                name=_kept_name(kind, name) if name else name,
                value_json=None if value is None else _dumped(value.value),
                error_json=_error_json(getattr(value, "error", None)),
                rationale=rationale,
                metadata_json=json.dumps(metadata) if metadata else None,
            )
            return told(stored, trace_id)

    def delete(self, trace_id, assessment_id) -> None:
        with TRANSLATED:
            self._tracing.delete_assessment(
                project_id=self._connection.project_id,
                trace_id=trace_id,
                assessment_id=assessment_id,
            )

    # What traces need.

    def write(self, trace_id: str, assessment: Assessment) -> Stored:
        """Writes an assessment as a new one."""
        try:
            return self._tracing.create_assessment(
                project_id=self._connection.project_id,
                trace_id=trace_id,
                assessment=_kept(assessment),
            )
        except CallError as error:
            raise _missing_or(error, trace_id, assessment.overrides) from error

    def write_again(self, trace_id: str, assessment: Assessment) -> Stored:
        """Writes an assessment that may be there: a trace is told several times."""
        try:
            return self.write(trace_id, assessment)
        except CallError as error:
            if error.reason != "ASSESSMENT_ID_TAKEN":
                raise
        kept = _kept(assessment)
        return self._tracing.update_assessment(
            project_id=self._connection.project_id,
            trace_id=trace_id,
            assessment_id=kept.assessment_id,
            name=kept.name,
            value_json=kept.value_json,
            error_json=kept.error_json,
            rationale=kept.rationale,
            metadata_json=kept.metadata_json or None,
        )

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _stored(self, trace_id, assessment_id) -> Stored:
        try:
            return self._tracing.get_assessment(
                project_id=self._connection.project_id,
                trace_id=trace_id,
                assessment_id=assessment_id,
            )
        except CallError as error:
            raise _missing_or(error, trace_id, assessment_id) from error


def told(stored: Stored, trace_id: str) -> Assessment:
    """An assessment."""
    value = _loaded(stored.value_json)
    common: dict[str, Any] = {
        "source": AssessmentSource(source_type=stored.source_type, source_id=stored.source_id),
        "trace_id": trace_id,
        "metadata": json.loads(stored.metadata_json or "{}") or None,
        "span_id": stored.span_id,
        "create_time_ms": stored.create_time_ms,
        "last_update_time_ms": stored.update_time_ms,
    }
    assessment: Assessment
    if stored.kind is AssessmentKind.EXPECTATION:
        assessment = Expectation(name=stored.name, value=value, **common)
    elif stored.kind is AssessmentKind.ISSUE:
        # Versions of MLflow without issues can not have written one.
        assessment = entities.IssueReference(
            issue_id=_told_id(stored.name), issue_name=_issue_name(value, stored.name), **common
        )
        assessment.rationale = stored.rationale
    else:
        error = (
            AssessmentError.from_dictionary(json.loads(stored.error_json))
            if stored.error_json
            else None
        )
        assessment = Feedback(
            name=stored.name, value=value, error=error, rationale=stored.rationale, **common
        )
    assessment.overrides = stored.overrides
    assessment.valid = stored.valid
    # Else it is the one that the metadata names, which MLflow has read already.
    assessment.run_id = stored.run_id or assessment.run_id
    assessment.assessment_id = stored.assessment_id
    return assessment


def _kept(assessment: Assessment) -> Stored:
    kind, value = _value(assessment)
    return Stored(
        assessment_id=assessment.assessment_id or ids.new_assessment_id(),
        kind=kind,
        name=_kept_name(kind, assessment.name),
        value_json=_dumped(value),
        error_json=_error_json(assessment.feedback.error if assessment.feedback else None),
        rationale=assessment.rationale,
        source_type=assessment.source.source_type,
        source_id=assessment.source.source_id,
        metadata_json=json.dumps(assessment.metadata) if assessment.metadata else "",
        span_id=assessment.span_id,
        run_id=assessment.run_id,
        overrides=assessment.overrides or None,
        create_time_ms=assessment.create_time_ms or 0,
        update_time_ms=assessment.last_update_time_ms or 0,
    )


def _value(assessment: Assessment) -> tuple[AssessmentKind, Any]:
    if assessment.feedback is not None:
        return AssessmentKind.FEEDBACK, assessment.feedback.value
    if assessment.expectation is not None:
        return AssessmentKind.EXPECTATION, assessment.expectation.value
    if getattr(assessment, "issue", None) is not None:
        return AssessmentKind.ISSUE, assessment.issue.to_dictionary()
    raise invalid("Assessment must have either feedback, expectation, or issue value")


def _kept_name(kind: AssessmentKind, name: str) -> str:
    # What says that a trace shows an issue has the issue's id as its name.
    return (ids.issue_to_uuid(name) if kind is AssessmentKind.ISSUE else None) or name


def _told_id(name: str) -> str:
    uuid = ids.to_uuid(name)
    return ids.issue_to_mlflow(uuid) if uuid == name else name


def _issue_name(value: Any, name: str) -> str:
    # Other clients write what they like.
    return str((value.get("issue_name") if isinstance(value, dict) else None) or name)


def _dumped(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps({_NO_JSON: json.dumps(value)})


def _loaded(text: str) -> Any:
    value = json.loads(text)
    if isinstance(value, dict) and value.keys() == {_NO_JSON}:
        return json.loads(value[_NO_JSON])
    return value


def _error_json(error: AssessmentError | None) -> str | None:
    return None if error is None else json.dumps(error.to_dictionary())


def _missing_or(error: CallError, trace_id, assessment_id) -> Exception:
    if error.reason == "TRACE_NOT_FOUND":
        return missing(f"Trace with ID '{trace_id}' not found.")
    if error.reason == "ASSESSMENT_NOT_FOUND":
        return missing(f"Assessment with ID '{assessment_id}' not found for trace '{trace_id}'")
    return error
