"""A peer that stores experiments, runs and points in memory, and fails where it is told to."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

from needletail._generated.descriptors import message_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from peer import PeerConnection

APPENDS = {"AppendMetrics", "AppendLogs"}
# What they are of.
DESCRIPTIONS = {
    "SetRunTags": "tags",
    "ListRunTags": "tags",
    "LogParameters": "parameters",
    "ListRunParameters": "parameters",
    "LogInputs": "inputs",
    "ListRunInputs": "inputs",
    "LogModels": "models",
    "DefineMetrics": "definitions",
}
T = "needletail.tracking.v1."
ORGANIZATION = "0192f000-0000-7000-8000-000000000001"
PROJECT = "0192f000-0000-7000-8000-000000000002"


def message(name: str, data: bytes = b"", **values: Any) -> Any:
    """A message of the tracking package, parsed or made."""
    kind = message_class(name if "." in name else T + name)
    return kind.FromString(data) if data or not values else kind(**values)


class Store:
    """What a server keeps; outlives the peers that serve it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, Any] = {}
        self.descriptions: dict[tuple[str, str], dict[str, bytes]] = {}
        self.by_key: dict[str, bytes] = {}
        self.writers: dict[str, int] = {}
        self.points: list[tuple[str, str, int, int, float]] = []
        self.lines: list[tuple[str, int, str, int, str]] = []
        self.seen: dict[tuple[str, int], bytes] = {}
        self.commits = 0
        self.finishes: list[Any] = []
        self.fault: Callable[[str], bool] = lambda _: False
        """Asked at every point; True cuts the connection there."""

        self.refusal: Callable[[Any], tuple[int, str] | None] = lambda _: None
        """Asked for every batch; a code and reason end the stream instead of committing."""

    def values(self, key: str = "loss") -> list[tuple[int, float]]:
        """(step, value) in the order of their commits."""
        with self.lock:
            return [(step, value) for _, k, step, _, value in self.points if k == key]


class _CutError(Exception):
    pass


class TrackingScript:
    """The script of a tracking peer."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, connection: PeerConnection) -> None:
        writers: dict[int, str] = {}
        kinds: dict[int, str] = {}
        try:
            self._cut_at("connect")
            connection.welcome()
            while True:
                frame = connection.receive()
                body = frame.WhichOneof("body")
                if body == "call" and frame.call.method.rpartition("/")[2] in APPENDS:
                    writers[frame.stream] = ""
                    kinds[frame.stream] = frame.call.method.rpartition("/")[2] + "Request"
                    if not frame.call.no_message:
                        request = message(kinds[frame.stream], frame.call.message)
                        self._append(connection, frame.stream, request, writers)
                elif body == "call":
                    self._unary(connection, frame)
                elif body == "data" and frame.stream in writers:
                    if frame.data.message:
                        request = message(kinds[frame.stream], frame.data.message)
                        self._append(connection, frame.stream, request, writers)
                    if frame.data.end_of_requests and writers.pop(frame.stream, None) is not None:
                        connection.end(frame.stream)
                elif body == "cancel":
                    writers.pop(frame.stream, None)
                    connection.fail(frame.stream, 1, "CANCELLED")
        except _CutError:
            connection.cut()

    def _cut_at(self, point: str) -> None:
        if self.store.fault(point):
            raise _CutError

    def _append(
        self, connection: PeerConnection, stream: int, request: Any, writers: dict[int, str]
    ) -> None:
        store = self.store
        data = request.SerializeToString()
        writer = writers[stream] = request.writer_id or writers[stream]
        with store.lock:
            acknowledged = store.writers.setdefault(writer, 0)
            sequence = request.sequence
            if sequence > 0:
                before = store.seen.setdefault((writer, sequence), data)
                assert before == data, "a batch changed under its sequence"
            if sequence > acknowledged + 1:
                details = {"expected_sequence": str(acknowledged + 1)}
                connection.fail(stream, 9, "SEQUENCE_GAP", details=details)
                del writers[stream]
                return
            if sequence == acknowledged + 1:
                self._cut_at("before commit")
                refused = store.refusal(request)
                if refused is not None:
                    connection.fail(stream, refused[0], refused[1], message="refused by the test")
                    del writers[stream]
                    return
                self._commit(request)
                store.writers[writer] = acknowledged = sequence
                store.changed.notify_all()
                self._cut_at("before acknowledgement")
            answer = message("AppendMetricsResponse", acknowledged_sequence=acknowledged)
            connection.data(stream, answer.SerializeToString())
            if sequence > 0:
                self._cut_at("after acknowledgement")

    def _commit(self, request: Any) -> None:
        self.store.commits += 1
        for run in request.runs:
            assert run.run_id in self.store.runs
            if run.DESCRIPTOR.name == "RunLogs":
                self._commit_lines(run)
                continue
            for series in run.series:
                assert len(series.steps) == len(series.times_us) == len(series.values)
                columns = zip(series.steps, series.times_us, series.values, strict=True)
                for step, time_us, value in columns:
                    self.store.points.append((run.run_id, series.key, step, time_us, value))

    def _commit_lines(self, run: Any) -> None:
        text, start = run.text.encode(), 0
        names = list(run.stream_names) or ["stdout"]
        for index, length in enumerate(run.text_bytes):
            level = run.levels[index] if run.levels else 0
            stream = names[run.streams[index] if run.streams else 0]
            line = text[start : start + length].decode()
            start += length
            self.store.lines.append((run.run_id, run.rank, stream, level, line))
        assert start == len(text)

    def _unary(self, connection: PeerConnection, frame: Any) -> None:
        name = frame.call.method.rsplit("/", 1)[1]
        key = frame.call.idempotency_key
        store = self.store
        self._cut_at(f"before {name}")
        with store.lock:
            if key and key in store.by_key:
                connection.end(frame.stream, store.by_key[key])
                return
            if name == "WhoAmI":
                answer = message(
                    "needletail.identity.v1.WhoAmIResponse", organization_id=ORGANIZATION
                )
                answer.projects.add(id=PROJECT, slug="default", name="Default")
            elif name == "ListExperiments":
                wanted = message("ListExperimentsRequest", frame.call.message).name.lower()
                answer = message("ListExperimentsResponse")
                for title, identifier in store.experiments.items():
                    if title.lower() == wanted:
                        answer.experiments.add(id=identifier, name=title, project_id=PROJECT)
            elif name == "CreateExperiment":
                title = message("CreateExperimentRequest", frame.call.message).name
                if title.lower() in {known.lower() for known in store.experiments}:
                    connection.fail(frame.stream, 6, "EXPERIMENT_NAME_TAKEN")
                    return
                store.experiments[title] = str(uuid.uuid4())
                answer = message("CreateExperimentResponse")
                answer.experiment.id = store.experiments[title]
            elif name == "CreateRun":
                request = message("CreateRunRequest", frame.call.message)
                answer = message("CreateRunResponse")
                answer.run.id = str(uuid.uuid4())
                answer.run.name = request.name or "swift-otter"
                answer.run.experiment_id = request.experiment_id
                store.runs[answer.run.id] = answer.run
            elif name == "FinishRun":
                store.finishes.append(message("FinishRunRequest", frame.call.message))
                answer = message("FinishRunResponse")
                answer.run.id = store.finishes[-1].id
            elif name in DESCRIPTIONS:
                answer = self._describe(name, frame.call.message)
            else:
                connection.fail(frame.stream, 12, "METHOD_UNKNOWN")
                return
            if key:
                store.by_key[key] = answer.SerializeToString()
            store.changed.notify_all()
        self._cut_at(f"after {name}")
        connection.end(frame.stream, answer.SerializeToString())

    def _describe(self, name: str, data: bytes) -> Any:
        """Write or list what a run is described by."""
        request, answer = message(f"{name}Request", data), message(f"{name}Response")
        kind = DESCRIPTIONS[name]
        kept = self.store.descriptions.setdefault((request.run_id, kind), {})
        if not name.startswith("List"):
            for one in getattr(request, kind):
                written = one.SerializeToString()
                kept[getattr(one, "key", written.hex())] = written
            return answer
        for _, written in sorted(kept.items()):
            getattr(answer, kind).add().MergeFromString(written)
        return answer
