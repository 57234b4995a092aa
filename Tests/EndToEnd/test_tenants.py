"""Nothing of one organization is ever told to another."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from organizations import Organization, create_organization
from wire import Wire, message

if TYPE_CHECKING:
    from collections.abc import Iterator

    import needletail
    from program import Connection, UpServer

NOT_FOUND = 5
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRET = f"canary-{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Theirs:
    """What another organization has; every text in it holds the canary."""

    project: str
    experiment: str
    run: str


@pytest.fixture(scope="module")
def theirs(served: UpServer) -> Theirs:
    project = served.connection["project_id"]
    with served.client() as client:
        experiment = client.tracking.create_experiment(
            project_id=project, name=f"{SECRET} experiment", description=SECRET,
            config_json=f'{{"key": "{SECRET}"}}',
        ).id  # fmt: skip
        run = client.tracking.create_run(
            experiment_id=experiment, name=f"{SECRET} run", description=SECRET
        ).id
        series = message("MetricSeries", key=f"{SECRET} metric", steps=[1], values=[1.0])
        with Wire.opened(served.connection) as wire:
            runs = [message("RunMetrics", run_id=run, series=[series])]
            end = wire.end(wire.open("AppendMetrics", message(
                "AppendMetricsRequest", writer_id=str(uuid.uuid4()), sequence=1, runs=runs,
            )))  # fmt: skip
            assert end.status.code == 0
    return Theirs(project, experiment, run)


@pytest.fixture
def rival(sql: Connection) -> Organization:
    return create_organization(sql, "rival")


@pytest.fixture
def intruder(served: UpServer, rival: Organization) -> Iterator[Wire]:
    with Wire.opened(rival.connection(served.connection)) as wire:
        yield wire


def exchange(wire: Wire, method: str, request: Any) -> tuple[Any, bytes]:
    """Make a call; return its status and everything that was sent for it."""
    stream = wire.open(method, request)
    heard = b""
    while True:
        frame = wire.receive()
        assert frame.stream == stream
        heard += frame.SerializeToString()
        if frame.HasField("end"):
            return frame.end.status, heard


def attempts(theirs: Theirs) -> dict[str, Any]:
    """Every method that takes an id, with theirs."""
    series = message("MetricSeries", key="x", steps=[1], values=[1.0])
    runs = [message("RunMetrics", run_id=theirs.run, series=[series])]
    metric = f"{SECRET} metric"
    return {
        "CreateExperiment": message(
            "CreateExperimentRequest", project_id=theirs.project, name="mine"
        ),
        "GetExperiment": message("GetExperimentRequest", id=theirs.experiment),
        "UpdateExperiment": message("UpdateExperimentRequest", id=theirs.experiment, name="mine"),
        "CreateRun": message("CreateRunRequest", experiment_id=theirs.experiment),
        "GetRun": message("GetRunRequest", id=theirs.run),
        "UpdateRun": message("UpdateRunRequest", id=theirs.run, name="mine"),
        "FinishRun": message("FinishRunRequest", id=theirs.run),
        "AppendMetrics": message(
            "AppendMetricsRequest", writer_id=str(uuid.uuid4()), sequence=1, runs=runs
        ),
        "ListRunMetrics": message("ListRunMetricsRequest", run_id=theirs.run),
        "GetMetricHistory": message("GetMetricHistoryRequest", run_id=theirs.run, key=metric),
        "StreamMetricHistory": message("StreamMetricHistoryRequest", run_id=theirs.run, key=metric),
        "WatchRun": message("WatchRunRequest", run_id=theirs.run),
    }


def lists(theirs: Theirs) -> dict[str, list[Any]]:
    """Every method that lists, without a filter and with theirs."""
    return {
        "ListExperiments": [
            message("ListExperimentsRequest"),
            message("ListExperimentsRequest", project_id=theirs.project),
            message("ListExperimentsRequest", name=f"{SECRET} experiment"),
        ],
        "ListRuns": [
            message("ListRunsRequest"),
            message("ListRunsRequest", project_id=theirs.project),
            message("ListRunsRequest", experiment_id=theirs.experiment),
        ],
    }


def test_every_method_is_tried(client: needletail.Client, theirs: Theirs) -> None:
    served = {method.name.rpartition("/") for method in client.server.list_methods().methods}
    tracking = {name for service, _, name in served if service.endswith("Tracking")}
    assert tracking == {*attempts(theirs), *lists(theirs)}


@pytest.mark.parametrize("method", sorted(attempts(Theirs("", "", ""))))
def test_an_id_of_another_organization_is_not_found(
    intruder: Wire, theirs: Theirs, method: str
) -> None:
    request = attempts(theirs)[method]
    status, heard = exchange(intruder, method, request)
    assert status.code == NOT_FOUND, status
    assert SECRET.encode() not in heard
    # What was never there is answered alike.
    absent = type(request).FromString(request.SerializeToString())
    for identifier in (theirs.project, theirs.experiment, theirs.run):
        text = absent.SerializeToString().replace(identifier.encode(), str(uuid.uuid4()).encode())
        absent = type(request).FromString(text)
    other, _ = exchange(intruder, method, absent)
    assert (other.code, other.reason) == (status.code, status.reason)
    assert UUID_TEXT.sub("…", other.message) == UUID_TEXT.sub("…", status.message)


@pytest.mark.parametrize("method", sorted(lists(Theirs("", "", ""))))
def test_no_list_shows_what_another_organization_has(
    intruder: Wire, theirs: Theirs, method: str
) -> None:
    for request in lists(theirs)[method]:
        status, heard = exchange(intruder, method, request)
        assert status.code in {0, NOT_FOUND}
        for text in (SECRET, theirs.project, theirs.experiment, theirs.run):
            assert text.encode() not in heard


def test_who_am_i_tells_of_nobody_else(
    intruder: Wire, theirs: Theirs, served: UpServer, rival: Organization
) -> None:
    request = message("GetRunRequest")
    _, heard = exchange(intruder, "needletail.identity.v1.Identity/WhoAmI", request)
    assert str(rival.project_id).encode() in heard
    for text in (theirs.project, served.connection["organization_id"]):
        assert text.encode() not in heard


def test_nothing_was_changed(client: needletail.Client, theirs: Theirs) -> None:
    run = client.tracking.get_run(id=theirs.run)
    assert (run.name, run.status.name) == (f"{SECRET} run", "RUNNING")
    assert client.tracking.get_experiment(id=theirs.experiment).name == f"{SECRET} experiment"
    (metric,) = client.tracking.list_run_metrics(run_id=theirs.run).metrics
    assert (metric.key, metric.count) == (f"{SECRET} metric", 1)


@pytest.mark.parametrize(
    ("role", "scopes"), [("viewer", ("*",)), ("admin", ("run.get",)), ("admin", ())]
)
def test_a_key_without_the_permission_is_denied(
    served: UpServer, sql: Connection, role: str, scopes: tuple[str, ...]
) -> None:
    organization = create_organization(sql, "small", role=role, scopes=scopes)
    with Wire.opened(organization.connection(served.connection)) as wire:
        request = message(
            "CreateExperimentRequest", project_id=str(organization.project_id), name="mine"
        )
        status, _ = exchange(wire, "CreateExperiment", request)
        assert (status.code, status.reason) == (7, "PERMISSION_MISSING")
        assert "experiment.create" in status.message
