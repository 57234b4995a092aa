"""Traces: their life, and finding them."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from mlflow.entities import Trace, TraceData, TraceInfo
from mlflow.entities.trace_info_v2 import TraceInfoV2
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.exceptions import MlflowTracingException
from mlflow.tracing.constant import TraceMetadataKey
from mlflow.tracing.utils import generate_request_id_v2
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from mlflow.utils.validation import _validate_trace_tag
from needletail.errors import CallError
from needletail.tracing import TracePair

from needletail_mlflow import spans
from needletail_mlflow._version import is_at_least
from needletail_mlflow.errors import TRANSLATED, invalid, missing
from needletail_mlflow.late_links import LateLinks
from needletail_mlflow.searching import check_max_results, quoted
from needletail_mlflow.trace_searching import LINKED_PROMPTS, trace_filter, trace_order
from needletail_mlflow.trace_telling import (
    HERE,
    SPANLESS,
    SPANS_LOCATION,
    STORED_STATES,
    TOLD_TAGS,
    UNLOCATED,
    Telling,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow.entities import Span
    from needletail.tracing import Span as StoredSpan
    from needletail.tracing import Trace as Stored

    from needletail_mlflow.assessments import Assessments
    from needletail_mlflow.connection import Connection
    from needletail_mlflow.experiments import Experiments
    from needletail_mlflow.runs import Runs

_PAGE = 500
_SPANS_PAGE = 10_000
_MOST_DELETED = 1_000
_MOST_LINKED = 100
_EXPERIMENTS_PER_SEARCH = 1_000
_SPAN_COUNT = "num_spans"
_READS = 3
_SHOWN = 20
# By this later versions of MLflow know a trace whose client told of it, beside its spans.
_MARK = getattr(TraceMetadataKey, "TRACE_INFO_FINALIZED", None)
_FINALIZED = {_MARK: "true"} if _MARK else {}


class Traces:
    """The traces of a project."""

    def __init__(
        self,
        connection: Connection,
        experiments: Experiments,
        runs: Runs,
        assessed: Assessments,
    ) -> None:
        self._connection = connection
        self._experiments = experiments
        self._runs = runs
        self._assessments = assessed
        self._telling = Telling(experiments)
        self._late = LateLinks(connection)

    # What MLflow calls.

    def tell(self, info: TraceInfo) -> TraceInfo:
        """Starts a trace as its client tells of it."""
        metadata = {**info.trace_metadata, **_FINALIZED}
        return self.start(dataclasses.replace(info, trace_metadata=metadata))

    def start(self, info: TraceInfo) -> TraceInfo:
        """Starts a trace as it is."""
        tags = {key: value for key, value in info.tags.items() if key not in TOLD_TAGS}
        with TRANSLATED:
            try:
                answer = self._tracing.start_trace(
                    project_id=self._connection.project_id,
                    experiment_id=self._experiments.uuid(info.experiment_id) or "",
                    trace_id=info.trace_id,
                    state=STORED_STATES[info.state],
                    request_time_ms=info.request_time,
                    execution_ms=info.execution_duration,
                    request_preview=spans.storable(info.request_preview),
                    response_preview=spans.storable(info.response_preview),
                    client_request_id=info.client_request_id,
                    tags=_pairs(tags),
                    metadata=_pairs(info.trace_metadata),
                )
            except CallError as error:
                raise self._inactive_or(error, info.experiment_id) from error
            self._late.arrived([info.trace_id])
            if answer.created:
                # Its spans may go among its artifacts, as those of earlier clients do.
                self._set_tags(info.trace_id, tags=_pairs({SPANLESS: "1"}))
            if answer.created and not info.assessments:
                return self._telling.just_started(info, tags)
            for one in info.assessments:
                self._assessments.write_again(info.trace_id, one)
            return self.info(info.trace_id)

    def start_v2(self, experiment_id, timestamp_ms, metadata, tags) -> TraceInfoV2:
        """Starts a trace as clients of MLflow 2 do."""
        info = TraceInfo(
            trace_id=generate_request_id_v2(),
            trace_location=TraceLocation.from_experiment_id(str(experiment_id)),
            request_time=timestamp_ms,
            state=TraceState.IN_PROGRESS,
            trace_metadata=dict(metadata),
            tags=dict(tags),
        )
        return TraceInfoV2.from_v3(self.start(info))

    def end_v2(self, trace_id, timestamp_ms, status, metadata, tags) -> TraceInfoV2:
        """Ends a trace as clients of MLflow 2 do."""
        info = self.info(trace_id)
        ended = dataclasses.replace(
            info,
            state=status.to_state(),
            execution_duration=timestamp_ms - info.request_time,
            trace_metadata={**info.trace_metadata, **metadata},
            tags={**info.tags, **tags},
            assessments=[],
        )
        return TraceInfoV2.from_v3(self.start(ended))

    def log_spans(self, location, logged: list[Span]) -> list[Span]:
        traces: dict[str, list[spans.Written]] = {}
        for span in logged:
            traces.setdefault(span.trace_id, []).append(spans.written(span))
        if len(traces) > 1 and not is_at_least(3, 12):
            raise invalid(
                f"All spans must belong to the same trace. Found trace IDs: {sorted(traces)}"
            )
        with TRANSLATED:
            used = [one for one, written in traces.items() if spans.costs(written)]
            before = self._spans(used)
            uuid = self._experiments.uuid(location) or "" if traces else ""
            for batch in spans.batches(traces, before):
                try:
                    self._tracing.log_spans(
                        project_id=self._connection.project_id, experiment_id=uuid, traces=batch
                    )
                except CallError as error:
                    raise self._inactive_or(error, location) from error
            self._late.arrived(traces)
        return logged

    def info(self, trace_id) -> TraceInfo:
        with TRANSLATED:
            found = self._found([trace_id])
            if not found:
                raise missing(f"Trace with ID '{trace_id}' not found.")
            return self._telling.told(found[0])

    def get(self, trace_id, allow_partial) -> Trace:
        for attempt in range(_READS):
            if attempt:
                # Its spans are on the way.
                time.sleep(2 ** (attempt - 1))
            found = self.batch([trace_id], None, allow_partial=allow_partial)
            if found:
                return found[0]
            if not self.infos([trace_id], None):
                raise missing(f"Trace with ID {trace_id} is not found.")
        raise missing(
            f"Trace with ID {trace_id} is not fully exported yet, please try again later."
        )

    def batch(self, trace_ids, experiment_ids, *, allow_partial=False) -> list[Trace]:
        infos = self.infos(trace_ids, experiment_ids)
        if any(info.tags.get(SPANS_LOCATION) != HERE for info in infos):
            # By this MLflow knows to look for them among the artifacts.
            raise MlflowTracingException("Trace data not stored in tracking store")
        with TRANSLATED:
            stored = self._spans([info.trace_id for info in infos])
        traces = []
        for info in infos:
            there = stored.get(info.trace_id, [])
            if allow_partial or _is_complete(info, len(there)):
                traces.append(Trace(info, TraceData(spans=spans.told(there))))
        return traces

    def infos(self, trace_ids, experiment_ids) -> list[TraceInfo]:
        with TRANSLATED:
            infos = [self._telling.told(one) for one in self._found(list(dict.fromkeys(trace_ids)))]
        if experiment_ids is None:
            return infos
        wanted = {str(one) for one in experiment_ids}
        return [info for info in infos if info.experiment_id in wanted]

    def search(
        self, experiment_ids, filter_string, max_results, order_by, page_token, model_id, locations
    ) -> tuple[list[TraceInfo], str | None]:
        locations = _locations(experiment_ids, locations)
        check_max_results(max_results)
        condition = _narrowed(trace_filter(filter_string or ""), model_id)
        order = trace_order(order_by)
        found: list[Stored] = []
        token = page_token or ""
        with TRANSLATED:
            uuids = self._uuids(locations)
            if locations is not None and not uuids:
                return [], None
            while True:
                page = self._tracing.search_traces(
                    project_id=self._connection.project_id,
                    experiment_ids=uuids,
                    filter=condition,
                    order_by=order,
                    page_size=min(_PAGE, max_results - len(found)),
                    page_token=token,
                )
                found += page.traces
                token = page.next_page_token
                if not token or len(found) >= max_results:
                    return [self._telling.told(one) for one in found], token or None

    def delete(self, experiment_id, max_timestamp_millis, max_traces, trace_ids) -> int:
        with TRANSLATED:
            uuid = self._experiments.uuid(experiment_id)
            if not uuid:
                return 0
            if trace_ids:
                named = list(dict.fromkeys(trace_ids))
                return sum(
                    self._delete(uuid, part, None, 0) for part in _parts(named, _MOST_DELETED)
                )
            return self._delete_oldest(uuid, max_timestamp_millis, max_traces)

    def set_tag(self, trace_id, key, value) -> None:
        key, value = _validate_trace_tag(key, value)
        with TRANSLATED:
            self._set_tags(trace_id, tags=_pairs({key: value}))

    def delete_tag(self, trace_id, key) -> None:
        with TRANSLATED:
            if self._set_tags(trace_id, delete_keys=[key]):
                return
            if key not in self.info(trace_id).tags:
                raise missing(f"No trace tag with key '{key}' for trace with ID '{trace_id}'")
            # What is the same of every trace is left out of this one.
            hidden = UNLOCATED if key == MLFLOW_ARTIFACT_LOCATION else SPANLESS
            self._set_tags(trace_id, tags=_pairs({hidden: "1"}))

    def link_to_run(self, trace_ids, run_id) -> None:
        self._link(self._connection.client.tracing.link_traces_to_run, trace_ids, run_id, "link")

    def unlink_from_run(self, trace_ids, run_id) -> None:
        self._link(
            self._connection.client.tracing.unlink_traces_from_run, trace_ids, run_id, "unlink"
        )

    def link_prompts(self, trace_id, prompt_versions) -> None:
        if not prompt_versions:
            return
        known = json.loads(self.info(trace_id).tags.get(LINKED_PROMPTS) or "[]")
        for one in prompt_versions:
            entry = {"name": one.name, "version": str(one.version)}
            if entry not in known:
                known.append(entry)
        with TRANSLATED:
            self._set_tags(trace_id, tags=_pairs({LINKED_PROMPTS: json.dumps(known)}))

    # How it is done.

    @property
    def _tracing(self):
        return self._connection.client.tracing

    def _found(self, trace_ids: list[str]) -> list[Stored]:
        found: dict[str, Stored] = {}
        for part in _parts([one for one in trace_ids if one], _PAGE):  # None is no trace's id.
            wanted = part
            while wanted:
                page = self._tracing.get_traces(
                    project_id=self._connection.project_id, trace_ids=wanted
                )
                found |= {one.trace_id: one for one in page.traces}
                wanted = list(page.left_trace_ids)
        return [found[one] for one in trace_ids if one in found]

    def _spans(self, trace_ids: list[str]) -> dict[str, list[StoredSpan]]:
        found: dict[str, list[StoredSpan]] = {}
        for part in _parts(trace_ids, _PAGE):
            for one in self._tracing.iterate_spans(
                project_id=self._connection.project_id, trace_ids=part, page_size=_SPANS_PAGE
            ):
                if one.span is not None:
                    found.setdefault(one.trace_id, []).append(one.span)
        return found

    def _set_tags(self, trace_id, **change: Any) -> Iterable[str]:
        try:
            answer = self._tracing.set_trace_tags(
                project_id=self._connection.project_id, trace_id=trace_id, **change
            )
        except CallError as error:
            if error.reason != "TRACE_NOT_FOUND":
                raise
            raise missing(f"Trace with ID '{trace_id}' not found.") from error
        return answer.deleted_keys

    def _delete_oldest(self, uuid: str, max_timestamp_millis, max_traces) -> int:
        deleted = 0
        while max_traces is None or deleted < max_traces:
            left = _MOST_DELETED if max_traces is None else max_traces - deleted
            wanted = min(_MOST_DELETED, left)
            count = self._delete(uuid, [], max_timestamp_millis, wanted)
            deleted += count
            if count < wanted:
                break
        return deleted

    def _delete(self, uuid: str, trace_ids: list[str], before, most: int) -> int:
        answer = self._tracing.delete_traces(
            project_id=self._connection.project_id,
            experiment_id=uuid,
            trace_ids=trace_ids,
            request_time_ms_max=before,
            count_max=most,
        )
        return answer.count

    def _link(self, call, trace_ids, run_id, verb: str) -> None:
        if not trace_ids:
            return
        if len(trace_ids) > _MOST_LINKED:
            text = f"Cannot {verb} more than {_MOST_LINKED} traces to a run in a single request."
            raise invalid(f"{text} Provided {len(trace_ids)} traces.")
        with TRANSLATED:
            uuid, named = self._runs.uuid(run_id), list(dict.fromkeys(trace_ids))
            if verb == "link":
                self._late.keep(named, uuid)
            try:
                call(project_id=self._connection.project_id, run_id=uuid, trace_ids=named)
            except CallError as error:
                self._late.forget(named, uuid)
                raise self._runs.inactive_or(error, run_id) from error
            there = [one.trace_id for one in self._found(named)] if verb == "link" else named
            self._late.forget(there, uuid)

    def _uuids(self, locations) -> list[str]:
        found = [self._experiments.uuid(one) for one in locations or ()]
        return [one for one in found if one][:_EXPERIMENTS_PER_SEARCH]

    def _inactive_or(self, error: CallError, experiment_id) -> Exception:
        if error.reason == "EXPERIMENT_NOT_FOUND" or not self._experiments.uuid(experiment_id):
            self._experiments.check_is_active(experiment_id)
        return error


def _is_complete(info: TraceInfo, count: int) -> bool:
    """Whether all spans of a trace are there, as far as its client told how many it has."""
    stats = info.trace_metadata.get(TraceMetadataKey.SIZE_STATS)
    return count > 0 and (not stats or count >= json.loads(stats).get(_SPAN_COUNT, 0))


def _locations(experiment_ids, locations):
    if experiment_ids and locations:
        raise invalid("`experiment_ids` is deprecated, use `locations` instead.")
    locations = experiment_ids or locations
    wrong = ", ".join(str(one) for one in locations or () if "." in str(one))
    if wrong:
        shown = wrong if len(wrong) <= _SHOWN else f"{wrong[:_SHOWN]}..."
        raise invalid(
            f"Locations must be a list of experiment IDs. Found invalid experiment IDs: {shown}."
        )
    return locations


def _narrowed(condition: str, model_id) -> str:
    if not model_id:
        return condition
    of_model = f"metadata.`{TraceMetadataKey.MODEL_ID}` = {quoted(model_id)}"
    return f"{condition} AND {of_model}" if condition else of_model


def _parts(trace_ids: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(trace_ids), size):
        yield trace_ids[start : start + size]


def _pairs(pairs: dict[str, str]) -> tuple[TracePair, ...]:
    return tuple(TracePair(key=key, value=str(value)) for key, value in pairs.items())
