"""Files on their way: read once, and uploaded where other bytes are here, or none."""

from __future__ import annotations

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from needletail import artifacts
from needletail.errors import CallError

from needletail_mlflow.importing import digests, source
from needletail_mlflow.importing.source import SourceError
from needletail_mlflow.importing.troubles import StoppedError, refuses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from needletail.artifacts import Owner

    from needletail_mlflow.importing.work import Work

Manifest = dict[str, str]
"""Bytes and SHA-256 of files, by path."""

_READ_BYTES = 1 << 20
_SERVED = "mlflow-artifacts:"
_ELSEWHERE = (
    "an MLflow server keeps these for its clients: they come over with --from http://…, its address"
)
_ABOUT_ONE = {"ARTIFACT_QUOTA_EXCEEDED", "ARTIFACT_STORE_FULL"}


class Files:
    """Copies files, a bounded number at a time over all runs."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(work.options.threads, "needletail-import-files")

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def copy(
        self,
        place: str,
        address: str | None,
        owner: Owner,
        writable: Callable[[], None],
        folder: str = "",
    ) -> tuple[Manifest, Manifest] | None:
        """Brings files over; returns what there is in the source, and what is here.

        Args:
            place: What they are of, for messages.
            address: Where they are in the source.
            owner: What they are of here.
            writable: Called before the first is written.
            folder: Only what is in it.
        """
        if "artifacts" in self._work.options.without or not address:
            return None
        if address.startswith(_SERVED) and not self._work.source.uri.startswith("http"):
            self._work.troubles.fail(place, "artifacts", _ELSEWHERE)
            return None
        try:
            repository = self._work.source.repository(address)
            listed = list(source.files(repository, folder))
        except Exception as error:  # noqa: BLE001 every kind of store has errors of its own
            self._work.source.check(error)
            self._work.troubles.fail(place, "artifacts", error)
            return None
        if not listed:
            return {}, {}
        here = self._here(owner)
        copies = [
            self._pool.submit(self._copy, repository, place, path, owner, here.get(path), writable)
            for path in listed
        ]
        found = {path: copied.result() for path, copied in zip(listed, copies, strict=True)}
        return found, self._here(owner)

    def compare(self, place: str, source: Manifest, here: Manifest) -> None:
        """Compares files, and counts them."""
        ours = {path: told for path, told in here.items() if path in source}
        for path, why in digests.differences(source, ours):
            self._work.troubles.fail(place, f"artifact {path}", why)
        self._work.sums.count("artifacts", len(source), len(ours))
        self._work.sums.compare("artifacts", place, digests.digest(source), digests.digest(ours))

    def _here(self, owner: Owner) -> Manifest:
        client = self._work.target.client
        try:
            return {
                one.path: _told(one.size_bytes, one.sha256)
                for one in artifacts.list_files(client, owner)
            }
        except CallError as error:
            # Told for each file.
            if error.reason == "ARTIFACTS_NOT_CONFIGURED":
                return {}
            raise

    def _copy(
        self,
        repository: ArtifactRepository,
        place: str,
        path: str,
        owner: Owner,
        here: str | None,
        writable: Callable[[], None],
    ) -> str:
        work = self._work
        work.troubles.check()
        draft = work.folder / uuid.uuid4().hex
        try:
            with source.local_copy(repository, path, draft) as file:
                told = _read(file, work.troubles.check)
                if told != here:
                    writable()
                    artifacts.upload_file(work.target.client, owner, file, path)
        except (StoppedError, SourceError):
            raise
        except CallError as error:
            if not refuses(error) and error.reason not in _ABOUT_ONE:
                raise
            work.troubles.fail(place, f"artifact {path}", error)
        except Exception as error:  # noqa: BLE001 every kind of store has errors of its own
            work.source.check(error)
            work.troubles.fail(place, f"artifact {path}", error)
        else:
            work.progress.add("files", 1)
            return told
        return "not copied"


def _read(file: Path, check: Callable[[], None]) -> str:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while data := opened.read(_READ_BYTES):
            check()
            digest.update(data)
            size += len(data)
    return _told(size, digest.hexdigest())


def _told(size: int, digest: str) -> str:
    return f"{size} bytes, {digest}"
