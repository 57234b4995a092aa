"""Files: upload, resume, download, each file checked by its SHA-256."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import time
import uuid
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypedDict

from needletail._generated.tracking import Artifact, ArtifactEntry, UploadArtifactRequest
from needletail.errors import CallError, Code, DataLossError, call_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from needletail.client import Client

CHUNK_BYTES = 256 << 10
"""Bytes of a file in one message."""

PATIENCE_SECONDS = 300.0
"""How long a transfer goes on without any progress while the server is away."""

_READ_BYTES = 1 << 20
_PAUSE_SECONDS = (0.1, 5.0)


class OwnerFields(TypedDict):
    """The fields of requests that say whose files are meant."""

    run_id: str
    logged_model_id: str
    trace_id: str
    project_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """What files are of: a run, a logged model, or a trace of a project; one of them."""

    run_id: str = ""
    """UUID."""

    logged_model_id: str = ""
    """UUID."""

    trace_id: str = ""
    """As its client named it; with `project_id`."""

    project_id: str = ""
    """UUID of the project that the trace is in."""

    @classmethod
    def of(cls, owner: Owner | str) -> Owner:
        """The owner itself, or the run whose UUID it is."""
        return cls(run_id=owner) if isinstance(owner, str) else owner

    @property
    def fields(self) -> OwnerFields:
        """What requests say of it."""
        return {
            "run_id": self.run_id,
            "logged_model_id": self.logged_model_id,
            "trace_id": self.trace_id,
            "project_id": self.project_id,
        }


def upload_file(
    client: Client,
    owner: Owner | str,
    file: str | os.PathLike[str],
    path: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Artifact:
    """Uploads a file as `path` of its owner; a file that is there is replaced.

    Goes on where it was when the connection is lost or the server starts again.

    Args:
        client: Connected to the server.
        owner: What the file is of: the UUID of a run, or an `Owner`.
        file: On this machine.
        path: Where the file goes.
        patience_seconds: How long to go on without any progress.

    Raises:
        CallError: The server refused it, or was away for `patience_seconds`.
        OSError: The file can't be read.
    """
    with Path(file).open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        upload = _Upload(client, Owner.of(owner), path, source, size, _digest(source))
        retries = _Retries(patience_seconds)
        while True:
            try:
                return upload.go_on()
            except CallError as error:
                if error.reason == "UPLOAD_NOT_FOUND" and upload.id:
                    upload.id = ""
                retries.pause(error, upload.durable_bytes)


def upload_folder(
    client: Client,
    owner: Owner | str,
    folder: str | os.PathLike[str],
    path: str = "",
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[Artifact]:
    """Uploads every file below a folder, in the order of their names, below `path` of their owner.

    Links to files are followed, links to folders are not.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(str(root))
    uploaded = []
    for parent, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            file = Path(parent) / name
            place = PurePosixPath(path, file.relative_to(root).as_posix())
            uploaded.append(
                upload_file(client, owner, file, str(place), patience_seconds=patience_seconds)
            )
    return uploaded


def list_files(client: Client, owner: Owner | str, path: str = "") -> Iterator[ArtifactEntry]:
    """Every file below a folder, by path."""
    named = Owner.of(owner).fields
    token = ""
    while True:
        page = client.tracking.list_artifacts(
            **named, path=path, recursive=True, page_size=1_000, page_token=token
        )
        yield from page.entries
        token = page.next_page_token
        if not token:
            return


def download_file(
    client: Client,
    owner: Owner | str,
    path: str,
    file: str | os.PathLike[str],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Artifact:
    """Downloads a file; `file` is there whole and checked, or as it was before.

    Raises:
        CallError: The server refused it, or was away for `patience_seconds`, or what came isn't
            what was uploaded (DATA_LOSS).
        OSError: The file can't be written.
    """
    target = Path(file)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as sink:
            artifact = _download(client, Owner.of(owner), path, sink, _Retries(patience_seconds))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return artifact


def download_folder(
    client: Client,
    owner: Owner | str,
    folder: str | os.PathLike[str],
    path: str = "",
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[Path]:
    """Downloads every file below a folder into a folder, which is made."""
    root = Path(folder)
    written = []
    for entry in list_files(client, owner, path):
        file = root / PurePosixPath(entry.path).relative_to(path or ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        download_file(client, owner, entry.path, file, patience_seconds=patience_seconds)
        written.append(file)
    return written


class _Upload:
    """A file on its way, over all its streams."""

    def __init__(
        self, client: Client, owner: Owner, path: str, source: BinaryIO, size: int, digest: str
    ) -> None:
        self.client = client
        self.owner = owner
        self.path = path
        self.source = source
        self.size = size
        self.digest = digest
        self.id = ""
        self.durable_bytes = 0

    def go_on(self) -> Artifact:
        """Sends what is missing over one stream."""
        opening = UploadArtifactRequest(
            **self.owner.fields,
            path=self.path,
            size_bytes=self.size,
            sha256=self.digest,
            upload_id=self.id,
        )
        with self.client.tracking.upload_artifact() as stream:
            stream.send(opening)
            first = stream.receive()
            if first is None:
                raise _broken("the server ended an upload without an answer")
            self.id, self.durable_bytes = first.upload_id, first.durable_bytes
            # A finished upload is told at once: its answer was lost.
            if first.artifact is not None:
                return first.artifact
            offset = self.durable_bytes
            self.source.seek(offset)
            while data := self.source.read(CHUNK_BYTES):
                stream.send(UploadArtifactRequest(offset=offset, data=data))
                offset += len(data)
            stream.half_close()
            for response in stream:
                self.durable_bytes = response.durable_bytes
                if response.artifact is not None:
                    return response.artifact
        raise _broken("the server ended an upload without its artifact")


def _download(
    client: Client, owner: Owner, path: str, sink: BinaryIO, retries: _Retries
) -> Artifact:
    digest = hashlib.sha256()
    artifact: Artifact | None = None
    offset = 0
    while True:
        try:
            with client.tracking.download_artifact(
                **owner.fields, path=path, offset=offset, chunk_bytes=CHUNK_BYTES
            ) as pieces:
                for piece in pieces:
                    if piece.artifact is not None:
                        if artifact is not None and piece.artifact.id != artifact.id:
                            raise call_error(
                                Code.ABORTED, "ARTIFACT_REPLACED",
                                "the file was replaced during the download; download it again",
                            )  # fmt: skip
                        artifact = piece.artifact
                    sink.write(piece.data)
                    digest.update(piece.data)
                    offset += len(piece.data)
            break
        except CallError as error:
            retries.pause(error, offset)
    if artifact is None or digest.hexdigest() != artifact.sha256:
        raise _broken(f"what came of {path} isn't what was uploaded")
    sink.flush()
    return artifact


def _digest(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := source.read(_READ_BYTES):
        digest.update(data)
    return digest.hexdigest()


def _broken(message: str) -> CallError:
    return DataLossError(code=Code.DATA_LOSS, reason="TRANSFER_BROKEN", message=message)


class _Retries:
    """When to try again: as long as there is progress, and then for a while."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._until = time.monotonic() + patience_seconds
        self._reached = -1
        self._count = 0

    def pause(self, error: CallError, reached: int) -> None:
        """Waits before the next try, or raises the error."""
        may_pass = error.is_retryable or error.reason in {
            "UPLOAD_IN_USE", "UPLOAD_NOT_FOUND", "UPLOAD_OFFSET_WRONG",
        }  # fmt: skip
        if error.reason in {"ARTIFACT_QUOTA_EXCEEDED", "ARTIFACT_STORE_FULL"}:
            may_pass = False
        now = time.monotonic()
        if reached > self._reached:
            self._reached, self._count = reached, 0
            self._until = now + self._patience_seconds
        if not may_pass or now >= self._until:
            raise error
        self._count += 1
        first, longest = _PAUSE_SECONDS
        longest = min(longest, first * 2 ** min(self._count, 10))
        pause = random.uniform(0.5 * longest, longest)  # noqa: S311 only spreads retries
        time.sleep(max(pause, error.retry_after or 0.0))
