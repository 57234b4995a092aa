"""Traces, with their spans and assessments, and their links to runs."""

from __future__ import annotations

import copy as copying
import json
from typing import TYPE_CHECKING, Any

from mlflow.entities import LifecycleStage, Trace
from mlflow.entities.trace_location import TraceLocation
from mlflow.exceptions import MlflowException
from mlflow.tracing.client import TracingClient
from mlflow.tracing.utils.artifact_utils import get_artifact_uri_for_trace
from needletail.artifacts import Owner
from needletail.errors import CallError

from needletail_mlflow import ids
from needletail_mlflow.importing import crew, digests
from needletail_mlflow.importing.patience import patiently
from needletail_mlflow.importing.source import is_unknown
from needletail_mlflow.importing.troubles import refuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.entities import Assessment, Experiment, TraceInfo

    from needletail_mlflow.importing.files import Files
    from needletail_mlflow.importing.source import Source
    from needletail_mlflow.importing.work import Work

_PAGE = 100
_MOST_LINKED = 100
_RUN = "mlflow.sourceRun"
_RUN_OF_ASSESSMENT = "mlflow.assessment.sourceRunId"
# Where spans and files of a trace are is told of each place anew.
_LOCATION = "mlflow.artifactLocation"
_OF_THE_PLACE = {_LOCATION, "mlflow.trace.spansLocation"}
_ATTACHED = "mlflow-attachment://"
_ATTACHMENTS = "attachments"


def copy(work: Work, experiments: Sequence[Experiment], files: Files) -> None:
    """Brings the traces of experiments over."""
    work.progress.stage("traces")
    for experiment in experiments:
        if work.target.is_gone(experiment):
            # It was deleted with an import before, and was whole then.
            continue
        try:
            _Traces(work, experiment, files).copy()
        except MlflowException as error:
            if isinstance(error.__cause__, CallError):
                raise
            if is_unknown(error):
                work.troubles.note("traces", "", "the source knows none: it is too old for them")
                return
            work.source.check(error)
            work.troubles.fail(f"experiment {experiment.name}", "traces", error)


def listed(
    source: Source, experiment: Experiment, condition: str | None = None
) -> Iterator[list[TraceInfo]]:
    """What is told of the traces of an experiment of the source, oldest first, in pages."""
    token = None
    while True:
        page, token = source.store.search_traces(
            locations=[experiment.experiment_id], filter_string=condition,
            max_results=_PAGE, order_by=["timestamp_ms ASC"], page_token=token,
        )  # fmt: skip
        if page:
            yield list(page)
        if not token:
            return


def count(source: Source, experiment: Experiment) -> int:
    """How many traces an experiment of the source has."""
    try:
        return sum(len(page) for page in listed(source, experiment))
    except MlflowException as error:
        if is_unknown(error):
            return 0
        raise


class _Client(TracingClient):
    """MLflow's client of traces, on the store of a source, for one trace that was found."""

    def __init__(self, source: Source, found: TraceInfo) -> None:
        self.tracking_uri = source.uri
        self._source = source
        self._found = found

    @property
    def store(self) -> Any:
        return self._source.store

    def get_trace_info(self, trace_id: str) -> TraceInfo:
        if self._source.is_mlflow_2:
            return self._found
        return super().get_trace_info(trace_id)

    def _get_artifact_repo_for_trace(self, trace_info: TraceInfo) -> Any:
        # MLflow's own asks the server that is set for all of the process.
        return self._source.repository(get_artifact_uri_for_trace(trace_info))


class _Traces:
    """The traces of one experiment."""

    def __init__(self, work: Work, experiment: Experiment, files: Files) -> None:
        self._work = work
        self._files = files
        self._experiment = experiment
        uuid = work.target.experiment(experiment).id
        self._public_id = work.target.experiments.public_id(uuid)
        self._uuid = uuid

    def copy(self) -> None:
        """Brings them over page by page, and then their links."""
        found = False
        for page in self._pages():
            found = True
            here = self._here([info.trace_id for info in page])
            pairs = [(info, here.get(info.trace_id)) for info in page]
            crew.each(pairs, self._one, self._work.options.threads, self._work.troubles)
        if found:
            self._link()

    def _pages(self, condition: str | None = None) -> Iterator[list[TraceInfo]]:
        return listed(self._work.source, self._experiment, condition)

    def _here(self, trace_ids: list[str]) -> dict[str, Trace]:
        found = self._work.target.traces.batch(trace_ids, None, allow_partial=True)
        return {one.info.trace_id: one for one in found}

    def _one(self, pair: tuple[TraceInfo, Trace | None]) -> None:
        place = f"trace {pair[0].trace_id}"
        patiently(self._work, place, lambda: self._copy(place, *pair))
        self._work.progress.step()

    def _copy(self, place: str, info: TraceInfo, here: Trace | None) -> None:
        trace = _Client(self._work.source, info).get_trace(info.trace_id)
        wanted = self._wanted(trace)
        if here is None or _different(wanted, _facts(here)):
            try:
                self._write(trace, _facts(here) if here else {})
            except MlflowException as error:
                cause = error.__cause__
                if isinstance(cause, CallError) and not refuses(cause):
                    raise
                self._work.troubles.fail(place, "", error)
            here = self._here([info.trace_id]).get(info.trace_id)
        self._compare(place, wanted, _facts(here) if here else {})
        if here and any(_ATTACHED in str(value) for value in wanted.values()):
            self._attach(place, trace.info)

    def _attach(self, place: str, info: TraceInfo) -> None:
        """Files that spans refer to."""
        owner = Owner(trace_id=info.trace_id, project_id=self._work.target.connection.project_id)
        manifests = self._files.copy(
            place, info.tags.get(_LOCATION), owner, self._writable, _ATTACHMENTS
        )
        if manifests is not None:
            self._files.compare(place, *manifests)

    def _writable(self) -> None:
        if self._experiment.lifecycle_stage == LifecycleStage.DELETED:
            self._work.target.revive(self._experiment.experiment_id)

    def _write(self, trace: Trace, here: dict[str, Any]) -> None:
        target = self._work.target
        self._writable()
        # Spans tell of their trace, too; what is told of the trace itself comes last, and counts.
        if trace.data.spans:
            target.traces.log_spans(self._public_id, trace.data.spans)
        info = self._moved(trace.info)
        info.assessments = [
            one for one in info.assessments if here.get(_name(one)) != _assessment(one)
        ]
        target.traces.start(info)

    def _moved(self, info: TraceInfo) -> TraceInfo:
        """What is told of a trace, with the runs that are here."""
        moved = copying.copy(info)
        moved.trace_location = TraceLocation.from_experiment_id(self._public_id)
        moved.trace_metadata = self._with_run(info.trace_metadata, _RUN)
        moved.assessments = []
        for one in info.assessments or ():
            assessment = copying.copy(one)
            assessment.run_id = self._run(one.run_id) or one.run_id
            # Versions of MLflow without issues have no such assessments.
            if getattr(one, "issue", None) is not None:
                assessment.name = self._work.target.issues.get(one.name, one.name)
            if one.metadata:
                assessment.metadata = self._with_run(one.metadata, _RUN_OF_ASSESSMENT)
            moved.assessments.append(assessment)
        return moved

    def _with_run(self, metadata: dict[str, str], key: str) -> dict[str, str]:
        run = self._run(metadata.get(key))
        return {**metadata, key: run} if run else dict(metadata)

    def _run(self, run_id: str | None) -> str:
        """How MLflow calls a run of the source here; empty = it is not here."""
        return ids.to_mlflow(self._work.target.known_run(run_id or "") or "")

    def _wanted(self, trace: Trace) -> dict[str, Any]:
        facts = _facts(Trace(self._moved(trace.info), trace.data))
        return {key: value for key, value in facts.items() if value is not None}

    def _compare(self, place: str, wanted: dict[str, Any], here: dict[str, Any]) -> None:
        work = self._work
        ours = {key: value for key, value in here.items() if key in wanted}
        for key, why in digests.differences(wanted, ours):
            work.troubles.fail(place, key, why)
        work.sums.count("traces", 1, int(bool(here)))
        for kind, noun in (("spans", "span "), ("assessments", "assessment ")):
            work.sums.count(kind, _of(wanted, noun), _of(ours, noun))
        work.sums.compare("traces", place, digests.digest(wanted), digests.digest(ours))

    def _link(self) -> None:
        """Links traces to runs that did not make them, as evaluations do."""
        work = self._work
        for run_id in work.target.runs_of(self._experiment.experiment_id):
            work.troubles.check()
            uuid = work.target.known_run(run_id)
            linked = [
                info.trace_id
                for page in self._pages(f"attributes.run_id = '{run_id}'")
                for info in page
                if info.trace_metadata.get(_RUN) != run_id
            ]
            if not linked or uuid is None:
                continue
            tracing, project_id = work.target.client.tracing, work.target.connection.project_id
            for start in range(0, len(linked), _MOST_LINKED):
                tracing.link_traces_to_run(
                    project_id=project_id,
                    run_id=uuid,
                    trace_ids=linked[start : start + _MOST_LINKED],
                )


def _facts(trace: Trace) -> dict[str, Any]:
    """A trace in pieces, by name."""
    info = trace.info
    facts: dict[str, Any] = {
        "begin": info.request_time,
        "duration": info.execution_duration,
        "state": str(getattr(info.state, "value", info.state)),
        "request": info.request_preview,
        "response": info.response_preview,
        "client's id": info.client_request_id,
    }
    facts |= {f"metadata {key}": value for key, value in info.trace_metadata.items()}
    facts |= {f"tag {key}": value for key, value in info.tags.items() if key not in _OF_THE_PLACE}
    for one in info.assessments or ():
        facts[_name(one)] = _assessment(one)
    for span in trace.data.spans:
        facts[f"span {span.span_id}"] = _plain(span.to_dict())
    return facts


def _name(assessment: Assessment) -> str:
    return f"assessment {assessment.assessment_id}"


def _assessment(assessment: Assessment) -> str:
    # When it was changed here is told here.
    told = {**assessment.to_dictionary(), "last_update_time": None}
    # Whether another is in its place is told by that one.
    return _plain({**told, "valid": None})


def _plain(content: Any) -> str:
    return json.dumps(content, sort_keys=True, default=str)


def _different(wanted: dict[str, Any], here: dict[str, Any]) -> bool:
    return any(here.get(key) != value for key, value in wanted.items())


def _of(facts: dict[str, Any], noun: str) -> int:
    return sum(key.startswith(noun) for key in facts)
