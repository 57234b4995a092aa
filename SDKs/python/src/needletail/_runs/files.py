"""The files of a run under way."""

from __future__ import annotations

import abc
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from needletail import artifacts

if TYPE_CHECKING:
    import os

    from needletail._generated.tracking import Artifact
    from needletail.client import Client


class RunFiles(abc.ABC):
    """What a run under way does with files."""

    @property
    @abc.abstractmethod
    def id(self) -> str | None:
        """UUID of the run; None while it isn't created."""

    @property
    @abc.abstractmethod
    def client(self) -> Client:
        """The client that the run uses."""

    def log_artifact(self, file: str | os.PathLike[str], path: str = "") -> Artifact:
        """Uploads a file; waits until it is stored and visible.

        Args:
            file: On this machine.
            path: In the run; empty = the file's name. A file that is there is replaced.

        Raises:
            CallError: The server refused it, or was away for five minutes.
            OSError: The file can't be read.
            RuntimeError: The run isn't created yet, because the server is away.
        """
        return artifacts.upload_file(self.client, self._created_id(), file, path or Path(file).name)

    def log_artifacts(self, folder: str | os.PathLike[str], path: str = "") -> list[Artifact]:
        """Uploads every file below a folder; see `log_artifact`.

        Args:
            folder: On this machine.
            path: The folder in the run; empty = the topmost one.
        """
        return artifacts.upload_folder(self.client, self._created_id(), folder, path)

    def download_artifact(self, path: str, file: str | os.PathLike[str] | None = None) -> Artifact:
        """Downloads a file of the run, by default to its name in the working folder."""
        return artifacts.download_file(
            self.client, self._created_id(), path, file or PurePosixPath(path).name
        )

    def download_artifacts(self, folder: str | os.PathLike[str], path: str = "") -> list[Path]:
        """Downloads every file below a folder of the run into a folder of this machine."""
        return artifacts.download_folder(self.client, self._created_id(), folder, path)

    def _created_id(self) -> str:
        run_id = self.id
        if run_id is None:
            raise RuntimeError("the run isn't created yet: the server is away")
        return run_id
