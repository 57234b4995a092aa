"""Starting a run."""

from __future__ import annotations

import dataclasses
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from needletail import settings as settings_module
from needletail._runs.active import ActiveRun
from needletail._runs.lines import checked_rank, own_rank
from needletail._runs.log import Console
from needletail._runs.source import own_source
from needletail._runs.spool import Metadata
from needletail._runs.summary import Options
from needletail._runs.system import DEFAULT_INTERVAL_SECONDS, SystemMetrics
from needletail._runs.values import checked_step
from needletail.client import Client, new_idempotency_key
from needletail.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from needletail._generated.tracking import RunSource

DEFAULT_SPOOL_MAX_BYTES = 1 << 30
DEFAULT_MEMORY_MAX_BYTES = 64 << 20


def default_spool_folder() -> Path:
    """`NEEDLETAIL_SPOOL_DIR`, else `~/.cache/needletail/spool`."""
    named = os.environ.get("NEEDLETAIL_SPOOL_DIR")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "needletail" / "spool"


def run(
    *,
    experiment: str = "",
    project: str | None = None,
    name: str = "",
    description: str = "",
    tags: Mapping[str, object] | None = None,
    parameters: Mapping[str, object] | None = None,
    client: Client | None = None,
    url: str | None = None,
    api_key: str | None = None,
    ca_file: str | None = None,
    profile: str | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    spool_max_bytes: int = DEFAULT_SPOOL_MAX_BYTES,
    memory_max_bytes: int = DEFAULT_MEMORY_MAX_BYTES,
    flush_seconds: float = 0.2,
    start_timeout_seconds: float = 10.0,
    finish_timeout_seconds: float = 30.0,
    capture_console: bool = False,
    rank: int | None = None,
    system_metrics: bool = False,
    system_metrics_seconds: float = DEFAULT_INTERVAL_SECONDS,
    resume: str | None = None,
    resume_step: int | None = None,
    parent: ActiveRun | str | None = None,
    fork_of: ActiveRun | str | None = None,
    fork_step: int | None = None,
    source: RunSource | bool = True,
) -> ActiveRun:
    """Starts a run; finds the experiment by its name, or creates it.

    When the server can't be reached within `start_timeout_seconds`, the run starts all the same:
    its points go to the spool, and it is created once the server is there. With `resume` it goes on
    with a run that is there, and needs the server.

    Args:
        experiment: Name or UUID of the experiment.
        project: UUID, slug or name; else the stored profile's, else the only one there is.
        name: Of the run; empty = the server makes one.
        description: For people.
        tags: What it begins with; a value that is no text is taken as `str` gives it.
        parameters: What it is configured with, by key, likewise.
        client: A client to share; else one is made from the settings.
        url: As for `connect`.
        api_key: As for `connect`.
        ca_file: As for `connect`.
        profile: As for `connect`.
        spool_dir: Where points wait; else `NEEDLETAIL_SPOOL_DIR`, else
            `~/.cache/needletail/spool`.
        spool_max_bytes: How large that folder may become; what comes after is dropped and
            counted.
        memory_max_bytes: How much of the unsent is also kept in memory.
        flush_seconds: How long points are collected before they are sent.
        start_timeout_seconds: How long to wait for the server at the start.
        finish_timeout_seconds: How long `with` waits at its end until everything is sent.
        capture_console: Also send what is printed to `sys.stdout` and `sys.stderr` to the log.
        rank: Which process of a distributed job this is, in its log; else `RANK`,
            `SLURM_PROCID` or `OMPI_COMM_WORLD_RANK`, else 0.
        system_metrics: Also measure this machine, as metrics whose keys begin with `system/`.
        system_metrics_seconds: How often.
        resume: UUID of a run to go on with, which is reopened if it has ended; its experiment,
            project, name and description stay. Whoever logged to it before can't any more.
        resume_step: The step of the checkpoint from which it goes on: what was logged at that step
            or later is shadowed, not deleted. Else behind all that was logged.
        parent: A run, or its UUID, to nest this one under.
        fork_of: A run, or its UUID, that this one goes on from as a run of its own: what that one
            measured up to `fork_step` is this one's, too.
        fork_step: The last step of that run that counts; without a step of its own, the first
            `log` takes the one after it.
        source: Where the code comes from. True: the program with its SHA-256, the commit, branch
            and address of its git repository, and the host are found out, in 2 s at most; False:
            nothing is said.

    Raises:
        CallError: The server refused: a wrong key, no such project, no permission.
        SettingsError: A setting is missing or makes no sense.
    """
    if not experiment and resume is None:
        raise SettingsError("a run needs the name of its experiment")
    if resume_step is not None:
        if resume is None:
            raise SettingsError("resume_step says where to go on with a run: name it by resume")
        resume_step = checked_step(resume_step)
    if resume is not None and (parent is not None or fork_of is not None):
        raise SettingsError("a run that is resumed has its parent, and what it was forked from")
    if (fork_of is None) != (fork_step is None):
        raise SettingsError("a fork needs both: fork_of, and fork_step, its last step that counts")
    owned = client is None
    if client is None:
        client = Client(
            settings_module.resolve(url, api_key=api_key, ca_file=ca_file, profile=profile)
        )
    metadata = Metadata(
        writer_id=str(uuid.uuid4()),
        project=project or client.settings.project_id,
        experiment=experiment,
        run_name=name,
        description=description,
        tags=_texts(tags),
        parameters=_texts(parameters),
        experiment_key=new_idempotency_key(),
        run_key=new_idempotency_key(),
        parent_run_id="" if parent is None else _id_of(parent),
        forked_run_id="" if fork_of is None else _id_of(fork_of),
        forked_step=0 if fork_step is None else checked_step(fork_step),
        source={} if resume is not None or source is False else _texts_of(source),
    )
    folder = Path(spool_dir) if spool_dir is not None else default_spool_folder()
    options = Options(
        folder,
        spool_max_bytes,
        memory_max_bytes,
        flush_seconds,
        finish_timeout_seconds,
        own_rank() if rank is None else checked_rank(rank),
    )
    active = ActiveRun(client, metadata, options, owns_client=owned)
    if resume is None:
        active.begin(start_timeout_seconds)
    else:
        active.resume(resume, resume_step, start_timeout_seconds)
    if capture_console:
        active.accompany(Console(active))
    if system_metrics:
        sampling = SystemMetrics(active.log_aside, interval_seconds=system_metrics_seconds)
        active.accompany(sampling)
    return active


def _id_of(run: ActiveRun | str) -> str:
    if isinstance(run, str):
        return run
    if run.id is None:
        raise SettingsError("the other run is not on the server yet: wait for it by its flush()")
    return run.id


def _texts_of(source: RunSource | Literal[True]) -> dict[str, Any]:
    return dataclasses.asdict(own_source() if source is True else source)


def _texts(values: Mapping[str, object] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (values or {}).items()}
