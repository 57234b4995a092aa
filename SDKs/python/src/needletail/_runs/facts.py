"""What a run under way says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from needletail._runs.files import RunFiles

if TYPE_CHECKING:
    from needletail._runs.registration import Registered
    from needletail._runs.uploader import Uploader
    from needletail.client import Client


class RunFacts(RunFiles):
    """What is known of a run here, without asking the server."""

    _client: Client
    _registered: Registered | None
    _uploader: Uploader
    _next_step: int

    @property
    def id(self) -> str | None:
        """UUID of the run; None while it couldn't be created because the server is away."""
        return self._uploader.metadata.run_id or None

    @property
    def name(self) -> str:
        """The run's name; the server's choice once it is known."""
        return self._registered.name if self._registered else self._uploader.metadata.run_name

    @property
    def experiment_id(self) -> str | None:
        """UUID of the experiment; None while the run is not created."""
        return self._registered.experiment_id if self._registered else None

    @property
    def epoch(self) -> int:
        """How often the run was resumed, by this program and those before it."""
        return self._uploader.metadata.epoch

    @property
    def next_step(self) -> int:
        """The step that the next `log` takes when it names none."""
        return self._next_step

    @property
    def client(self) -> Client:
        """The client that the run uses."""
        return self._client

    @property
    def errors(self) -> tuple[Exception, ...]:
        """What went wrong behind `log`, in order."""
        return tuple(self._uploader.errors)

    @property
    def acknowledged_points(self) -> int:
        """Points that are committed on the server's disk."""
        return self._uploader.appender.acknowledged_points

    @property
    def unsent_points(self) -> int:
        """Points that the server has not acknowledged yet."""
        return self._uploader.unsent_points
