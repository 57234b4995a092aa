"""Finding or creating what a run needs on the server: project, experiment, the run itself."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

from needletail._generated.tracking import Parameter, RunFork, RunSource, RunStatus, Tag
from needletail._runs.batches import AppendMetricsRequest, RunMetrics
from needletail._runs.definitions import send_definitions
from needletail._runs.values import MAX_STEP
from needletail.errors import AlreadyExistsError, CallError, Code, SettingsError, call_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from needletail._runs.spool import Metadata
    from needletail.client import Client

# WhoAmI names at most this many projects.
_LISTED_PROJECTS = 100
_METRICS_A_PAGE = 1_000
_OPEN = (RunStatus.SCHEDULED, RunStatus.RUNNING)


@dataclasses.dataclass(frozen=True, slots=True)
class Registered:
    """A run that exists on the server."""

    run_id: str
    experiment_id: str
    project_id: str
    organization_id: str
    name: str


def register(client: Client, metadata: Metadata, time_left: Callable[[], float]) -> Registered:
    """Creates the run, once: the metadata holds the idempotency keys of both creations.

    Raises:
        CallError: The server refused, or can't be reached in the time that is left.
        SettingsError: The project can't be told.
    """
    caller = client.identity.who_am_i(timeout_seconds=time_left())
    projects = [(project.id, project.slug, project.name) for project in caller.projects]
    project_id = _project(metadata.project or client.settings.project_id, projects)
    experiment_id = _experiment(client, metadata, project_id, time_left)
    run = client.tracking.create_run(
        experiment_id=experiment_id,
        name=metadata.run_name,
        description=metadata.description,
        tags=[Tag(key=key, value=value) for key, value in metadata.tags.items()],
        parameters=[Parameter(key=key, value=value) for key, value in metadata.parameters.items()],
        source=RunSource(**metadata.source) if metadata.source else None,
        parent_run_id=metadata.parent_run_id,
        forked_from=RunFork(run_id=metadata.forked_run_id, step=metadata.forked_step)
        if metadata.forked_run_id
        else None,
        timeout_seconds=time_left(),
        idempotency_key=metadata.run_key,
    )
    send_definitions(client, metadata, run.id, time_left)
    return Registered(run.id, experiment_id, project_id, caller.organization_id, run.name)


def resume(
    client: Client,
    metadata: Metadata,
    run_id: str,
    from_step: int | None,
    time_left: Callable[[], float],
) -> tuple[Registered, int]:
    """Goes on with a run, reopened if it has ended, in an epoch of its own.

    Nobody who logged to the run before can go on with it, and what they logged from the step on is
    shadowed.

    Returns:
        The run, and the step at which it goes on: behind all points where none is asked for.

    Raises:
        CallError: The server refused, or can't be reached in the time that is left.
    """
    tracking = client.tracking
    caller = client.identity.who_am_i(timeout_seconds=time_left())
    run = tracking.get_run(id=run_id, timeout_seconds=time_left())
    if run.status not in _OPEN:
        tracking.reopen_run(
            id=run_id, timeout_seconds=time_left(), idempotency_key=metadata.run_key
        )
    while True:
        epoch = tracking.list_run_epochs(run_id=run_id, timeout_seconds=time_left()).current_epoch
        step = _next_step(client, run_id, time_left) if from_step is None else from_step
        try:
            _open_epoch(client, run_id, epoch + 1, step, time_left)
        except CallError as error:
            # Another job was faster; it resumed first, and this one resumes it.
            if error.reason not in {"EPOCH_OLD", "EPOCH_TAKEN"}:
                raise
        else:
            break
    metadata.epoch = epoch + 1
    registered = Registered(
        run_id, run.experiment_id, run.project_id, caller.organization_id, run.name
    )
    return registered, step


def _next_step(client: Client, run_id: str, time_left: Callable[[], float]) -> int:
    last, token = -1, ""
    while True:
        page = client.tracking.list_run_metrics(
            run_id=run_id,
            page_size=_METRICS_A_PAGE,
            page_token=token,
            timeout_seconds=time_left(),
        )
        last = max(
            [last, *(one.last_step for one in page.metrics if not one.key.startswith("system/"))]
        )
        token = page.next_page_token
        if not token:
            return min(last + 1, MAX_STEP)


def _open_epoch(
    client: Client, run_id: str, epoch: int, from_step: int, time_left: Callable[[], float]
) -> None:
    """Opens an epoch, by a writer of its own: those of the run append to it once it is open."""
    opening: Any = RunMetrics(run_id=run_id, epoch=epoch, from_step=from_step)
    request = AppendMetricsRequest(writer_id=str(uuid.uuid4()), sequence=1, runs=[opening])
    with client.tracking.append_metrics(timeout_seconds=time_left()) as stream:
        stream.send(request)
        stream.half_close()
        for answer in stream:
            if answer.acknowledged_sequence == 1:
                return
    raise call_error(Code.UNAVAILABLE, "", "the server ended before it opened the epoch")


def _project(wanted: str, projects: list[tuple[str, str, str]]) -> str:
    if _is_uuid(wanted):
        return wanted
    known = ", ".join(slug for _, slug, _ in projects) or "none"
    if not wanted:
        if len(projects) == 1:
            return projects[0][0]
        raise SettingsError(f"which project? Pass project=; there are: {known}")
    for project_id, slug, name in projects:
        if wanted in {slug, name}:
            return project_id
    hint = "; pass its UUID" if len(projects) == _LISTED_PROJECTS else f"; there are: {known}"
    raise call_error(Code.NOT_FOUND, "PROJECT_NOT_FOUND", f"no project {wanted}{hint}")


def _experiment(
    client: Client, metadata: Metadata, project_id: str, time_left: Callable[[], float]
) -> str:
    if _is_uuid(metadata.experiment):
        return metadata.experiment
    # Two processes may create it at once: whoever comes second finds the name taken, and looks.
    for _ in range(2):
        page = client.tracking.list_experiments(
            project_id=project_id,
            name=metadata.experiment,
            page_size=1,
            timeout_seconds=time_left(),
        )
        if page.experiments:
            return page.experiments[0].id
        try:
            return client.tracking.create_experiment(
                project_id=project_id,
                name=metadata.experiment,
                timeout_seconds=time_left(),
                idempotency_key=metadata.experiment_key,
            ).id
        except AlreadyExistsError as error:
            taken: CallError = error
    raise taken


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
